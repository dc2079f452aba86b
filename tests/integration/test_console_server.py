"""The server of the console: where it listens, and when it ends."""

import socket
import threading
from collections.abc import Iterator
from queue import Queue

import httpx
import pytest
from consents_console.server import HOST, listen, serve
from consents_console.session import COOKIE, IDLE_SECONDS, Session

from tests.integration.operators import Clock, stack_of_engine

pytestmark = pytest.mark.usefixtures("engine")

TIMEOUT = 30.0


@pytest.fixture
def clock() -> Clock:
    """The clock of the session."""
    return Clock()


@pytest.fixture
def link(clock: Clock) -> Iterator[str]:
    """The link of a running console, which must have ended when the test has."""
    links: Queue[str] = Queue()
    listener = listen(0)
    arguments = (stack_of_engine(), Session(clock), listener, links.put)
    server = threading.Thread(target=serve, args=arguments)
    server.start()
    yield links.get(timeout=TIMEOUT)
    clock.seconds += IDLE_SECONDS
    server.join(TIMEOUT)
    assert not server.is_alive()


def test_a_console_is_reached_on_this_machine_alone() -> None:
    with listen(0) as listener:
        assert listener.getsockname()[0] == HOST == "127.0.0.1"


def test_a_port_that_is_taken_is_an_error() -> None:
    with listen(0) as listener, pytest.raises(OSError, match="in use"):
        listen(listener.getsockname()[1])


def test_the_link_opens_the_console(link: str) -> None:
    with httpx.Client(timeout=TIMEOUT) as browser:
        opened = browser.get(link)
        assert (opened.status_code, opened.headers["location"]) == (303, "/")
        assert "server" not in opened.headers
        assert browser.get(link.partition("/open")[0]).status_code == 200
        assert COOKIE in browser.cookies


def test_an_idle_console_closes_its_port(link: str, clock: Clock) -> None:
    clock.seconds += IDLE_SECONDS
    port = int(link.split(":")[2].partition("/")[0])
    for thread in threading.enumerate():
        if thread.name.endswith("(serve)"):
            thread.join(TIMEOUT)
    with socket.socket() as other:
        assert other.connect_ex((HOST, port)) != 0
