"""Reconcile the log with the ledger: log records that have no leaf, and repair lost positions.

What is published never changes. Where publishing halts, because a table was restored or a batch
is lost, positions go on from the published log, and lost entries make room for missing ones.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import batched, chain, islice
from typing import NamedTuple, Protocol

from consents.domain.record import timestamp
from consents.proof.batches import Batch
from consents.proof.comparison import Comparison
from consents.proof.entries import NO_HASH, Kind, entry, leaf_of, organization_entry, others_in
from consents.proof.pending import Gap, Pending, ReadBatches, read_pending
from consents.proof.records import Item, is_record, subject
from consents.proof.seal import Sealer
from consents.proof.snapshot import Snapshot
from consents.proof.stores import AssignedBatches
from consents.proof.tiles import WIDTH
from consents.proof.tlog import tree_hash

ENTRIES_PER_BATCH = 4000
END_OF_BACKFILL = entry(Kind.BACKFILLED, NO_HASH, NO_HASH)


class Assigned(AssignedBatches, Protocol):
    """Where positions are assigned, and can be given to another batch."""

    def replace(self, start: int, batch: Batch, instead_of: Batch | None) -> None:
        """Give the positions from `start` to a batch, or raise `PositionTaken`."""

    def continue_from(self, end: int) -> None:
        """Assign no position below `end` from now on."""

    def part_roots(self, org_id: str) -> list[bytes]:
        """Return the roots of the parts of an organization's key table."""


class Found(NamedTuple):
    """How many records were checked, had no leaf and are logged now, and leaves without record."""

    checked: int
    without_leaf: int
    logged: int
    without_record: list[int]


class MustBackfill(Exception):
    """Records are older than the log, and not logged as such. The argument is their number."""


class IsBackfilled(Exception):
    """The log was backfilled: what is logged as older than the log from now on is late."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Reconciles a log, as it is published, with the items of the ledger."""

    log: Snapshot
    positions: Assigned
    read: ReadBatches
    sealer: Sealer

    def reconcile(
        self, items: Iterable[Item], began: datetime, since: datetime | None, before: datetime
    ) -> Found:
        """Repair positions, and log records received in a time that have no leaf.

        Raises:
            MustBackfill: records without a leaf were received before the log began.
            PositionTaken: another process repairs positions.
        """
        self._continue_published()
        start, end = timestamp(since) if since else "", timestamp(before)
        with closing(Comparison()) as compared:
            org_ids: set[str] = set()
            records = _noting(filter(is_record, items), org_ids)
            checked, pending = self._compare(compared, records)
            old = compared.count_without_leaf(start, timestamp(min(began, before)))
            if old and not compared.has_leaf(NO_HASH):
                raise MustBackfill(old)
            without_leaf = compared.count_without_leaf("", end)
            logged = compared.count_without_leaf(start, end)
            missing = chain(
                self._lost_organizations(compared, org_ids),
                compared.without_leaf(Kind.RECORD, start, end),
            )
            for gap in pending.gaps:
                self._fill(gap, missing, pending)
            self._assign(missing, before)
            return Found(checked, without_leaf, logged, [*compared.without_record()])

    def backfill(self, items: Iterable[Item], began: datetime, now: datetime) -> Found:
        """Log the records that are older than the log, then the end of the backfill.

        Raises:
            IsBackfilled: that was done before.
        """
        end = timestamp(began)
        with closing(Comparison()) as compared:
            checked, _ = self._compare(compared, filter(is_record, items))
            if compared.has_leaf(NO_HASH):
                raise IsBackfilled
            logged = compared.count_without_leaf("", end)
            self._assign(compared.without_leaf(Kind.BACKFILLED, "", end), now)
        self._assign([END_OF_BACKFILL], now)
        return Found(checked, logged, logged, [])

    def _compare(self, compared: Comparison, records: Iterable[Item]) -> tuple[int, Pending]:
        """Compare records with the log; return how many there are, and what is pending.

        The records are read first: so none of their leaves can be missed.
        """
        checked = compared.add_records(
            (self.sealer.entry(Kind.RECORD, one), _received_at(one)) for one in records
        )
        pending = read_pending(self.positions, self.read, self.log.size)
        bundles = self.log.each(self.log.tree.entries, range(-(-self.log.size // WIDTH)))
        compared.add_leaves(enumerate(chain.from_iterable(bundles)))
        compared.add_leaves((leaf_of(number), one) for number, one in pending.entries)
        return checked, pending

    def _lost_organizations(self, compared: Comparison, org_ids: Iterable[str]) -> Iterator[bytes]:
        """Return the entries of organizations that the log lacks: their batch is lost."""
        for org_id in sorted(org_ids):
            root = tree_hash(self.positions.part_roots(org_id))
            if not compared.has_leaf(root):
                yield organization_entry(org_id, root)

    def _continue_published(self) -> None:
        """Let positions go on from the published log: a restored table knows of another end."""
        end = others_in(self.log.size)
        if not end:
            return
        before = self.positions.batch_before(end)
        if before is None or (before.end, before.batch.last) != (end, self._last_published()):
            instead_of = before.batch if before and before.start == end - 1 else None
            self.positions.replace(end - 1, Batch.of([self._last_published()]), instead_of)
        self.positions.continue_from(end)

    def _last_published(self) -> bytes:
        """Return the last published entry that is not of kind `LOG`."""
        return self.log.entry(leaf_of(others_in(self.log.size) - 1))

    def _fill(self, gap: Gap, missing: Iterator[bytes], pending: Pending) -> None:
        """Give lost positions to missing entries, or to repeats: equal entries count as one."""
        count = gap.end - gap.start
        entries = [*islice(missing, count)] or self._repeatable(pending)
        entries += entries[-1:] * (count - len(entries))
        if entries:
            self.positions.replace(gap.start, self.sealer.written(entries), gap.batch)

    def _repeatable(self, pending: Pending) -> list[bytes]:
        """Return an entry that can be repeated, or nothing where the log has none."""
        if others_in(self.log.size):
            return [self._last_published()]
        return [one for _, one in pending.entries[-1:]]

    def _assign(self, entries: Iterable[bytes], now: datetime) -> None:
        for some in batched(entries, ENTRIES_PER_BATCH, strict=False):
            self.sealer.assign([*some], now)


def _noting(records: Iterable[Item], org_ids: set[str]) -> Iterator[Item]:
    """Return records, and add their organizations to a set."""
    for one in records:
        org_ids.add(subject(one)[0])
        yield one


def _received_at(item: Item) -> str:
    """Return when a record was received; empty where no code of this project wrote it."""
    return str(item.get("received_at", {}).get("S", ""))
