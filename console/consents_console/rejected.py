"""Rejected rows of an import, a page at a time from an offset in the report."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson
from consents.aws.s3 import ObjectGone, Objects
from consents.imports.drop import Drop

PAGE = 50


@dataclass(frozen=True, slots=True)
class RejectedPage:
    """Some rejected rows, and the offset of those that follow; None after the last."""

    rows: list[Mapping[str, Any]]
    following: int | None


def rejected_page(objects: Objects, drop: Drop, start: int) -> RejectedPage:
    """Return the rejected rows from an offset on: nothing before it is read."""
    pieces = objects.read(drop.report_key("rejected.jsonl"), start=start)
    try:
        lines = list(islice(_lines(pieces), PAGE + 1))
    except ObjectGone:
        return RejectedPage([], None)
    shown = lines[:PAGE]
    following = start + sum(map(len, shown)) if len(lines) > PAGE else None
    return RejectedPage([orjson.loads(line) for line in shown], following)


def rejected_rows(pieces: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """Return all rejected rows of a report."""
    return map(orjson.loads, _lines(pieces))


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines of a stream, each with its end."""
    held = b""
    for piece in pieces:
        *lines, held = (held + piece).splitlines(keepends=True) or [b""]
        if held.endswith(b"\n"):
            lines, held = [*lines, held], b""
        yield from lines
    if held:
        yield held
