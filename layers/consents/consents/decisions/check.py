"""Check contacts: decide for each of them, from what the ledger holds now."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from consents.decisions.decide import Decision, Question, Reason, decide
from consents.domain.formats import is_contact
from consents.domain.record import Statement
from consents.domain.rules import Rules


class Reader[S: Statement](Protocol):
    """Reads what contacts have stated."""

    def statements(
        self, org_id: str, contacts: Iterable[str], time_left: Callable[[], float]
    ) -> Mapping[str, Sequence[S]]:
        """Return what each contact has stated; one that could not be read in time is absent.

        Raises:
            Unavailable: there are contacts, and none could be read.
        """


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, about which sender, under which rules."""

    org_id: str
    sender: str
    rules: Rules


@dataclass(frozen=True, slots=True)
class Answer[S: Statement]:
    """The decision of each contact, None for one that is not a possible number, in input order."""

    asked_at: datetime
    results: list[tuple[str | None, Decision[S]]]


def check[S: Statement](
    contacts: Sequence[Any],
    asker: Asker,
    reader: Reader[S],
    *,
    now: datetime,
    time_left: Callable[[], float],
) -> Answer[S]:
    """Decide for each contact; a contact that is listed twice is read once.

    Args:
        now: the receipt of the request.
        time_left: seconds until the response must be written.

    Raises:
        Unavailable: there are valid contacts, and none could be read.
    """
    wanted = valid_contacts(contacts)
    found = reader.statements(asker.org_id, wanted, time_left)
    asked_at = latest(now, (each for statements in found.values() for each in statements))
    decided = {contact: _decision(contact, found, asker, asked_at) for contact in wanted}
    invalid = None, Decision[S](Reason.INVALID_CONTACT)
    return Answer(
        asked_at,
        [
            (one, decided[one]) if isinstance(one, str) and one in decided else invalid
            for one in contacts
        ],
    )


def valid_contacts(contacts: Iterable[Any]) -> set[str]:
    """Return the possible numbers among what was sent as contacts."""
    return {contact for contact in contacts if is_contact(contact)}


def latest(now: datetime, statements: Iterable[Statement]) -> datetime:
    """Return the later of an instant and of all receipts: another function's clock may be ahead."""
    received_at = max((each.received_at for each in statements), default=None)
    return now if received_at is None else max(now, datetime.fromisoformat(received_at))


def _decision[S: Statement](
    contact: str, found: Mapping[str, Sequence[S]], asker: Asker, asked_at: datetime
) -> Decision[S]:
    if contact not in found:
        return Decision(Reason.UNAVAILABLE)
    return decide(found[contact], Question(asker.sender, contact, asked_at, asker.rules))
