"""The records of a contact in the order of effect, and what each of them does now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from consents.decisions.check import latest
from consents.decisions.decide import Decision, Question, decide, speaking
from consents.domain.record import EVERY_SENDER, StoredRecord, newest_first, weight
from consents.domain.rules import Rules


class Standing(StrEnum):
    """What a record does now."""

    COUNTS = "counts"
    SUPERSEDED = "superseded"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Moment:
    """A record, what it does for its sender, and the other senders that it decides for."""

    record: StoredRecord
    standing: Standing
    also_for: Sequence[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """May a sender text the contact, and because of what."""

    sender: str
    decision: Decision[StoredRecord]


def verdicts(
    records: Sequence[StoredRecord],
    contact: str,
    senders: Sequence[str],
    rules: Rules,
    now: datetime,
) -> list[Verdict]:
    """Return the decision for each sender: those of the organization, and those with records."""
    named = sorted({*senders, *(record.sender for record in records)})
    at = latest(now, records)
    return [
        Verdict(sender, decide(records, Question(sender, contact, at, rules))) for sender in named
    ]


def timeline(
    records: Sequence[StoredRecord], found: Sequence[Verdict], rules: Rules
) -> list[Moment]:
    """Return all records, newest first, with what each does."""
    deciding: dict[str, list[str]] = {}
    for verdict in found:
        if verdict.decision.record is not None:
            deciding.setdefault(verdict.decision.record.record_id, []).append(verdict.sender)
    late = {
        record.record_id
        for sender in {record.sender for record in records}
        for record in _late(records, sender, rules)
    }
    return [_moment(record, deciding, late) for record in newest_first(records)]


def _moment(record: StoredRecord, deciding: Mapping[str, Sequence[str]], late: set[str]) -> Moment:
    senders = deciding.get(record.record_id, ())
    others = [one for one in senders if one not in (record.sender, EVERY_SENDER)]
    if senders:
        return Moment(record, Standing.COUNTS, others)
    return Moment(record, Standing.LATE if record.record_id in late else Standing.SUPERSEDED, ())


def _late(records: Sequence[StoredRecord], sender: str, rules: Rules) -> Iterator[StoredRecord]:
    """Return the records of a sender that never counted: a weightier one was received before."""
    speaks = speaking(records, sender, rules.opt_out_scope)
    greatest: tuple[str, str, str] | None = None
    for record in sorted(speaks, key=lambda one: (one.received_at, weight(one))):
        if greatest is not None and greatest > weight(record) and record.sender == sender:
            yield record
        greatest = max(greatest or weight(record), weight(record))
