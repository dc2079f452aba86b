"""Links and anchors lead somewhere, and the first pages stay short."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import ROOT, anchors, prose, tracked

PAGES = tracked("*.md")
DOCS = ROOT / "docs"

_LINK = re.compile(r"\]\(<?([^()\s>]+)>?(?: \"[^\"]*\")?\)|^\[[^]]+\]: *(\S+)", re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def links(page: Path) -> list[str]:
    """Return the links of a page that lead to a file or an anchor of the repository."""
    found = [inline or defined for inline, defined in _LINK.findall(_CODE.sub("", prose(page)))]
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_to_a_file_and_an_anchor(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", tracked("docs/*.md"), ids=name_of)
def test_a_page_of_the_site_links_to_pages_of_the_site_only(page: Path) -> None:
    """The site has no other files: `make docs` rejects such a link too."""
    paths = (page.parent / unquote(link).partition("#")[0] for link in links(page))
    outside = [path for path in paths if not path.resolve().is_relative_to(DOCS)]
    assert outside == []


@pytest.mark.parametrize(("page", "lines"), [("README.md", 150), ("CONTRIBUTING.md", 120)])
def test_a_first_page_is_short(page: str, lines: int) -> None:
    assert len((ROOT / page).read_text().splitlines()) <= lines


def test_every_page_of_the_site_is_in_its_navigation_or_linked() -> None:
    """A page that no other page links to is not found by a reader."""
    navigation = (ROOT / "zensical.toml").read_text()
    linked = {
        (page.parent / unquote(link).partition("#")[0]).resolve()
        for page in PAGES
        for link in links(page)
        if not link.startswith("#")
    }
    lost = [
        name_of(page)
        for page in tracked("docs/*.md")
        if f'"{page.relative_to(DOCS)}"' not in navigation and page not in linked
    ]
    assert lost == []
