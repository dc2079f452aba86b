"""What of a contact is not in the published log yet, though nothing is wrong."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain

from consents.proof.entries import others_in, tag_of
from consents.proof.records import Item
from consents.proof.stores import AssignedBatches
from consents.proof.tiles import NotStored

MERGE_DELAY = timedelta(minutes=5)
"""How long a record may wait for its leaf, and how far clocks may differ."""

FILE_DELAY = timedelta(days=1)
"""The same for a row of a file: it is received with its file, and stored later."""


def awaits_leaf(item: Item, now: datetime) -> bool:
    """Return whether a record is so new that its leaf may still come."""
    try:
        age = now - datetime.fromisoformat(item["received_at"]["S"])
    except (KeyError, TypeError, ValueError):  # no code of this project wrote it
        return False
    is_row = "/" in item.get("request_id", {}).get("S", "")
    return -MERGE_DELAY <= age <= (FILE_DELAY if is_row else MERGE_DELAY)


def has_pending(
    assigned: AssignedBatches,
    read: Callable[[Sequence[str]], Iterable[bytes]],
    size: int,
    tags: Sequence[bytes],
) -> bool:
    """Return whether entries with some tags have a position beyond the published size.

    `read` returns the entries of batches by their names.
    """
    start, end = others_in(size), assigned.count()
    batches = [one.batch for one in assigned.batches(start, end)] if start < end else []
    try:
        contents = [*read([batch.name for batch in batches])]
    except NotStored:  # it was removed by hand, and never comes: publishing halts
        return False
    pairs = zip(batches, contents, strict=True)
    entries = chain.from_iterable(batch.split(content) or [] for batch, content in pairs)
    return any(tag_of(entry) in tags for entry in entries)
