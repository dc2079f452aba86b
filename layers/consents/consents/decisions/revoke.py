"""Take consent back: one opt-out per contact, for a sender or for every sender."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple, Protocol

from consents.decisions.decide import speaking
from consents.domain.errors import Unavailable
from consents.domain.outcome import InsertResult
from consents.domain.record import (
    EVERY_SENDER,
    REVOCATION,
    ConsentRecord,
    Receipt,
    Statement,
    Status,
    current,
    effective_at,
    is_opt_in,
    timestamp,
)
from consents.domain.rules import OptOutScope

type Statements = Mapping[str, Sequence[Statement]]
"""All that the ledger holds of each contact, as far as it could be read."""


class Ledger(Protocol):
    """Where revocations are appended, never to change."""

    def insert(
        self,
        org_id: str,
        records: Sequence[ConsentRecord],
        receipt: Receipt,
        time_left: Callable[[], float],
    ) -> list[InsertResult]:
        """Insert records and return, per record, whether it is new."""


class Reader(Protocol):
    """Reads what contacts have stated."""

    def statements(
        self, org_id: str, contacts: Iterable[str], time_left: Callable[[], float]
    ) -> Statements:
        """Return what each contact has stated; one that could not be read in time is absent."""


class Revocation(NamedTuple):
    """How contacts revoked: for which sender, since when if they said so, and the evidence."""

    sender: str
    revoked_at: datetime | None
    evidence: Mapping[str, str]


class Standing(NamedTuple):
    """What is in force before a revocation. Rules play no part: they may change."""

    revokes: str | None
    not_before: datetime | None
    is_opted_out: bool


@dataclass(frozen=True, slots=True)
class Revoked:
    """A revocation that the ledger holds. `opted_in`: an opt-in that is later still stands."""

    contact: str
    record_id: str
    effective_at: str
    opted_in: bool
    already_opted_out: bool


class _NewStatement(NamedTuple):
    sender: str
    status: Status
    effective_at: str
    received_at: str
    record_id: str


@dataclass(frozen=True, slots=True)
class Revoker:
    """Stores revocations. A dry run stores nothing, and returns what would be."""

    org_id: str
    ledger: Ledger
    reader: Reader
    receipt: Receipt
    time_left: Callable[[], float]
    is_dry_run: bool = False

    def revoke(self, found: Statements, revocation: Revocation) -> dict[str, Revoked]:
        """Revoke for each contact that was read, and return those whose record is stored.

        A revocation is stored also where an opt-out decides already: an opt-in that is dated
        between the two and arrives later must not count.

        Raises:
            Unavailable: there were contacts, and no record is known to be stored.
        """
        records = {one: _record(one, revocation, found[one]) for one in found}
        results = self._insert(records)
        stored = [one for one in found if results[one] is not InsertResult.LOST]
        if found and not stored:
            raise Unavailable
        held = [one for one in stored if results[one] is InsertResult.DUPLICATE]
        after = {**found, **self._read_again([records[one] for one in held], found)}
        return {
            one: self._result(records[one], before=found[one], after=after[one]) for one in stored
        }

    def _read_again(self, held: Sequence[ConsentRecord], found: Statements) -> Statements:
        """Return what contacts state whose record another call has inserted since they were read.

        The receipt of that call stands.
        """
        raced = [one.contact for one in held if not _held(one, found[one.contact])]
        return self.reader.statements(self.org_id, raced, self.time_left) if raced else {}

    def _insert(self, records: Mapping[str, ConsentRecord]) -> dict[str, InsertResult]:
        if self.is_dry_run or not records:
            return dict.fromkeys(records, InsertResult.NEW)
        results = self.ledger.insert(self.org_id, [*records.values()], self.receipt, self.time_left)
        return dict(zip(records, results, strict=True))

    def _result(
        self, record: ConsentRecord, *, before: Sequence[Statement], after: Sequence[Statement]
    ) -> Revoked:
        stated = _held(record, after) or self._stated(record)
        return Revoked(
            record.contact,
            stated.record_id,
            stated.effective_at,
            _may_message([*after, stated], record.sender),
            _standing(before, record.sender).is_opted_out,
        )

    def _stated(self, record: ConsentRecord) -> Statement:
        received_at = self.receipt.received_at
        counts_from = effective_at(record.dated_at, received_at, record.not_before)
        return _NewStatement(
            record.sender,
            record.status,
            timestamp(counts_from),
            timestamp(received_at),
            record.digest(),
        )


def _record(contact: str, revocation: Revocation, before: Sequence[Statement]) -> ConsentRecord:
    """Return the record of a revocation.

    Without a date its content names what it revokes: equal revocations that race are one record,
    one after a new opt-in is another. It counts no earlier than what it revokes, whatever clocks
    say.
    """
    evidence, not_before = revocation.evidence, None
    if revocation.revoked_at is None:
        standing = _standing(before, revocation.sender)
        not_before = standing.not_before
        if standing.revokes:
            evidence = {**evidence, "revokes": standing.revokes}
    return ConsentRecord(
        REVOCATION,
        revocation.sender,
        contact,
        Status.OPT_OUT,
        revocation.revoked_at,
        evidence,
        not_before=not_before,
    )


def _standing(records: Sequence[Statement], sender: str) -> Standing:
    if sender == EVERY_SENDER:
        return _standing_of_all(records)
    deciding = _deciding(records, sender)
    if deciding is None:
        return Standing(None, None, is_opted_out=False)
    at = datetime.fromisoformat(deciding.effective_at)
    return Standing(deciding.record_id, at, deciding.status is Status.OPT_OUT)


def _standing_of_all(records: Sequence[Statement]) -> Standing:
    """Return what a revocation for every sender revokes: all opt-ins in force, and its forerunner.

    `revokes` is a digest of their ids.
    """
    in_force = _opt_ins_in_force(records)
    forerunner = current(record for record in records if record.sender == EVERY_SENDER)
    revoked = [*in_force, forerunner] if forerunner else in_force
    if not revoked:
        return Standing(None, None, is_opted_out=False)
    ids = sorted({record.record_id for record in revoked})
    digest = sha256("\n".join(ids).encode()).hexdigest()[:32]
    latest = max(record.effective_at for record in revoked)
    return Standing(digest, datetime.fromisoformat(latest), is_opted_out=not in_force)


def _opt_ins_in_force(records: Sequence[Statement]) -> list[Statement]:
    senders = {record.sender for record in records} - {EVERY_SENDER}
    deciding = (_deciding(records, sender) for sender in sorted(senders))
    return [record for record in deciding if record and is_opt_in(record)]


def _deciding(records: Sequence[Statement], sender: str) -> Statement | None:
    return current(speaking(records, sender, OptOutScope.SENDER))


def _may_message(records: Sequence[Statement], sender: str) -> bool:
    """Return whether the sender, or for every sender any of them, may still message."""
    if sender == EVERY_SENDER:
        return bool(_opt_ins_in_force(records))
    return is_opt_in(_deciding(records, sender))


def _held(record: ConsentRecord, records: Iterable[Statement]) -> Statement | None:
    """Return a record among those that were read, by its sender and its content."""
    name = record.sender, record.digest()
    return next((one for one in records if (one.sender, one.record_id) == name), None)
