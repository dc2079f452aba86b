"""Verify a decision that a caller kept: take it again from the records received by then."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from consents.decisions.decide import Decision, Question, decide
from consents.domain.record import Statement, timestamp


class Replayed(NamedTuple):
    """The decision taken again, and whether it agrees with the one that was kept."""

    decision: Decision[Any]
    agrees: bool


def replay(records: Iterable[Statement], question: Question, kept: dict[str, Any]) -> Replayed:
    """Decide as at `asked_at`. `kept` is a genuine result of a check."""
    by_then = timestamp(question.asked_at)
    decision = decide([one for one in records if one.received_at <= by_then], question)
    record_id = decision.record.record_id if decision.record else None
    kept_id = kept["record"]["record_id"] if kept["record"] else None
    now, then = (decision.reason, record_id), (kept["reason"], kept_id)
    return Replayed(decision, now == then)
