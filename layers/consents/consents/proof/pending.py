"""What has a position and is not published yet: entries, and gaps where publishing halts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from consents.proof.batches import Batch, Position
from consents.proof.entries import others_in
from consents.proof.stores import AssignedBatches
from consents.proof.tiles import NotStored

type ReadBatches = Callable[[Sequence[str]], Iterable[bytes]]
"""Returns the entries of batches by their names, or raises `NotStored`."""


class Gap(NamedTuple):
    """Positions whose entries are lost, and the batch that has them, if any."""

    start: int
    end: int
    batch: Batch | None = None


@dataclass(slots=True)
class Pending:
    """Entries with their numbers, of those that are not of kind `LOG`, and the gaps."""

    entries: list[tuple[int, bytes]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


def read_pending(assigned: AssignedBatches, read: ReadBatches, size: int) -> Pending:
    """Return what has a position beyond a published size."""
    number, end = others_in(size), assigned.count()
    pending = Pending()
    for position in assigned.batches(number, end) if number < end else ():
        if position.start > number:
            pending.gaps.append(Gap(number, position.start))
        entries = _entries(position, read)
        if entries is None:
            pending.gaps.append(Gap(position.start, position.end, position.batch))
        else:
            pending.entries += enumerate(entries, position.start)
        number = position.end
    if number < end:
        pending.gaps.append(Gap(number, end))
    return pending


def _entries(position: Position, read: ReadBatches) -> list[bytes] | None:
    try:
        (content,) = read([position.batch.name])
    except NotStored:
        return None
    return position.batch.split(content)
