"""Capturing records: the outcome of each, in the order of the input."""

from collections.abc import Callable, Sequence

import pytest
from consents.capture.capture import capture
from consents.domain.errors import Unavailable
from consents.domain.outcome import Fault, Outcome, Rejected, Stored
from consents.domain.record import ConsentRecord, Receipt
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import CHECKBOX, NOW, attested_record, with_field

RECEIPT = Receipt(NOW, "01JTBQH2FZ8K1RXC0WJ4Z9P3VM")
BAD = Rejected("VALIDATION_FAILED", (Fault("contact_number", "must be E.164"),))
ACCEPTED, UNAVAILABLE = Stored.ACCEPTED, Stored.UNAVAILABLE


class DictLedger:
    """A ledger in a dict, which cannot store the records of some contacts."""

    def __init__(self, *, out_of_reach: Sequence[str] = ()) -> None:
        self.held: dict[tuple[str, str], Receipt] = {}
        self.calls = 0
        self.seconds_left = 0.0
        self._out_of_reach = out_of_reach

    def append(
        self,
        org_id: str,
        records: Sequence[ConsentRecord],
        receipt: Receipt,
        time_left: Callable[[], float],
    ) -> list[bool]:
        self.calls += 1
        self.seconds_left = time_left()
        stored = [record.contact not in self._out_of_reach for record in records]
        for record, is_stored in zip(records, stored, strict=True):
            if is_stored:
                self.held.setdefault((org_id, record.digest()), receipt)
        return stored


def number(index: int) -> str:
    return f"+1555444{index:04}"


def good(index: int = 3333) -> ConsentRecord:
    return attested_record(with_field(CHECKBOX, "contact_number", number(index)))


def captured(
    records: Sequence[ConsentRecord | Rejected], ledger: DictLedger, receipt: Receipt = RECEIPT
) -> list[Outcome]:
    return capture(records, "org-1", ledger, receipt=receipt, time_left=lambda: 2.5)


def test_each_record_has_its_outcome_in_its_place() -> None:
    ledger = DictLedger(out_of_reach=[number(2), number(4)])
    outcomes = captured([BAD, good(1), good(2), BAD, good(3), good(4), BAD], ledger)
    assert outcomes == [BAD, ACCEPTED, UNAVAILABLE, BAD, ACCEPTED, UNAVAILABLE, BAD]


def test_only_records_without_faults_reach_the_ledger() -> None:
    ledger = DictLedger()
    captured([BAD, good(1), BAD, good(2)], ledger)
    assert ledger.held == {("org-1", good(index).digest()): RECEIPT for index in (1, 2)}


def test_all_records_are_stored_in_one_call_with_the_time_left() -> None:
    ledger = DictLedger()
    captured([good(index) for index in range(1000)], ledger)
    assert (ledger.calls, ledger.seconds_left) == (1, 2.5)


def test_a_record_sent_twice_is_accepted_twice_and_stored_once() -> None:
    ledger = DictLedger()
    assert captured([good(), good()], ledger) == [ACCEPTED, ACCEPTED]
    assert len(ledger.held) == 1


def test_a_repeated_request_keeps_the_first_receipt() -> None:
    ledger = DictLedger()
    captured([good()], ledger)
    assert captured([good()], ledger, Receipt(NOW, "second")) == [ACCEPTED]
    assert list(ledger.held.values()) == [RECEIPT]


def test_a_request_of_which_nothing_is_stored_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        captured([good()], DictLedger(out_of_reach=[number(3333)]))


def test_rejected_records_do_not_hide_that_nothing_is_stored() -> None:
    ledger = DictLedger(out_of_reach=[number(1), number(2)])
    with pytest.raises(Unavailable):
        captured([BAD, good(1), BAD, good(2)], ledger)


def test_one_stored_record_is_enough_for_a_response() -> None:
    ledger = DictLedger(out_of_reach=[number(1), number(2)])
    outcomes = captured([good(1), good(2), good(3)], ledger)
    assert outcomes == [UNAVAILABLE, UNAVAILABLE, ACCEPTED]


@pytest.mark.parametrize("records", [[], [BAD], [BAD, BAD]], ids=["none", "one", "two"])
def test_with_nothing_to_store_the_ledger_is_not_called(records: list[Rejected]) -> None:
    ledger = DictLedger()
    assert captured(records, ledger) == records
    assert ledger.calls == 0


def test_an_unavailable_request_has_retry_after() -> None:
    assert Unavailable().retry_after >= 1


@given(st.lists(st.none() | st.integers(0, 9), max_size=12), st.sets(st.integers(0, 9)))
def test_outcomes_always_align_with_the_input(kinds: list[int | None], lost: set[int]) -> None:
    ledger = DictLedger(out_of_reach=[number(index) for index in lost])
    expected = [
        BAD if kind is None else UNAVAILABLE if kind in lost else ACCEPTED for kind in kinds
    ]
    try:
        outcomes = captured([BAD if kind is None else good(kind) for kind in kinds], ledger)
    except Unavailable:
        assert UNAVAILABLE in expected
        assert ACCEPTED not in expected
    else:
        assert outcomes == expected
