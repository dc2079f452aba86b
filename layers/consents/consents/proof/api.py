"""The routes of the log: which object a request asks for, and how it is returned."""

from typing import Protocol

from consents.domain.errors import Invalid, LogBehind, NotFound
from consents.http.response import Response
from consents.proof import log_names, notes

BINARY = "application/octet-stream"

_CHANGING = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "max-age=5"}
_FIXED = {"Content-Type": BINARY, "Cache-Control": "max-age=31536000, immutable"}
_POLICY = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "max-age=300"}
_MAX_DIGITS = 19


class Log(Protocol):
    """The objects of the log."""

    def read(self, name: str) -> bytes:
        """Return an object, or raise `NotFound`."""

    def link(self, name: str) -> str:
        """Return a presigned URL of an object, or raise `NotFound`."""

    def anchored_sizes(self) -> list[int]:
        """Return the newest sizes that have an anchor, largest first."""


def checkpoint(log: Log, min_size: str | None) -> Response:
    """Return the published checkpoint.

    Raises:
        Invalid: `min_size` is no whole number.
        LogBehind: the published size is smaller than `min_size`.
        NotFound: nothing is published yet.
    """
    wanted = _whole_number(min_size or "0")
    content = log.read(log_names.CHECKPOINT)
    if notes.parse_checkpoint(notes.parse_note(content).text).size < wanted:
        raise LogBehind
    return Response(200, content, _CHANGING)


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise Invalid({"min_size": "must be a whole number"})
    return int(text)


def anchors(log: Log) -> Response:
    """Return the sizes that have an anchor, one a line."""
    lines = "".join(f"{size}\n" for size in log.anchored_sizes())
    return Response(200, lines.encode(), _CHANGING)


def fixed_object(log: Log, name: str, accept: str) -> Response:
    """Return an object that never changes.

    API Gateway returns bytes only to a client that accepts `BINARY` first, and base64 to any other:
    those are redirected to S3.

    Raises:
        NotFound: it is no name of the log, or there is no such object.
    """
    if log_names.is_note(name):
        return Response(200, log.read(name), _FIXED)
    if not log_names.is_binary(name):
        raise NotFound
    if accept.partition(",")[0].partition(";")[0].strip().lower() == BINARY:
        return Response(200, log.read(name), _FIXED, is_binary=True)
    return Response(302, b"", {"Location": log.link(name), "Cache-Control": "no-store"})


def policy(text: str) -> Response:
    """Return the policy by which anybody verifies the log."""
    return Response(200, text.encode(), _POLICY)
