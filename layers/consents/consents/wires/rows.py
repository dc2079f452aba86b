"""The rows of a dropped file, JSONL or CSV (RFC 4180): its bytes cut into records, and read."""

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple

from consents.domain.errors import MalformedBody
from consents.wires import json_text

MAX_ROW_BYTES = 1024 * 1024
"""A row with its line end; as much as the body of a single call may have."""

MOST_COLUMNS = 1000
"""Of a CSV; the names of its header are kept with the progress of its import."""

_BOM = b"\xef\xbb\xbf"
_BOOLEANS = {"true": True, "false": False}

# One cell: a quote opens it only at its very start, and two inside it are one of its text. All
# quantifiers are possessive, so that a line is scanned once, whatever it holds.
_CELL = rb'(?:"[^"]*+")*+(?!")[^,]*+'
_CLOSED = re.compile(rb"(?:%b)?+%b(?:,%b)*+" % (_BOM, _CELL, _CELL))

# The module's own limit is 128 KiB a cell, which a column that nobody reads may well exceed.
csv.field_size_limit(MAX_ROW_BYTES)


class UnreadableFile(Exception):
    """A file cannot be read at all; the text says what it must be."""


class UnreadableRow(Exception):
    """A row is no record at all; the text says what a row must be, and nothing of what it is."""


class Record(NamedTuple):
    """One row, or blank line, of a file."""

    content: bytes | None
    """Without its newline. None: too long, or a quoted cell is not closed before it is."""
    size: int
    """Its bytes in the file, with its newline."""


def records(pieces: Iterable[bytes], *, quoted: bool) -> Iterator[Record]:
    """Cut a stream into records, blank lines too; it may begin at any record boundary.

    How the stream is cut into pieces makes no difference, and the sizes add up to all of it. With
    `quoted` cells (CSV) a newline inside one is no boundary. A record longer than `MAX_ROW_BYTES`
    is counted, not kept, and ends with the line in which it exceeds them, quoted or not: a quote
    that is never closed does not swallow the file.
    """
    lines = _lines(pieces)
    return _joined(lines) if quoted else lines


def _lines(pieces: Iterable[bytes]) -> Iterator[Record]:
    held, size = bytearray(), 0
    for piece in pieces:
        *ended, last = piece.split(b"\n")
        if ended:
            yield _record(bytes(held + ended[0]), size + len(ended[0]) + 1)
            for line in ended[1:]:
                yield _record(line, len(line) + 1)
            held, size = bytearray(), 0
        size += len(last)
        if size <= MAX_ROW_BYTES:
            held += last
    if size:
        yield _record(bytes(held), size)


def _joined(lines: Iterable[Record]) -> Iterator[Record]:
    """Put the lines of one record together again, where a newline is part of a cell."""
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
            yield _record(bytes(held), size)
            held, size = bytearray(), 0
        else:
            held += b"\n"
    if held:
        yield _record(bytes(held[:-1]), size)


def _is_closed(line: bytes) -> bool:
    """Tell whether no cell is left open at the end of a line that does not begin inside one."""
    return b'"' not in line or bool(_CLOSED.fullmatch(line))


def _record(content: bytes, size: int) -> Record:
    return Record(content if size <= MAX_ROW_BYTES else None, size)


def is_blank(content: bytes | None) -> bool:
    """Tell whether a line is white space alone: it has a number, but is no row.

    A line of commas alone is a row, with every field left out: only its wire can refuse it.
    """
    return content is not None and not content.removeprefix(_BOM).strip()


def check_encoding(beginning: Iterable[bytes]) -> None:
    """Raise `UnreadableFile` if no line of the beginning of a file, in pieces, is text in UTF-8.

    So it is in UTF-16, which has a NUL in every line, in a spreadsheet under a wrong name, and
    where each row has a letter in an older encoding. If one line is, the others are bad rows.
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
        UnreadableFile: not UTF-8, not CSV, empty, of more than `MOST_COLUMNS`, none of `columns`,
            or one of them twice.
    """
    if content is not None and not _is_text(content):
        raise UnreadableFile("the header must be UTF-8")
    try:
        cells = _cells(content)
    except UnreadableRow as unreadable:
        raise UnreadableFile(f"the header {unreadable}") from None
    if len(cells) > MOST_COLUMNS:
        raise UnreadableFile(f"the header must have at most {MOST_COLUMNS} columns")
    names = [name if name in columns else None for name in map(str.strip, cells)]
    known = [name for name in names if name is not None]
    if not known:
        raise UnreadableFile(f"row 1, the header, must name one of {', '.join(columns)}")
    for name in known:
        if known.count(name) > 1:
            raise UnreadableFile(f"the header must name {name} once")
    return tuple(names)


def csv_row(content: bytes | None, names: Sequence[str | None]) -> dict[str, Any]:
    """Return the record that a row stands for, under the names of the header.

    A dotted name is a field of an object; an empty cell, or none, is a field left out.

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
        text = _kept(content).decode()
    except UnicodeDecodeError:
        raise UnreadableRow("must be UTF-8") from None
    try:
        return _split(text)
    except csv.Error:
        raise UnreadableRow(_why_not_csv(text)) from None


def _split(text: str) -> list[str]:
    return next(csv.reader([text], strict=True))


def _why_not_csv(text: str) -> str:
    """Return what a row must be that is no CSV; old programs end their lines in CR alone."""
    with suppress(csv.Error):
        _split(text.replace("\r", ","))
        return "must end in LF or CRLF, not in CR alone"
    return "must be CSV, all quotes closed or doubled"


def json_row(content: bytes | None) -> Any:
    """Return the value of a line of JSONL.

    Raises:
        UnreadableRow: too long, or not JSON in UTF-8.
    """
    try:
        return json_text.parse(_kept(content))
    except MalformedBody:
        raise UnreadableRow("must be JSON in UTF-8") from None


def _kept(content: bytes | None) -> bytes:
    """Return what is kept of a row, without the mark that some programs begin a file with."""
    if content is None:
        most = f"within {MAX_ROW_BYTES} bytes"
        raise UnreadableRow(f"must end in LF or CRLF, all quotes closed, {most}")
    return content.removeprefix(_BOM)
