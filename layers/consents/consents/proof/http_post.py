"""POST to a server of others, a witness or a timestamp authority: it may respond with anything."""

import ssl
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple
from urllib.parse import urlsplit

MAX_BYTES = 64 * 1024
"""Of a response; the rest is not read."""

SECONDS = 10
"""Of a call, until the next bytes come. A server that sends byte after byte takes longer."""


class NoResponse(Exception):
    """There is no response; the text names the error, and has nothing of the URL."""


class Reply(NamedTuple):
    """The status and the body of a response."""

    status: int
    content: bytes


def post(url: str, body: bytes, content_type: str) -> Reply:
    """Send a body to a URL, without following a redirect.

    Raises:
        NoResponse: there is no response.
    """
    try:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with closing(_connection(parts.scheme, parts.netloc)) as connection:
            connection.request("POST", target, body, {"Content-Type": content_type})
            response = connection.getresponse()
            return Reply(response.status, response.read(MAX_BYTES))
    except (OSError, HTTPException, ValueError) as error:  # the last: of an invalid URL
        raise NoResponse(type(error).__name__) from None


def _connection(scheme: str, netloc: str) -> HTTPConnection:
    if scheme == "http":
        return HTTPConnection(netloc, timeout=SECONDS)
    return HTTPSConnection(netloc, timeout=SECONDS, context=ssl.create_default_context())
