"""Chromium of Debian, driven by playwright: pages as people see them, with scripts off.

A context keeps what its pages logged, requested and stored: a page of a form does none of it.
"""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
PHONE, DESK = (390, 844), (1280, 900)
_ADDRESSES = count(1)
_PROGRAM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
"""The first is the same without a user interface, and needs a third less of the processor."""

_STATUS_LINE = "Failed to load resource: the server responded with a status of"
"""What Chromium logs itself for a page with a status of an error."""


def missing() -> str | None:
    """Return what the tests in a browser need and do not find, or None."""
    if _PROGRAM is None:
        return "chromium is not installed"
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: uv sync --group browser"
    if not AXE.exists():
        return "axe-core is not installed: npm ci --prefix tests/e2e"
    return None


NEEDED = pytest.mark.skipif(bool(missing()) and "CI" not in os.environ, reason=str(missing()))
"""Skips tests where there is no browser; in CI they fail."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium, or fail where something is missing."""
    if reason := missing():
        pytest.fail(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_PROGRAM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visitor:
    """A browser context at its own address, and what its pages did."""

    context: Any
    logged: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def page(self, url: str) -> Any:
        """Open a URL in a new tab."""
        page = self.context.new_page()
        page.on("console", lambda message: self.logged.append(message.text))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.goto(url)
        return page

    def was_silent(self, url: str) -> bool:
        """Return whether pages logged nothing, called nobody else, and stored nothing."""
        problems = [text for text in self.logged if not text.startswith(_STATUS_LINE)]
        others = self.hosts - {urlsplit(url).netloc, ""}
        return (problems, others, self.context.cookies()) == ([], set(), [])


@contextmanager
def visitor(
    browser: Any,
    size: tuple[int, int] = PHONE,
    *,
    scripts: bool = False,
    **options: Any,
) -> Iterator[Visitor]:
    """Return a visitor at an address that no other visitor has, as the local engine sees it."""
    number = next(_ADDRESSES)
    address = f"203.0.{number // 250}.{number % 250 + 1}"
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        java_script_enabled=scripts,
        bypass_csp=scripts,
        extra_http_headers={"X-Forwarded-For": address},
        locale=options.pop("locale", "en-US"),
        **options,
    )
    context.set_default_timeout(10_000)
    yield Visitor(context)
    context.close()


def follow(page: Any, target: Any) -> None:
    """Click what leads to another page, and return when that is loaded."""
    with page.expect_navigation():
        target.click()


def scrolls_sideways(page: Any) -> bool:
    """Return whether a page is wider than its window."""
    return bool(page.locator("html").evaluate("page => page.scrollWidth > page.clientWidth"))


def looks(page: Any) -> Iterator[str]:
    """Show a page on a phone and on a desk, light and dark, and return the name of each look."""
    for width, height in (PHONE, DESK):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            yield f"{width}-{scheme}"


def violations_in_any_look(page: Any) -> list[str]:
    """Return what axe finds wrong with a page in any of its looks."""
    return [f"{look}: {one}" for look in looks(page) for one in violations(page)]


def violations(page: Any) -> list[str]:
    """Return what axe finds wrong with a page, whose context has scripts on."""
    if page.evaluate("!('axe' in window)"):
        page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {node['html'][:120]} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
