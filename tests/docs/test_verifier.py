"""The reference of the verifier has every word that the verifier says."""

import re

import pytest
from consents_verify import BROKEN, GAPS, NOT_PROVEN, OPEN, RANKS, UNSAID, VERDICTS

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "reference" / "verifier.md").read_text()
WORDS = {*VERDICTS, *BROKEN, *GAPS, *UNSAID.values(), *(key for _, key in OPEN)}


@pytest.mark.parametrize("word", sorted(WORDS))
def test_the_reference_has_the_word(word: str) -> None:
    assert re.search(rf"`(k OF n, )?{word}( b| a AND b)?`", PAGE)


@pytest.mark.parametrize("kind", sorted(RANKS.keys() - {"not_proven"}))
def test_the_reference_has_the_statement(kind: str) -> None:
    assert f"| `{kind}` |" in PAGE


@pytest.mark.parametrize("name", NOT_PROVEN)
def test_the_reference_has_what_is_not_proven(name: str) -> None:
    assert f"\n| {name} | " in PAGE
