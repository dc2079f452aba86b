"""Records that were not accepted, as the Attested Consent API and revocations list them."""

from collections.abc import Sequence
from typing import Any

from consents.domain.outcome import Outcome, Rejected, Stored


def listed(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return each record that was not accepted, by its index in the input."""
    return [
        {"index": index, "code": _code(outcome), "reason": reason(outcome)}
        for index, outcome in enumerate(outcomes)
        if outcome is not Stored.ACCEPTED
    ]


def _code(outcome: Outcome) -> str:
    return outcome.code if isinstance(outcome, Rejected) else "UNAVAILABLE"


def reason(outcome: Outcome) -> str:
    """Return all faults of a rejected record in one line, in field order."""
    if not isinstance(outcome, Rejected):
        return "may not have been stored; repeat the same call"
    return "; ".join(
        f"{field}: {message}" if field else message for field, message in outcome.faults
    )
