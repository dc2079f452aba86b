"""Stage 1: make the entries of changed records, and assign them positions in the log.

A batch is named by its content: the same changes, delivered again, are the same batch. Delivered
with other borders they make equal entries again, which count as one.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from aws_lambda_powertools import Logger
from cachetools import LRUCache

from consents.proof import bucket_keys, records, tlog
from consents.proof.batches import Batch
from consents.proof.entries import Kind, contact_tag, entry, organization_entry
from consents.proof.records import Item
from consents.proof.stores import BatchObjects, Positions

SEED_BYTES = 32
_CACHED_SEEDS = 10_000

log = Logger(child=True)


class Change(NamedTuple):
    """A change of an item of the ledger: the item before and after, None where there is no item."""

    old: Item | None
    new: Item | None


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals changes of the ledger."""

    positions: Positions
    objects: BatchObjects
    part_roots: Callable[[bytes], Iterable[bytes]] = bucket_keys.part_roots
    """Returns the roots of the parts of the key table of a seed, which takes a second."""

    seeds: LRUCache[str, bytes] = field(default_factory=lambda: LRUCache(_CACHED_SEEDS))

    def seal(self, changes: Iterable[Change], now: datetime) -> None:
        """Assign positions to the entries of all changes, or raise; a repeat assigns none."""
        entries = [one for change in changes for one in self._entries(change)]
        if entries:
            is_new = self.assign(entries, now)
            log.info("batch.sealed", entries=len(entries), is_new=is_new)

    def assign(self, entries: list[bytes], now: datetime) -> bool:
        """Assign positions to entries, or raise; return whether it was not done within a week."""
        return self.positions.assign(self.written(entries), now)

    def _entries(self, change: Change) -> Iterator[bytes]:
        """Return the entries of a change; an item that was there is logged before the new one."""
        if change.old is not None and records.is_record(change.old):
            yield self.entry(Kind.REMOVED, change.old)
        if change.new is not None and records.is_record(change.new):
            yield self.entry(Kind.RECORD if change.old is None else Kind.CHANGED, change.new)

    def entry(self, kind: Kind, item: Item) -> bytes:
        """Return the entry of an item, whose organization has one before it."""
        org_id, contact = records.subject(item)
        bucket = bucket_keys.bucket_of(org_id, contact)
        key = bucket_keys.bucket_key(self._seed(org_id), bucket)
        return entry(kind, contact_tag(key, org_id, contact), records.commitment(item, key))

    def _seed(self, org_id: str) -> bytes:
        seed = self.seeds.get(org_id)
        if seed is None:
            seed = self.positions.seed(org_id) or self._new_seed(org_id)
            self.seeds[org_id] = seed
        return seed

    def _new_seed(self, org_id: str) -> bytes:
        """Return the seed of a new organization, whose entry now has a position."""
        seed = secrets.token_bytes(SEED_BYTES)
        roots = [*self.part_roots(seed)]
        batch = self.written([organization_entry(org_id, tlog.tree_hash(roots))])
        if self.positions.add_organization(org_id, seed, roots, batch):
            return seed
        # Another sealer was faster: only its seed has an entry.
        kept = self.positions.seed(org_id)
        assert kept is not None  # noqa: S101 - a seed is never removed
        return kept

    def written(self, entries: list[bytes]) -> Batch:
        """Write the entries of a batch: they are there before they have positions."""
        batch = Batch.of(entries)
        self.objects.write_batch(batch.name, b"".join(entries))
        return batch
