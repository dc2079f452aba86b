"""The log's table: which positions are assigned to which batch, and the organizations' seeds.

A position is assigned in one transaction, which also writes what makes a repeat fail: the name of
the batch, or the organization whose first entry it is.
"""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from consents.aws.dynamodb import Table, Values, attempts, encode_item
from consents.domain.errors import Unavailable
from consents.proof.batches import Batch, Position
from consents.proof.subject import KeyTable
from consents.proof.tiles import split_hashes

REPEATS_FOR = timedelta(days=7)
"""How long a batch is known; the ledger's stream repeats one for at most a day."""

_TRIES = 40
_STATE = {"pk": "log", "sk": "state"}


class PositionTaken(Exception):
    """There is a batch where the next one belongs: the table was changed by hand, or restored."""


class LogTable:
    """Assigns positions, and keeps seeds."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def count(self) -> int:
        """Return how many entries have a position."""
        return int((self._table.get(_STATE) or {}).get("assigned", 0))

    def assign(self, batch: Batch, now: datetime) -> bool:
        """Assign the next positions to a batch, once; return whether it is new.

        Raises:
            PositionTaken: another batch has these positions.
            Unavailable: other batches are in the way all the time.
        """
        expiration = int((now + REPEATS_FOR).timestamp())
        key = {"pk": f"batch#{batch.name}", "sk": "assigned"}
        return self._assign(batch, self._table.put_new(key | {"expiration": expiration}, "pk"))

    def add_organization(
        self, org_id: str, seed: bytes, part_roots: list[bytes], batch: Batch
    ) -> bool:
        """Keep an organization's seed and assign its entry a position; return whether it is new."""
        kept = _organization_key(org_id, "seed") | {"seed": seed}
        roots = _organization_key(org_id, "key_table") | {"roots": b"".join(part_roots)}
        puts = (self._table.put_new(item, "pk") for item in (kept, roots))
        return self._assign(batch, *puts)

    def seed(self, org_id: str) -> bytes | None:
        """Return an organization's seed, or None where it has no entry yet."""
        item = self._table.get(_organization_key(org_id, "seed"))
        return item["seed"] if item else None

    def part_roots(self, org_id: str) -> list[bytes]:
        """Return the roots of the parts of an organization's key table."""
        item = self._table.get(_organization_key(org_id, "key_table"))
        return split_hashes(item["roots"]) if item else []

    def key_table(self, org_id: str) -> KeyTable | None:
        """Return the key table of an organization, or None where it has no entry."""
        seed = self.seed(org_id)
        return KeyTable(seed, self.part_roots(org_id)) if seed else None

    def batches(self, start: int, end: int) -> Iterator[Position]:
        """Return the batches that begin from a position up to another, in order."""
        condition = "pk = :pk AND sk BETWEEN :first AND :last"
        first, last = _batch_sk(start), _batch_sk(end - 1)
        return map(_position, self._table.query(condition, pk="log", first=first, last=last))

    def batch_before(self, start: int) -> Position | None:
        """Return the last batch that begins before a position."""
        condition = "pk = :pk AND sk BETWEEN :first AND :last"
        found = self._table.query(
            condition,
            newest_first=True,
            page=1,
            pk="log",
            first=_batch_sk(0),
            last=_batch_sk(start - 1),
        )
        return next(map(_position, found), None)

    def replace(self, start: int, batch: Batch, instead_of: Batch | None) -> None:
        """Give the positions from `start` to a batch, or raise `PositionTaken`."""
        condition = "#name = :name" if instead_of else "attribute_not_exists(pk)"
        values = {"name": instead_of.name} if instead_of else {}
        if not self._table.put(encode_item(_item(start, batch)), condition, **values)[0]:
            raise PositionTaken

    def continue_from(self, end: int) -> None:
        """Assign no position below `end` from now on."""
        condition = "attribute_not_exists(#assigned) OR #assigned < :end"
        self._table.update(_STATE, "SET #assigned = :end", condition, end=end)

    def _assign(self, batch: Batch, *once: dict[str, Any]) -> bool:
        """Write `once` and the positions of a batch, again while others are assigned first."""
        for _ in attempts(self._table.sleep, _TRIES):
            start = self.count()
            failed = self._table.transact(
                *once, self._advance(start, batch), self._put(start, batch)
            )
            if failed is None:
                return True
            if failed < len(once):
                return False
            if failed > len(once):
                raise PositionTaken
        raise Unavailable

    def _advance(self, start: int, batch: Batch) -> dict[str, Any]:
        # Two sealers that read the same state: the condition fails for the later one.
        condition = "#assigned = :start" if start else "attribute_not_exists(#assigned)"
        values = {"end": start + batch.count} | ({"start": start} if start else {})
        return self._table.update_if(_STATE, "SET #assigned = :end", condition, **values)

    def _put(self, start: int, batch: Batch) -> dict[str, Any]:
        return self._table.put_new(_item(start, batch), "pk")


def _organization_key(org_id: str, what: str) -> Values:
    return {"pk": f"org#{org_id}", "sk": what}


def _item(start: int, batch: Batch) -> Values:
    return {"pk": "log", "sk": _batch_sk(start), "start": start} | asdict(batch)


def _batch_sk(start: int) -> str:
    return f"batch#{start:020}"


def _position(item: Values) -> Position:
    return Position(item["start"], Batch(item["name"], item["count"], item["last"]))
