"""Parts of a file: rows grouped for a worker. Cutting from a place always gives the same parts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from consents.imports import rows
from consents.imports.import_state import Place
from consents.imports.rows import Row, UnreadableFile

ROWS_PER_PART = 1000
BYTES_PER_PART = 1024 * 1024

MAX_PARTS = 200_000
"""Of a file. Each costs some calls to AWS, and a small gzip file may hold millions of short lines.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a file: those from a place up to, not including, the offset `end`.

    `content` is set only while a part is cut. A part that is `too_long` is one row, longer than any
    row may be.
    """

    place: Place
    end: int
    rows: int
    too_long: bool = False
    content: bytes = b""

    @property
    def is_blank(self) -> bool:
        """Whether it has only blank lines, so that there is nothing to import."""
        return not self.too_long and rows.is_blank(self.content)


def cut(found: Iterable[Row], place: Place) -> Iterator[Part]:
    """Group rows into parts of at most `ROWS_PER_PART` rows and about `BYTES_PER_PART`.

    A blank part has the number of the next one: the others have consecutive numbers.
    """
    group: list[Row] = []
    size = 0
    for row in found:
        full = len(group) == ROWS_PER_PART or size + row.size > BYTES_PER_PART
        if group and (full or row.content is None or group[-1].content is None):
            part = _part(group, place, size)
            yield part
            place = place_after(part)
            group, size = [], 0
        group.append(row)
        size += row.size
    if group:
        yield _part(group, place, size)


def place_after(part: Part) -> Place:
    """Return the place at which the next part begins."""
    number = part.place.part + (0 if part.is_blank else 1)
    return Place(number, part.end, part.place.row + part.rows)


def check_length(place: Place) -> None:
    """Raise `UnreadableFile` if a file has too many parts up to a place, blank ones included."""
    if place.part - 1 > MAX_PARTS or place.row - 1 > MAX_PARTS * ROWS_PER_PART:
        limit = f"{MAX_PARTS} parts of {ROWS_PER_PART} rows or 1 MiB"
        raise UnreadableFile(f"must have at most {limit}")


def _part(group: Sequence[Row], place: Place, size: int) -> Part:
    return Part(
        place,
        place.offset + size,
        len(group),
        too_long=group[0].content is None,
        content=b"\n".join(row.content or b"" for row in group),
    )
