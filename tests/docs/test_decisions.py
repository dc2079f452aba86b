"""The decisions: one file each, of one form, all listed in the index."""

import re
from pathlib import Path

import pytest

DECISIONS = Path(__file__).parents[2] / "docs" / "design" / "decisions"
INDEX = (DECISIONS / "index.md").read_text()
FILES = sorted(DECISIONS.glob("[0-9]*.md"))
MAX_LINES = 21

HEADER = re.compile(
    r"# (?P<number>\d{4}): (?P<title>.+)\n\n"
    r"Area: (?P<area>.+) · Status: (?P<status>.+) · Date: (?P<date>2026-.+)\n"
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_decision_has_its_header_and_parts_and_a_line_in_the_index(file: Path) -> None:
    text = file.read_text()
    header = HEADER.match(text)
    assert header is not None
    number, title, area, status, date = header.groups()

    assert file.name.startswith(f"{number}-")
    assert re.fullmatch(r"accepted|superseded by \[\d{4}\]\(\S+\)", status)
    assert re.findall(r"^\*\*(\w+)\*\*:", text, re.MULTILINE) == [
        "Decision",
        "Alternatives",
        "Why",
        "Undo",
    ]
    assert len(text.splitlines()) <= MAX_LINES
    assert f"| {area} | [{number}]({file.name}) | {title} | {status} | {date} |" in INDEX


def test_numbers_have_no_gaps_and_the_index_lists_no_other_file() -> None:
    assert [int(file.name[:4]) for file in FILES] == [*range(1, len(FILES) + 1)]
    assert len(re.findall(r"^\| .+\]\(\d{4}-.+\.md\) \|", INDEX, re.MULTILINE)) == len(FILES)
