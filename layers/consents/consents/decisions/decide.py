"""The decision: may this sender message this contact at this instant, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from consents.domain.record import EVERY_SENDER, Statement, Status, current, timestamp
from consents.domain.rules import NEVER, OptOutScope, Rules


class Reason(StrEnum):
    """Why a contact may or may not be messaged. Only `OPTED_IN` allows."""

    OPTED_IN = "OPTED_IN"
    OPTED_OUT = "OPTED_OUT"
    EXPIRED = "EXPIRED"
    NO_RECORD = "NO_RECORD"
    INVALID_CONTACT = "INVALID_CONTACT"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Question:
    """May this sender message this contact at `asked_at`?"""

    sender: str
    contact: str
    asked_at: datetime
    rules: Rules


@dataclass(frozen=True, slots=True)
class Decision[S: Statement]:
    """An answer, the record that decides, and the instant from which an opt-in no longer counts.

    `expires_at` is in `timestamp` form.
    """

    reason: Reason
    record: S | None = None
    expires_at: str | None = None

    @property
    def allowed(self) -> bool:
        """Return whether the contact may be messaged: every doubt is a no."""
        return self.reason is Reason.OPTED_IN


def speaking[S: Statement](records: Iterable[S], sender: str, scope: OptOutScope) -> list[S]:
    """Return the records of a contact that speak about a sender, in any order.

    Those of the sender, those of every sender, and, where an opt-out is one of the organization,
    the opt-outs of any other. About every sender only its records speak.
    """
    by_any = scope is OptOutScope.ORGANIZATION and sender != EVERY_SENDER
    return [
        record
        for record in records
        if record.sender == sender
        or record.sender == EVERY_SENDER
        or (by_any and record.status is Status.OPT_OUT)
    ]


def decide[S: Statement](records: Iterable[S], question: Question) -> Decision[S]:
    """Return the decision from all records of a contact: the latest that speaks decides."""
    rules = question.rules
    record = current(speaking(records, question.sender, rules.opt_out_scope))
    if record is None:
        return Decision(Reason.NO_RECORD)
    if record.status is Status.OPT_OUT:
        return Decision(Reason.OPTED_OUT, record)
    days = rules.days(question.contact)
    if days == NEVER:
        return Decision(Reason.OPTED_IN, record)
    end = _days_later(record.effective_at, days)
    reason = Reason.OPTED_IN if timestamp(question.asked_at) < end else Reason.EXPIRED
    return Decision(reason, record, end)


def _days_later(effective_at: str, days: int) -> str:
    return timestamp(datetime.fromisoformat(effective_at) + timedelta(days=days))
