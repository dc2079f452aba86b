"""The Markdown pages of the repository, and how tests read them."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCED = re.compile(r"^( *)(```+|~~~+).*?^\1\2$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the repository that match one of some patterns, and exist."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCED.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    seen: dict[str, int] = {}
    found = set()
    for heading in _HEADING.findall(prose(page)):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
        number = seen.get(slug, 0)
        seen[slug] = number + 1
        found.add(f"{slug}-{number}" if number else slug)
    return found


def table(page: Path, heading: str) -> dict[str, list[str]]:
    """Return the rows of the first table that has a heading, by the code in their first cell."""
    lines = iter(page.read_text().splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            break
    else:
        raise AssertionError(f"{page.name} has no table {heading!r}")
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        first, *rest = (cell.strip() for cell in line.strip("|").split(" | "))
        for name in re.findall(r"`([^`]+)`", first):
            rows[name] = [cell.strip(" |") for cell in rest]
    return rows


def code(cell: str) -> list[str]:
    """Return what a cell has in code style."""
    return re.findall(r"`([^`]+)`", cell)
