"""Capture consent records: the use case that both APIs share."""

from collections.abc import Callable, Sequence
from typing import Protocol

from consents.domain.errors import Unavailable
from consents.domain.outcome import Outcome, Rejected, Stored
from consents.domain.record import ConsentRecord, Receipt


class Ledger(Protocol):
    """Where consent records are appended, never to change."""

    def append(
        self,
        org_id: str,
        records: Sequence[ConsentRecord],
        receipt: Receipt,
        time_left: Callable[[], float],
    ) -> list[bool]:
        """Return, per record, whether the ledger now holds it."""


def capture(
    records: Sequence[ConsentRecord | Rejected],
    org_id: str,
    ledger: Ledger,
    *,
    receipt: Receipt,
    time_left: Callable[[], float],
    is_dry_run: bool = False,
) -> list[Outcome]:
    """Store the valid records and return the outcome of each record, in input order.

    Args:
        time_left: seconds until the response must be written.
        is_dry_run: whether to store nothing, and return what the outcomes would be.

    Raises:
        Unavailable: there were records to store and none is known to be stored.
    """
    valid = [record for record in records if isinstance(record, ConsentRecord)]
    stored = [True] * len(valid)
    if valid and not is_dry_run:
        stored = ledger.append(org_id, valid, receipt, time_left)
    if valid and not any(stored):
        raise Unavailable
    results = (Stored.ACCEPTED if in_ledger else Stored.UNAVAILABLE for in_ledger in stored)
    return [record if isinstance(record, Rejected) else next(results) for record in records]
