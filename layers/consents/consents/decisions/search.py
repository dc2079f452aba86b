"""Consents of a contact as they are now, and their history."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise

from consents.decisions.check import latest
from consents.decisions.consent_ids import Pair
from consents.decisions.decide import Decision, Question, decide, speaking
from consents.domain.errors import NotFound
from consents.domain.record import Status, StoredRecord, current, newest_first, weight
from consents.domain.rules import Rules


@dataclass(frozen=True, slots=True)
class Consent:
    """A contact's consent for a sender, or for every sender. Times are in `timestamp` form."""

    pair: Pair
    decision: Decision[StoredRecord]
    opted_in_at: str | None
    opted_out_at: str | None
    phone_number_id: str | None
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class Event:
    """A record in the order of effect. `kind` is `opt_in`, `opt_out` or `reconfirm`."""

    record: StoredRecord
    kind: str


def find_consents(
    records: Sequence[StoredRecord], contact: str, rules: Rules, now: datetime
) -> list[Consent]:
    """Return a contact's consents: one per sender with records, in order, every sender first."""
    senders = sorted({record.sender for record in records})
    found = (find_consent(records, Pair(sender, contact), rules, now) for sender in senders)
    return [consent for consent in found if consent]


def find_consent(
    records: Sequence[StoredRecord], pair: Pair, rules: Rules, now: datetime
) -> Consent | None:
    """Return a consent as it is at an instant, from all records of its contact.

    It exists as soon as a record speaks about it, one of every sender too.
    """
    speaks = speaking(records, pair.sender, rules.opt_out_scope)
    if not speaks:
        return None
    own = [record for record in records if record.sender == pair.sender]
    receipts = [record.received_at for record in own or speaks]
    named = current(record for record in own if record.phone_number_id)
    asked_at = latest(now, records)
    return Consent(
        pair,
        decide(speaks, Question(pair.sender, pair.contact, asked_at, rules)),
        _newest(speaks, Status.OPT_IN),
        _newest(speaks, Status.OPT_OUT),
        named.phone_number_id if named else None,
        min(receipts),
        max(receipts),
    )


def get_consent(
    records: Sequence[StoredRecord], pair: Pair, rules: Rules, now: datetime
) -> Consent:
    """Return a consent as `find_consent` does, or raise `NotFound`."""
    found = find_consent(records, pair, rules, now)
    if found is None:
        raise NotFound
    return found


def find_history(records: Sequence[StoredRecord], sender: str, rules: Rules) -> list[Event]:
    """Return the records that speak about a sender, in the order of effect, newest first."""
    ordered = newest_first(speaking(records, sender, rules.opt_out_scope))
    return list(_events(ordered))


def find_all_events(records: Sequence[StoredRecord]) -> list[Event]:
    """Return all records of a contact, sender by sender, each in the order of effect."""
    by_sender = sorted(newest_first(records), key=lambda record: record.sender)
    groups = groupby(by_sender, key=lambda record: record.sender)
    return [event for _, own in groups for event in _events([*own])]


def page_after(events: Sequence[Event], position: str | None) -> list[Event]:
    """Return the events after a position, which stays good while records are added."""
    if position is None:
        return list(events)
    effective_at, status, record_id = position.split("#")
    before = effective_at, Status(status), record_id
    return [event for event in events if weight(event.record) < before]


def position_of(event: Event) -> str:
    """Return the position of an event in its history: it holds no phone number."""
    return "#".join(weight(event.record))


def _events(newest_first: Sequence[StoredRecord]) -> Iterator[Event]:
    for record, before in pairwise([*newest_first, None]):
        if record is not None:
            yield Event(record, _kind(record, before))


def _kind(record: StoredRecord, before: StoredRecord | None) -> str:
    if record.status is Status.OPT_OUT:
        return "opt_out"
    return "reconfirm" if before and before.status is Status.OPT_IN else "opt_in"


def _newest(records: Sequence[StoredRecord], status: Status) -> str | None:
    dates = (record.effective_at for record in records if record.status is status)
    return max(dates, default=None)
