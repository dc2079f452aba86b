"""The text files of the repository use plain technical English: none of these words."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, tracked

FILES = ("*.py", "*.md", "*.yaml", "*.toml", "Makefile", ".ci/run")

_START, _END, _ = r"(?<![a-zA-Z.])", r"(?![a-zA-Z(])", r"[\s_-]+"

# A bracket in each, so that this file does not match. Use the word on the right.
WORDS = {
    "[t]ells?": "return, show, print, log, say",
    "[t]old": "returned, shown, printed, logged",
    "[w]hoever": "the caller, a client, an operator",
    f"g(?:i[v]e[sn]?|i[v]ing|a[v]e){_}up": "fail, time out",
    "[m]end(?:s|ed|ing)?": "fix",
    f"of{_}[o]urs": "an internal error, the service's",
    f"of{_}[i]ts{_}own": "separate, its",
    f"beside{_}[i]tself": "concurrently",
    f"at{_}[i]ts{_}end": "completed, ended",
    f"what{_}[b]ecame{_}of": "the result of",
    f"st[a]nds?{_}behind": "uses, supports",
    f"(?-i:(?:is|are|was|were|be){_}[n]one)": "there is no",
    f"not{_}[l]et{_}run": "throttled",
    f"the{_}[d]oors?": "the endpoint, the entry point",
    f"[l]ies{_}on": "is on",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", tracked(*FILES), ids=name_of)
def test_a_file_has_none_of_the_words(path: Path) -> None:
    text = path.read_text()
    found = [
        f"{name_of(path)}:{text.count('\n', 0, match.start()) + 1}: {match[0]!r}: {instead}"
        for word, instead in WORDS.items()
        for match in re.finditer(_START + word + _END, text, re.IGNORECASE)
    ]
    if found:
        pytest.fail("\n".join(found), pytrace=False)
