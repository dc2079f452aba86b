"""Checking contacts: from the records that were read, at an instant after each of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

from consents.decisions.check import Asker, check
from consents.domain.record import Status, StoredRecord
from consents.domain.rules import Rules

from tests.factories import NOW, ORG_ID, SENDER, statement

BOB, EVE = "+15554443333", "+15554443334"
ASKER = Asker(ORG_ID, SENDER, Rules())
SECOND = timedelta(seconds=1)


class Ledger:
    """What contacts have stated; the others cannot be read."""

    def __init__(self, found: Mapping[str, Sequence[StoredRecord]]) -> None:
        self._found = found
        self.asked: list[str] = []

    def statements(
        self, _org_id: str, contacts: Iterable[str], _time_left: Callable[[], float]
    ) -> Mapping[str, Sequence[StoredRecord]]:
        self.asked += contacts
        return {contact: self._found[contact] for contact in self.asked if contact in self._found}


def reasons(ledger: Ledger, *contacts: object, rules: Rules = ASKER.rules) -> list[str]:
    asker = Asker(ORG_ID, SENDER, rules)
    answer = check(contacts, asker, ledger, now=NOW, time_left=lambda: 25)
    return [decision.reason for _, decision in answer.results]


def test_a_contact_that_cannot_be_read_is_unavailable() -> None:
    ledger = Ledger({BOB: [statement(Status.OPT_IN, NOW)]})

    assert reasons(ledger, EVE, BOB) == ["UNAVAILABLE", "OPTED_IN"]


def test_a_check_without_a_valid_contact_reads_nothing() -> None:
    ledger = Ledger({})

    assert reasons(ledger, "+19", None, 5) == ["INVALID_CONTACT"] * 3
    assert ledger.asked == []


def test_a_contact_listed_twice_is_read_once() -> None:
    ledger = Ledger({BOB: []})

    assert reasons(ledger, BOB, BOB) == ["NO_RECORD"] * 2
    assert ledger.asked == [BOB]


def test_the_instant_is_never_before_a_receipt_that_was_read() -> None:
    ahead = NOW + SECOND
    ledger = Ledger({BOB: [statement(Status.OPT_OUT, NOW, received_at=ahead)], EVE: []})

    assert check([EVE, BOB], ASKER, ledger, now=NOW, time_left=lambda: 25).asked_at == ahead
    assert check([BOB], ASKER, ledger, now=ahead + SECOND, time_left=lambda: 25).asked_at == (
        ahead + SECOND
    )


def test_expiry_is_judged_at_the_instant_of_the_answer() -> None:
    opted_in_at = NOW - timedelta(days=1) + SECOND
    ahead = statement(Status.OPT_OUT, NOW - 9 * timedelta(days=1), received_at=NOW + SECOND)
    ledger = Ledger({BOB: [statement(Status.OPT_IN, opted_in_at)], EVE: [ahead]})
    rules = Rules(1, opt_in_expires={"+": 1})

    assert reasons(ledger, BOB, EVE, rules=rules) == ["EXPIRED", "OPTED_OUT"]
