"""The rows of a file, JSONL or CSV (RFC 4180): split from bytes, and parsed."""

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple

from consents.domain.errors import MalformedBody
from consents.http import json_text

MAX_ROW_BYTES = 1024 * 1024
"""A row with its line end; the limit of a single request's body."""

MAX_COLUMNS = 1000
"""Of a CSV; the names of its header are stored with its import."""

_BOM = b"\xef\xbb\xbf"
_BOOLEANS = {"true": True, "false": False}

# One cell: a quote opens it only at its very start, and two inside it are one of its text. All
# quantifiers are possessive, so that a line is scanned once, whatever it holds.
_CELL = rb'(?:"[^"]*+")*+(?!")[^,]*+'
_CLOSED = re.compile(rb"(?:%b)?+%b(?:,%b)*+" % (_BOM, _CELL, _CELL))


class UnreadableFile(Exception):
    """A file cannot be imported; the text says why, and nothing of its content."""


class UnreadableRow(Exception):
    """A row is not a record; the text says what a row must be, and nothing of its content."""


class Row(NamedTuple):
    """One row, or blank line, of a file."""

    content: bytes | None
    """Without its newline. None: too long, or a quoted cell that is not closed within the limit."""
    size: int
    """Bytes in the file, newline included."""


def split(pieces: Iterable[bytes], *, quoted: bool) -> Iterator[Row]:
    """Split a stream into rows, blank lines too; it may begin at any row boundary.

    The result does not depend on the pieces, and the sizes add up to the stream. With `quoted`
    cells (CSV) a newline inside one is no boundary. A row longer than `MAX_ROW_BYTES` has no
    content and ends with the line that exceeds the limit, quoted or not: a quote that is never
    closed does not consume the file.
    """
    lines = _lines(pieces)
    return _joined(lines) if quoted else lines


def _lines(pieces: Iterable[bytes]) -> Iterator[Row]:
    held, size = bytearray(), 0
    for piece in pieces:
        *ended, last = piece.split(b"\n")
        if ended:
            yield _row(bytes(held + ended[0]), size + len(ended[0]) + 1)
            for line in ended[1:]:
                yield _row(line, len(line) + 1)
            held, size = bytearray(), 0
        size += len(last)
        if size <= MAX_ROW_BYTES:
            held += last
    if size:
        yield _row(bytes(held), size)


def _joined(lines: Iterable[Row]) -> Iterator[Row]:
    """Join the lines of one row, where a newline is part of a cell."""
    held, size = bytearray(), 0
    for line in lines:
        content = line.content or b""
        if not held and _is_closed(content):
            yield line
            continue
        closed = bool(held) and _is_closed(b'"' + content)
        held += content
        size += line.size
        if closed or size > MAX_ROW_BYTES:
            yield _row(bytes(held), size)
            held, size = bytearray(), 0
        else:
            held += b"\n"
    if held:
        yield _row(bytes(held[:-1]), size)


def _is_closed(line: bytes) -> bool:
    """Return whether a line that does not begin inside a cell ends outside one."""
    return b'"' not in line or bool(_CLOSED.fullmatch(line))


def _row(content: bytes, size: int) -> Row:
    return Row(content if size <= MAX_ROW_BYTES else None, size)


def is_blank(content: bytes | None) -> bool:
    """Return whether a line is only white space: it has a number, but is not imported.

    A line of only commas is a row without any field: validation rejects it.
    """
    return content is not None and not content.removeprefix(_BOM).strip()


def check_encoding(beginning: Iterable[bytes]) -> None:
    """Raise `UnreadableFile` if no line at the beginning of a file, in pieces, is UTF-8 text.

    UTF-16 has a NUL in every line, a spreadsheet under a wrong name is binary, and in an older
    encoding each row may have an accent. If one line is UTF-8, the others are bad rows.
    """
    lines = (line for piece in beginning for line in piece.split(b"\n") if not is_blank(line))
    first = next(lines, None)
    if first is not None and not any(map(_is_text, chain([first], lines))):
        raise UnreadableFile("must be UTF-8, and none of its first rows is")


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in line


def header(content: bytes | None, columns: Collection[str]) -> tuple[str | None, ...]:
    """Return the names in the header of a CSV in file order, None for one not in `columns`.

    Raises:
        UnreadableFile: not UTF-8, not CSV, empty, more than `MAX_COLUMNS`, none of `columns`, or
            one of them twice.
    """
    if content is not None and not _is_text(content):
        raise UnreadableFile("the header must be UTF-8")
    try:
        cells = _cells(content)
    except UnreadableRow as unreadable:
        raise UnreadableFile(f"the header {unreadable}") from None
    if len(cells) > MAX_COLUMNS:
        raise UnreadableFile(f"the header must have at most {MAX_COLUMNS} columns")
    names = [name if name in columns else None for name in map(str.strip, cells)]
    known = [name for name in names if name is not None]
    if not known:
        raise UnreadableFile(f"row 1, the header, must name one of {', '.join(columns)}")
    for name in known:
        if known.count(name) > 1:
            raise UnreadableFile(f"the header must name {name} once")
    return tuple(names)


def csv_row(content: bytes | None, names: Sequence[str | None]) -> dict[str, Any]:
    """Return the record of a row, by the names of the header.

    A dotted name is a field of an object; an empty or missing cell is an absent field.

    Raises:
        UnreadableRow: too long, not UTF-8, not CSV, or with more cells than the header has.
    """
    cells = _cells(content)
    if any(cells[len(names) :]):
        raise UnreadableRow("must have no more cells than the header")
    record: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=False):
        if name and cell:
            *parents, field = name.split(".")
            target = record
            for parent in parents:
                target = target.setdefault(parent, {})
            target[field] = _BOOLEANS.get(cell.lower(), cell) if name == "opted_in" else cell
    return record


def _cells(content: bytes | None) -> list[str]:
    try:
        text = _content(content).decode()
    except UnicodeDecodeError:
        raise UnreadableRow("must be UTF-8") from None
    try:
        return _parse_csv(text)
    except csv.Error:
        raise UnreadableRow(_why_not_csv(text)) from None


def _parse_csv(text: str) -> list[str]:
    csv.field_size_limit(
        MAX_ROW_BYTES
    )  # the default, 128 KiB, rejects long cells of unread columns
    return next(csv.reader([text], strict=True))


def _why_not_csv(text: str) -> str:
    """Return the rule that a row breaks; old programs end their lines with only a CR."""
    with suppress(csv.Error):
        _parse_csv(text.replace("\r", ","))
        return "must end in LF or CRLF, not in CR"
    return "must be CSV, all quotes closed or doubled"


def json_row(content: bytes | None) -> Any:
    """Return the value of a line of JSONL.

    Raises:
        UnreadableRow: too long, or not JSON in UTF-8.
    """
    try:
        return json_text.parse(_content(content))
    except MalformedBody:
        raise UnreadableRow("must be JSON in UTF-8") from None


def _content(content: bytes | None) -> bytes:
    """Return the content of a row, without a byte order mark."""
    if content is None:
        limit = f"within {MAX_ROW_BYTES} bytes"
        raise UnreadableRow(f"must end in LF or CRLF, all quotes closed, {limit}")
    return content.removeprefix(_BOM)
