"""A request by its id: what the functions logged about it."""

import re
from datetime import UTC, datetime, timedelta

import orjson
from starlette.requests import Request
from starlette.responses import Response

from consents_console.desk import NotHere
from consents_console.log_queries import Row, run
from consents_console.rendering import desk_of, page

REQUEST_ID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")

_QUERY = """fields @timestamp, @message
| filter @message like /{request_id}/ | sort @timestamp | limit 50
"""
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_LENGTH = 10
_BEFORE, _AFTER = timedelta(minutes=5), timedelta(hours=1)
_SHOWN = ("organization", "route", "status", "code", "accepted", "rejected", "reasons", "contacts")


def show(request: Request) -> Response:
    """Show the log lines of a request: counts, codes and times, and nothing of a contact."""
    request_id = request.path_params["request_id"]
    if not REQUEST_ID.fullmatch(request_id):
        raise NotHere("That is no request id: it has 26 digits and capital letters.")
    at = instant_of(request_id)
    query = _QUERY.format(request_id=request_id)
    rows = run(desk_of(request).stack, query, at - _BEFORE, at + _AFTER)
    lines = [line for row in rows or [] if (line := _line(row)).get("request_id") == request_id]
    return page(
        request,
        "request.html",
        request_id=request_id,
        at=at,
        lines=lines,
        is_available=rows is not None,
        shown=_SHOWN,
    )


def instant_of(request_id: str) -> datetime:
    """Return the instant that a ULID begins with."""
    milliseconds = 0
    for digit in request_id[:_TIME_LENGTH]:
        milliseconds = milliseconds * 32 + _CROCKFORD.index(digit)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _line(row: Row) -> dict[str, object]:
    try:
        line: dict[str, object] = orjson.loads(row.get("@message", ""))
    except orjson.JSONDecodeError:
        return {}
    return line
