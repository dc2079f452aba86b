"""Import a part of a file: validate its rows, store them, report the rejected ones, count all.

A part may come again at any time. All rows count as received when the import began, and a row's
receipt names its import and number, so that a repeat recognises its own records. A part's counts
are added once.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import orjson
from aws_lambda_powertools import Logger

from consents.aws import metrics
from consents.domain.outcome import InsertResult, Rejected
from consents.domain.record import ConsentRecord, Receipt
from consents.imports import rows
from consents.imports.import_state import Counts, Import
from consents.imports.parts import Part
from consents.imports.reporter import Reporter
from consents.imports.row_formats import ROW_FORMATS
from consents.imports.rows import Row, UnreadableFile, UnreadableRow
from consents.imports.stores import Files, Imports

log = Logger(child=True)


class RowsNotStored(Exception):
    """Rows of a part could not be stored: the part must come again."""


class Ledger(Protocol):
    """Where consent records are appended, never to change."""

    def append_rows(
        self,
        org_id: str,
        records: Sequence[ConsentRecord],
        receipts: Sequence[Receipt],
        time_left: Callable[[], float],
    ) -> list[InsertResult]:
        """Return, per record, whether it is new, was there before, or may not be stored."""


class ReadRow(NamedTuple):
    """A row: its number in the file, its content, and the record or faults it has."""

    number: int
    sent: Any
    result: ConsentRecord | Rejected


@dataclass(frozen=True, slots=True)
class Worker:
    """Imports parts."""

    files: Files
    imports: Imports
    ledger: Ledger
    reporter: Reporter
    senders: Callable[[str, Iterable[str]], Mapping[str, str]]
    """Returns the numbers of those of an organization's `phone_number_id`s that it owns."""

    def import_part(
        self, import_id: str, part: Part, now: datetime, time_left: Callable[[], float]
    ) -> None:
        """Store a part's rows, write the rejected ones, and count them once.

        Counts nothing where another run counted them or the import has ended, and goes on to report
        the import: a run that ended it may have crashed before. Fails it where the object is gone.

        Raises:
            RowsNotStored: some rows could not be stored.
        """
        begun = self.imports.get(import_id)
        number = part.place.part
        if begun.outcome is None and not self.imports.is_done(import_id, number):
            try:
                read = self._read(begun, part)
            except UnreadableFile as unreadable:  # deleted since it was cut
                self.reporter.fail(import_id, str(unreadable), now)
                return
            counts = self._stored(begun, number, read, time_left)
            if self.imports.add(import_id, number, counts):
                _report_part(import_id, number, counts)
        self.reporter.finish(import_id, now)

    def _stored(
        self,
        begun: Import,
        number: int,
        read: Sequence[ReadRow],
        time_left: Callable[[], float],
    ) -> Counts:
        """Store the valid rows and the report of the rejected ones, and return the counts."""
        results = self._append(begun, read, time_left)
        rejected = [row for row in read if isinstance(row.result, Rejected)]
        if rejected:
            lines = b"".join(_report_line(begun, row) for row in rejected)
            self.files.write(begun.drop.rejected_key(number), lines)
        codes = Counter(row.result.code for row in rejected if isinstance(row.result, Rejected))
        new, known = results.count(InsertResult.NEW), results.count(InsertResult.DUPLICATE)
        return Counts(new, known, dict(codes))

    def _read(self, begun: Import, part: Part) -> list[ReadRow]:
        drop = begun.drop
        numbered = [
            (number, _sent(row, begun))
            for number, row in enumerate(self._rows(begun, part), part.place.row)
            if not rows.is_blank(row.content)
        ]
        results = ROW_FORMATS[drop.wire].read(
            [sent for _, sent in numbered],
            begun.started_at,
            lambda ids: self.senders(drop.org_id, ids),
        )
        return [
            ReadRow(number, sent, result)
            for (number, sent), result in zip(numbered, results, strict=True)
        ]

    def _rows(self, begun: Import, part: Part) -> Iterable[Row]:
        if part.too_long:
            return [Row(None, 0)]
        return rows.split([self.files.read_part(begun.drop, part)], quoted=begun.drop.is_csv)

    def _append(
        self, begun: Import, read: Sequence[ReadRow], time_left: Callable[[], float]
    ) -> list[InsertResult]:
        drop = begun.drop
        valid = {row.number: row.result for row in read if isinstance(row.result, ConsentRecord)}
        receipts = [Receipt(begun.started_at, f"{drop.import_id}/{number}") for number in valid]
        records = list(valid.values())
        results = self.ledger.append_rows(drop.org_id, records, receipts, time_left)
        if InsertResult.LOST in results:
            raise RowsNotStored
        return results


def _sent(row: Row, begun: Import) -> Any:
    """Return the content of a row, or the `UnreadableRow` that says what is wrong with it."""
    try:
        if not begun.drop.is_csv:
            return rows.json_row(row.content)
        if begun.header is None:
            raise LookupError("a part came before the header of its file")
        return rows.csv_row(row.content, begun.header)
    except UnreadableRow as unreadable:
        return unreadable


def _report_line(begun: Import, row: ReadRow) -> bytes:
    """Return a rejected row as a line of the report."""
    assert isinstance(row.result, Rejected)  # noqa: S101 - the caller filtered
    reported = ROW_FORMATS[begun.drop.wire].report(row.sent, row.result)
    return orjson.dumps({"row": row.number} | reported) + b"\n"


def _report_part(import_id: str, number: int, counts: Counts) -> None:
    log.info("part.imported", import_id=import_id, part=number, rows=counts.rows, **asdict(counts))
    values = {
        "RecordsAccepted": counts.accepted,
        "RecordsDuplicate": counts.duplicates,
        "RecordsRejected": sum(counts.rejected.values()),
    }
    metrics.write(values, counts.rejected)
