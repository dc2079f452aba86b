"""Revocations: what they revoke, from when they count, and what they leave in force."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

import pytest
from consents.decisions.decide import speaking
from consents.decisions.revoke import Revocation, Revoked, Revoker
from consents.domain.errors import Unavailable
from consents.domain.outcome import InsertResult
from consents.domain.record import (
    EVERY_SENDER,
    ConsentRecord,
    Receipt,
    Status,
    StoredRecord,
    current,
    effective_at,
    is_opt_in,
    timestamp,
)
from consents.domain.rules import OptOutScope
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW, ORG_ID, RECEIPT, SENDER, statement

BOB, EVE = "+15554443333", "+15554443334"
OTHER = "123456"
IN, OUT = Status.OPT_IN, Status.OPT_OUT
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
NOW_TEXT = timestamp(NOW)


class Ledger:
    """Keeps what is inserted, as the ledger would; what is lost is not stored."""

    def __init__(self, *held: StoredRecord, lost: Sequence[str] = ()) -> None:
        self.held = list(held)
        self.inserted: list[ConsentRecord] = []
        self._lost = lost

    def insert(
        self,
        _org_id: str,
        records: Sequence[ConsentRecord],
        receipt: Receipt,
        _time_left: Callable[[], float],
    ) -> list[InsertResult]:
        return [self._insert(record, receipt) for record in records]

    def statements(
        self, _org_id: str, contacts: Iterable[str], _time_left: Callable[[], float]
    ) -> dict[str, list[StoredRecord]]:
        return {one: [held for held in self.held if held.contact == one] for one in contacts}

    def _insert(self, record: ConsentRecord, receipt: Receipt) -> InsertResult:
        if record.contact in self._lost:
            return InsertResult.LOST
        if record.digest() in {held.record_id for held in self.held}:
            return InsertResult.DUPLICATE
        self.inserted.append(record)
        at = effective_at(record.dated_at, receipt.received_at, record.not_before)
        self.held.append(
            statement(
                record.status,
                at,
                record.sender,
                contact=record.contact,
                record_id=record.digest(),
                received_at=receipt.received_at,
            )
        )
        return InsertResult.NEW


def revoke(
    ledger: Ledger,
    sender: str = SENDER,
    *,
    days_ago: int | None = None,
    seen: dict[str, list[StoredRecord]] | None = None,
    contacts: Sequence[str] = (BOB,),
    receipt: Receipt = RECEIPT,
    is_dry_run: bool = False,
) -> dict[str, Revoked]:
    """Revoke for contacts, from what was seen of them."""
    found = seen or ledger.statements(ORG_ID, contacts, lambda: 25)
    at = None if days_ago is None else NOW - days_ago * DAY
    revoker = Revoker(ORG_ID, ledger, ledger, receipt, lambda: 25, is_dry_run)
    return revoker.revoke(found, Revocation(sender, at, {"method": "sms_keyword"}))


def opted_in(days_ago: int = 1, sender: str = SENDER, record_id: str = "1" * 32) -> StoredRecord:
    return statement(IN, NOW - days_ago * DAY, sender, record_id=record_id)


# ---------------------------------------------------------------- Without a date


def test_a_revocation_names_what_it_revokes_and_counts_from_its_receipt() -> None:
    ledger = Ledger(opted_in())
    revoked = revoke(ledger)[BOB]

    assert ledger.inserted[0].evidence == {"method": "sms_keyword", "revokes": "1" * 32}
    assert revoked == Revoked(BOB, ledger.inserted[0].digest(), NOW_TEXT, False, False)


def test_a_revocation_of_nothing_names_nothing() -> None:
    ledger = Ledger()
    revoked = revoke(ledger)[BOB]

    assert ledger.inserted[0].evidence == {"method": "sms_keyword"}
    assert (revoked.opted_in, revoked.already_opted_out) == (False, False)


def test_a_revocation_counts_no_earlier_than_what_it_revokes() -> None:
    ahead = statement(IN, NOW + 50 * TICK, record_id="1" * 32)
    ledger = Ledger(ahead)

    assert revoke(ledger)[BOB].effective_at == timestamp(NOW + 50 * TICK)
    assert not is_opt_in(current(ledger.held))


def test_a_contact_who_opted_out_is_revoked_again() -> None:
    ledger = Ledger(statement(OUT, NOW - DAY, record_id="1" * 32))
    revoked = revoke(ledger)[BOB]

    assert len(ledger.inserted) == 1
    assert revoked.already_opted_out


def test_a_late_opt_in_between_two_revocations_does_not_count() -> None:
    ledger = Ledger(statement(OUT, NOW - 2 * DAY, record_id="1" * 32))
    revoke(ledger)
    ledger.held.append(opted_in(1, record_id="f" * 32))

    assert not is_opt_in(current(ledger.held))


def test_equal_revocations_that_race_are_one_record_with_one_receipt() -> None:
    ledger = Ledger(opted_in())
    seen = ledger.statements(ORG_ID, [BOB], lambda: 25)
    later = Receipt(NOW + TICK, "later")
    first, second = (revoke(ledger, seen=seen, receipt=receipt) for receipt in (RECEIPT, later))

    assert len(ledger.inserted) == 1
    assert first == second


def test_a_revocation_after_a_new_opt_in_is_another_record() -> None:
    ledger = Ledger(opted_in())
    revoke(ledger)
    ledger.held.append(statement(IN, NOW + DAY, record_id="2" * 32))
    revoke(ledger, receipt=Receipt(NOW + 2 * DAY, "later"))

    assert len(ledger.inserted) == 2


# ---------------------------------------------------------------- With a date


def test_a_dated_revocation_is_the_same_record_when_repeated() -> None:
    ledger = Ledger(opted_in(3))
    first = revoke(ledger, days_ago=1)[BOB]
    again = revoke(ledger, days_ago=1, receipt=Receipt(NOW + DAY, "later"))[BOB]

    assert len(ledger.inserted) == 1
    assert first.effective_at == again.effective_at == timestamp(NOW - DAY)
    assert (first.already_opted_out, again.already_opted_out) == (False, True)


def test_an_opt_in_after_the_date_of_a_revocation_stands() -> None:
    assert revoke(Ledger(opted_in(1)), days_ago=2)[BOB].opted_in
    assert not revoke(Ledger(opted_in(1)), days_ago=1)[BOB].opted_in


# ---------------------------------------------------------------- Every sender


def test_every_sender_is_revoked_by_one_record() -> None:
    ledger = Ledger(opted_in(), opted_in(2, OTHER, "2" * 32))
    revoked = revoke(ledger, EVERY_SENDER)[BOB]

    assert [record.sender for record in ledger.inserted] == [EVERY_SENDER]
    assert (revoked.opted_in, revoked.already_opted_out) == (False, False)
    again = revoke(ledger, EVERY_SENDER)[BOB]
    assert again.already_opted_out


def test_a_revocation_of_every_sender_names_all_opt_ins_in_force() -> None:
    first, second = opted_in(), opted_in(2, OTHER, "2" * 32)
    one, both = Ledger(first), Ledger(first, second)
    revoke(one, EVERY_SENDER)
    revoke(both, EVERY_SENDER)

    names = [ledger.inserted[0].evidence["revokes"] for ledger in (one, both)]
    assert len({*names}) == 2
    assert all(len(name) == 32 for name in names)


def test_an_opt_out_of_one_sender_does_not_count_for_every_sender() -> None:
    ledger = Ledger(statement(OUT, NOW - DAY, record_id="1" * 32))

    assert not revoke(ledger, EVERY_SENDER)[BOB].already_opted_out


def test_a_later_opt_in_of_any_sender_stands_after_a_dated_revocation() -> None:
    ledger = Ledger(opted_in(3), opted_in(1, OTHER, "2" * 32))

    assert revoke(ledger, EVERY_SENDER, days_ago=2)[BOB].opted_in


statuses = st.sampled_from([IN, OUT])
ledgers = st.lists(
    st.tuples(statuses, st.integers(-2, 2), st.sampled_from([SENDER, OTHER])), max_size=6
).map(
    lambda drawn: [
        statement(status, NOW + seconds * TICK, sender, record_id=f"{number:032x}")
        for number, (status, seconds, sender) in enumerate(drawn)
    ]
)


@given(held=ledgers, sender=st.sampled_from([SENDER, EVERY_SENDER]))
def test_after_a_revocation_no_record_seen_before_allows(
    held: list[StoredRecord], sender: str
) -> None:
    ledger = Ledger(*held)
    revoked = revoke(ledger, sender)[BOB]

    assert not revoked.opted_in
    for one in [SENDER, OTHER] if sender == EVERY_SENDER else [SENDER]:
        deciding = current(speaking(ledger.held, one, OptOutScope.SENDER))
        assert not is_opt_in(deciding)


# ---------------------------------------------------------------- Storage


def test_a_contact_whose_record_is_lost_is_absent() -> None:
    ledger = Ledger(opted_in(), lost=[EVE])

    assert revoke(ledger, contacts=[BOB, EVE]).keys() == {BOB}


def test_a_call_that_stores_nothing_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        revoke(Ledger(lost=[BOB]))


def test_a_dry_run_stores_nothing_and_shows_the_same() -> None:
    ledger = Ledger(opted_in())
    dry = revoke(ledger, is_dry_run=True)

    assert ledger.inserted == []
    assert dry == revoke(ledger)
