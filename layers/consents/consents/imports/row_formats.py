"""The two formats of rows, one per API: columns of a CSV, validation, and lines of the report."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consents.capture import attested, bulk_consents
from consents.domain.outcome import Fault, Rejected
from consents.domain.record import ConsentRecord, Wire
from consents.http import rejections
from consents.imports.rows import UnreadableRow

type Senders = Callable[[Iterable[str]], Mapping[str, str]]
"""Returns the numbers of those `phone_number_id`s that the organization owns."""


@dataclass(frozen=True, slots=True)
class RowFormat:
    """A format of rows. What a row says is a JSON value, or why it cannot be read."""

    columns: Collection[str]
    """The columns that a CSV may have."""

    read: Callable[[Sequence[Any], datetime, Senders], list[ConsentRecord | Rejected]]
    """Validates rows that were received at an instant."""

    report: Callable[[Any, Rejected], dict[str, Any]]
    """Describes a rejected row, its number aside."""


def _read_attested(
    sent: Sequence[Any], received_at: datetime, senders: Senders
) -> list[ConsentRecord | Rejected]:
    context = attested.ReadContext(received_at, senders(attested.phone_number_ids(sent)))
    return [
        Rejected("VALIDATION_FAILED", (Fault("", str(one)),))
        if isinstance(one, UnreadableRow)
        else attested.read(one, context)
        for one in sent
    ]


def _report_attested(_sent: Any, rejected: Rejected) -> dict[str, Any]:
    return {"code": rejected.code, "reason": rejections.reason(rejected)}


def _read_bulk_consents(
    sent: Sequence[Any], received_at: datetime, _senders: Senders
) -> list[ConsentRecord | Rejected]:
    items = (None if isinstance(one, UnreadableRow) else one for one in sent)
    return [bulk_consents.read(item, received_at) for item in items]


def _report_bulk_consents(sent: Any, rejected: Rejected) -> dict[str, Any]:
    reason = "; ".join(message for _, message in rejected.faults)
    correlation_id = bulk_consents.echo(sent)
    echoed = {"correlation_id": correlation_id} if correlation_id else {}
    return {"code": rejected.code, "reason": reason} | echoed


ROW_FORMATS: Mapping[Wire, RowFormat] = {
    Wire.ATTESTED: RowFormat(attested.MESSAGES, _read_attested, _report_attested),
    Wire.BULK_CONSENTS: RowFormat(bulk_consents.TOKENS, _read_bulk_consents, _report_bulk_consents),
}
