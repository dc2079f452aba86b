"""Import dropped files: cut a file into parts, import each, and report when the last one is done.

Any step may run twice, half, late or beside itself. A part has a number and holds the same rows
each time; all rows are received when the import begins; a row's receipt names its import and
number, so that a repeat knows its own records from those that were there before; a part's counts
are added once; reports are made from what was counted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import batched
from typing import Any, NamedTuple, Protocol

import orjson

from consents.domain.drop import COMPLETED, FAILED, Counts, Drop, Import, Place
from consents.domain.outcome import Arrival, Fault, Rejected
from consents.domain.record import ConsentRecord, Receipt, Wire
from consents.wires import attested, bulk_consents, rows
from consents.wires.imports import render_summary
from consents.wires.rows import Record, UnreadableFile, UnreadableRow

ROWS_PER_PART = 1000
BYTES_PER_PART = 1024 * 1024
PARTS_PER_CHECKPOINT = 10
PARTS_PER_PIECE = 1000
"""Of a report: a worker that runs out of time leaves the pieces that it has joined."""

MOST_PARTS = 200_000
"""Of a file. Each costs some calls to AWS, and a small gzip file may hold millions of short lines.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a file: those from a place up to, not including, the offset `end`.

    `content` is there only while a part is cut. A part that is `too_long` is one row that no rule
    can read.
    """

    place: Place
    end: int
    rows: int
    too_long: bool = False
    content: bytes = b""

    @property
    def is_blank(self) -> bool:
        """Whether its content is blank lines alone, with which nothing is to be done."""
        return not self.too_long and rows.is_blank(self.content)


class Files(Protocol):
    """The objects of an import."""

    def stream(self, drop: Drop, offset: int) -> Iterator[bytes]:
        """Read the decompressed file from an offset, in pieces; `UnreadableFile` if it is not."""

    def read_part(self, drop: Drop, part: Part) -> bytes:
        """Read the rows of a part; `UnreadableFile` if the object is gone."""

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""

    def join(self, keys: Iterable[str], key: str, *, small: bool) -> None:
        """Write one object of several; small ones are each read into memory."""


class Progress(Protocol):
    """Where imports keep how far they are."""

    def begin(self, drop: Drop, now: datetime) -> Import:
        """Return the import of a drop, which begins now if it has not yet."""

    def get(self, import_id: str) -> Import:
        """Return an import that has begun, as it is."""

    def is_done(self, import_id: str, part: int) -> bool:
        """Tell whether a part's counts are added."""

    def checkpoint(self, progress: Import) -> None:
        """Keep the place up to which the file is cut, unless it is cut further already."""

    def cut(self, import_id: str, parts: int) -> None:
        """Keep how many parts there are."""

    def add(self, import_id: str, part: int, counts: Counts) -> bool:
        """Mark a part as done and add its counts, both or neither, and tell whether that was done.

        It is done once, and not after the outcome is set.
        """

    def refused_parts(self, import_id: str) -> Iterable[int]:
        """Return which of the parts that are done had rows refused, in order."""

    def end(self, import_id: str, outcome: str, reason: str | None, now: datetime) -> Import:
        """Set the outcome, unless there is one, and return the import: its counts are final."""

    def keep_joined(self, import_id: str, pieces: int) -> None:
        """Keep how many pieces of the report are joined, unless more are already."""

    def keep_reported(self, import_id: str) -> None:
        """Keep that the reports are written."""


def cut(records: Iterable[Record], place: Place) -> Iterator[Part]:
    """Group records into parts of at most `ROWS_PER_PART` rows and about `BYTES_PER_PART`.

    A part that is blank has the number of the next one: those that are not blank have no gaps.
    """
    group: list[Record] = []
    size = 0
    for record in records:
        full = len(group) == ROWS_PER_PART or size + record.size > BYTES_PER_PART
        if group and (full or record.content is None or group[-1].content is None):
            part = _part(group, place, size)
            yield part
            place = after(part)
            group, size = [], 0
        group.append(record)
        size += record.size
    if group:
        yield _part(group, place, size)


def _part(group: Sequence[Record], place: Place, size: int) -> Part:
    return Part(
        place,
        place.offset + size,
        len(group),
        too_long=group[0].content is None,
        content=b"\n".join(record.content or b"" for record in group),
    )


def after(part: Part) -> Place:
    """Return the place at which the next part begins."""
    number = part.place.part + (0 if part.is_blank else 1)
    return Place(number, part.end, part.place.row + part.rows)


def _check_length(place: Place) -> None:
    """Raise `UnreadableFile` if a file has more parts up to a place than it may, blank ones too."""
    if place.part - 1 > MOST_PARTS or place.row - 1 > MOST_PARTS * ROWS_PER_PART:
        most = f"{MOST_PARTS} parts of {ROWS_PER_PART} rows or 1 MiB"
        raise UnreadableFile(f"must have at most {most}")


@dataclass(frozen=True, slots=True)
class Planner:
    """Cuts files into parts."""

    files: Files
    progress: Progress
    send: Callable[[Drop, Sequence[Part]], None]
    """Hands parts to the workers; a part that is handed over twice is imported once."""
    refusal: Callable[[Drop], str | None]
    """Tells why an organization may not import, if it may not."""

    def plan(
        self, drop: Drop, clock: Callable[[], datetime], time_left: Callable[[], bool]
    ) -> Import | None:
        """Cut a file from where it was left, and return its import; None if it is not at its end.

        Args:
            clock: the instant it is; the last part may be done long after the first was cut.
            time_left: whether there is time for some more parts.
        """
        begun = self.progress.begin(drop, clock())
        if begun.parts is None and begun.outcome is None:
            try:
                if reason := self.refusal(drop):
                    raise UnreadableFile(reason)
                last = self._cut(begun, time_left)
            except UnreadableFile as unreadable:
                self.progress.end(drop.import_id, FAILED, str(unreadable), clock())
            else:
                if last is None:
                    return None
                self.progress.cut(drop.import_id, last.part - 1)
        return finish(drop.import_id, self.progress, self.files, clock())

    def _cut(self, begun: Import, time_left: Callable[[], bool]) -> Place | None:
        """Return the place after the last part, or None if time was up before."""
        drop, place, header = begun.drop, begun.place, begun.header
        pieces = self.files.stream(drop, place.offset)
        records = rows.records(pieces, quoted=drop.is_csv)
        if drop.is_csv and header is None:
            first = next(records, Record(b"", 0))
            header = rows.header(first.content, _columns(drop.wire))
            place = Place(offset=first.size, row=2)
            # Before any part is sent: a worker may be faster than our next line.
            self.progress.checkpoint(replace(begun, place=place, header=header))
        for parts in batched(cut(records, place), PARTS_PER_CHECKPOINT, strict=False):
            if place == Place():  # not so for a CSV, which has shown its header
                rows.check_encoding(part.content for part in parts if not part.too_long)
            place = after(parts[-1])
            _check_length(place)
            self._hand_over(drop, [part for part in parts if not part.is_blank])
            self.progress.checkpoint(replace(begun, place=place, header=header))
            if not time_left():
                return None
        return place

    def _hand_over(self, drop: Drop, parts: Sequence[Part]) -> None:
        if drop.is_gzip:
            for part in parts:
                self.files.write(drop.part_key(part.place.part), part.content)
        self.send(drop, parts)


def _columns(wire: Wire) -> Mapping[str, str]:
    return attested.MESSAGES if wire is Wire.ATTESTED else bulk_consents.TOKENS


class RowsNotStored(Exception):
    """Rows of a part could not be stored: the part must come again."""


class Ledger(Protocol):
    """Where consent records are kept, never to be changed."""

    def append_rows(
        self,
        organization_id: str,
        records: Sequence[ConsentRecord],
        receipts: Sequence[Receipt],
        time_left: Callable[[], float],
    ) -> list[Arrival]:
        """Tell of each record whether it is the row's own, was there before, or is lost."""


class Row(NamedTuple):
    """A row by its number in the file, what it says, and what that comes to."""

    number: int
    sent: Any
    result: ConsentRecord | Rejected


@dataclass(frozen=True, slots=True)
class Worker:
    """Imports parts."""

    files: Files
    progress: Progress
    ledger: Ledger
    senders: Callable[[str, Iterable[str]], Mapping[str, str]]
    """Returns the numbers of those of an organization's `phone_number_id`s that it owns."""

    def import_part(
        self, import_id: str, part: Part, now: datetime, time_left: Callable[[], float]
    ) -> Counts | None:
        """Store a part's rows, write those it refuses, and count them; once, however often called.

        Returns what became of the rows, or None where another run counted them, or the import has
        ended; it ends here where the object is gone.

        Raises:
            RowsNotStored: some rows could not be stored.
        """
        begun = self.progress.get(import_id)
        number, counts = part.place.part, None
        if not self.progress.is_done(import_id, number):
            if begun.outcome is not None:
                return None  # ended without this part, and reported by who ended it
            try:
                read = self._read(begun, part)
            except UnreadableFile as unreadable:  # deleted since it was cut
                fail(import_id, str(unreadable), self.progress, self.files, now)
                return None
            refused = [row for row in read if isinstance(row.result, Rejected)]
            stored = self._store(begun, read, time_left)
            if refused:
                lines = b"".join(_line(begun.drop.wire, row) for row in refused)
                self.files.write(begun.drop.rejected_key(number), lines)
            added = _counts(refused, stored)
            counts = added if self.progress.add(import_id, number, added) else None
        finish(import_id, self.progress, self.files, now)
        return counts

    def _read(self, begun: Import, part: Part) -> list[Row]:
        drop, now = begun.drop, begun.started_at
        numbered = [
            (number, _sent(record, begun))
            for number, record in enumerate(self._records(drop, part), part.place.row)
            if not rows.is_blank(record.content)
        ]
        if drop.wire is Wire.BULK_CONSENTS:
            return [Row(n, sent, bulk_consents.read(_item(sent), now)) for n, sent in numbered]
        ids = attested.phone_number_ids(sent for _, sent in numbered)
        reading = attested.Reading(now, self.senders(drop.org_id, ids))
        return [Row(number, sent, _attested(sent, reading)) for number, sent in numbered]

    def _records(self, drop: Drop, part: Part) -> Iterable[Record]:
        if part.too_long:
            return [Record(None, 0)]
        return rows.records([self.files.read_part(drop, part)], quoted=drop.is_csv)

    def _store(
        self, begun: Import, read: Sequence[Row], time_left: Callable[[], float]
    ) -> list[Arrival]:
        drop = begun.drop
        sound = {row.number: row.result for row in read if isinstance(row.result, ConsentRecord)}
        receipts = [Receipt(begun.started_at, f"{drop.import_id}/{number}") for number in sound]
        records = list(sound.values())
        arrivals = self.ledger.append_rows(drop.org_id, records, receipts, time_left)
        if Arrival.LOST in arrivals:
            raise RowsNotStored
        return arrivals


def _sent(record: Record, begun: Import) -> Any:
    """Return what a row says, or the `UnreadableRow` that it is."""
    try:
        if begun.drop.is_csv:
            return rows.csv_row(record.content, _header(begun))
        return rows.json_row(record.content)
    except UnreadableRow as unreadable:
        return unreadable


def _header(begun: Import) -> Sequence[str | None]:
    if begun.header is None:
        raise LookupError("a part came before the header of its file")
    return begun.header


def _item(sent: Any) -> Any:
    """Return an item of the bulk-consents wire, where one that cannot be read is None."""
    return None if isinstance(sent, UnreadableRow) else sent


def _attested(sent: Any, reading: attested.Reading) -> ConsentRecord | Rejected:
    if isinstance(sent, UnreadableRow):
        return Rejected("VALIDATION_FAILED", (Fault("", str(sent)),))
    return attested.read(sent, reading)


def _line(wire: Wire, row: Row) -> bytes:
    """Return a refused row as a line of the report."""
    rejected = row.result
    assert isinstance(rejected, Rejected)  # noqa: S101 - what the caller filtered by
    told: dict[str, Any] = {"row": row.number, "code": rejected.code}
    if wire is Wire.ATTESTED:
        return orjson.dumps(told | {"reason": attested.reason(rejected)}) + b"\n"
    told["reason"] = "; ".join(message for _, message in rejected.faults)
    if correlation_id := bulk_consents.echo(row.sent):
        told["correlation_id"] = correlation_id
    return orjson.dumps(told) + b"\n"


def _counts(refused: Iterable[Row], stored: Sequence[Arrival]) -> Counts:
    codes = Counter(row.result.code for row in refused if isinstance(row.result, Rejected))
    return Counts(stored.count(Arrival.NEW), stored.count(Arrival.DUPLICATE), dict(codes))


def fail(import_id: str, reason: str, progress: Progress, files: Files, now: datetime) -> None:
    """End an import that cannot go on, unless it has ended, and report it."""
    progress.end(import_id, FAILED, reason, now)
    finish(import_id, progress, files, now)


def finish(import_id: str, progress: Progress, files: Files, now: datetime) -> Import:
    """Report an import that is at its end, from where it was left, unless that is done."""
    reached = progress.get(import_id)
    if reached.outcome is None and reached.parts_done == reached.parts:
        reached = progress.end(import_id, COMPLETED, None, now)
    if reached.outcome is not None and not reached.is_reported:
        _report(reached, progress, files)
        progress.keep_reported(import_id)
    return reached


def _report(ended: Import, progress: Progress, files: Files) -> None:
    drop = ended.drop
    keys = [drop.rejected_key(part) for part in progress.refused_parts(drop.import_id)]
    in_pieces = len(keys) > PARTS_PER_PIECE
    if in_pieces:
        keys = _joined(keys, ended, progress, files)
    files.join(keys, drop.report_key("rejected.jsonl"), small=not in_pieces)
    files.write(drop.report_key("summary.json"), render_summary(ended))


def _joined(keys: Sequence[str], ended: Import, progress: Progress, files: Files) -> list[str]:
    """Join the refused rows of some parts at a time, and return the keys of these pieces."""
    pieces = []
    for number, some in enumerate(batched(keys, PARTS_PER_PIECE, strict=False), 1):
        piece = ended.drop.piece_key(number)
        if number > ended.pieces_joined:
            files.join(some, piece, small=True)
            progress.keep_joined(ended.drop.import_id, number)
        pieces.append(piece)
    return pieces
