"""Capture consent records: what both wires and the file drops share."""

from collections.abc import Callable, Sequence
from typing import Protocol

from consents.domain.errors import Unavailable
from consents.domain.outcome import Outcome, Rejected, Stored
from consents.domain.record import ConsentRecord, Receipt


class Ledger(Protocol):
    """Where consent records are kept, never to be changed."""

    def append(
        self,
        organization_id: str,
        records: Sequence[ConsentRecord],
        receipt: Receipt,
        time_left: Callable[[], float],
    ) -> list[bool]:
        """Tell of each record whether it is in the ledger, now or from before."""


def capture(
    records: Sequence[ConsentRecord | Rejected],
    organization_id: str,
    ledger: Ledger,
    *,
    receipt: Receipt,
    time_left: Callable[[], float],
) -> list[Outcome]:
    """Store the records without faults and return what became of each, in the order given.

    Args:
        time_left: seconds until the caller must be answered.

    Raises:
        Unavailable: there were records to store and none could be.
    """
    sound = [record for record in records if isinstance(record, ConsentRecord)]
    stored = ledger.append(organization_id, sound, receipt, time_left) if sound else []
    if sound and not any(stored):
        raise Unavailable
    became = iter(stored)
    return [
        record if isinstance(record, Rejected) else _told(in_ledger=next(became))
        for record in records
    ]


def _told(*, in_ledger: bool) -> Stored:
    return Stored.ACCEPTED if in_ledger else Stored.UNAVAILABLE
