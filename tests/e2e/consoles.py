"""The operator's console, started by its command, and browsers that look at it."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.browser import DESK
from tests.e2e.local_stack import CONSENTS, LocalStack

_LINK = re.compile(r"http://127\.0\.0\.1:[0-9]+/open\?key=[\w-]{43}")


@dataclass(frozen=True)
class Console:
    """A running console."""

    link: str
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        """Where its pages are."""
        return self.link.partition("/open")[0]


@contextmanager
def running_console(stack: LocalStack) -> Iterator[Console]:
    """Run `consents console`; Ctrl-C ends it without an error."""
    with subprocess.Popen(
        [CONSENTS, "console", "--no-browser"],
        env=environ | {"CONSENTS_LOCAL_DIR": str(stack.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(stack.folder),
    ) as process:
        try:
            yield Console(_link(process), process)
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def _link(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := _LINK.search(line):
            return found[0]
    raise AssertionError(f"no link: {process.communicate()}")


@dataclass
class Browser:
    """A browser of an operator, and what its pages did."""

    context: Any
    url: str
    problems: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def page(self, path: str = "/") -> Any:
        """Open a page in a new tab."""
        page = self.context.new_page()
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(dialog.message))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.goto(f"{self.url}{path}")
        return page

    def contact(self, number: str) -> Any:
        """Open the page of a contact through the field of the first page."""
        page = self.page()
        page.get_by_label("Number or id").fill(number)
        page.get_by_role("button", name="Find").click()
        page.wait_for_url("**/consents/*")
        return page

    def was_silent(self) -> bool:
        """Return whether pages logged nothing, broke nothing, and called no other host."""
        return (self.problems, self.hosts) == ([], {urlsplit(self.url).netloc})


@contextmanager
def browsing(
    chromium: Any,
    console: Console,
    signed_in: Any,
    size: tuple[int, int] = DESK,
    **options: Any,
) -> Iterator[Browser]:
    """Return a browser that has the cookie; it must have been silent when it closes."""
    context = chromium.new_context(
        storage_state=signed_in, viewport={"width": size[0], "height": size[1]}, **options
    )
    context.set_default_timeout(15_000)
    browser = Browser(context, console.url)
    yield browser
    context.close()
    assert browser.was_silent(), (browser.problems, browser.hosts)
