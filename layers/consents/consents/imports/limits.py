"""Limits of an organization's imports: running, open uploads, parts a day.

Items of the imports table under `ORG#{org_id}`: `RUNNING` has the ids of the running imports,
`WAITING#{begun_at}#{import_id}` is one that waits for its turn, `UPLOADS` has the announced uploads
that are open with the instant at which each link expires, `DAY#{date}` counts the parts of a day.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import batched, islice

from consents.aws.dynamodb import Table, Values
from consents.domain.errors import TooManyUploads, Unavailable
from consents.domain.record import timestamp

MAX_RUNNING = 3
"""Imports of an organization that run at a time; the others wait, oldest first."""

MAX_OPEN_UPLOADS = 100
"""Uploads that are announced, neither begun nor expired."""

_TRIES = 10
_REMOVED_AT_A_TIME = 50  # an expression of DynamoDB has at most 4 KB
_DAYS_KEPT = 3


class Limits:
    """Counts what each organization's imports use, exactly, under any concurrency."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # ------------------------------------------------------------ Running imports

    def start(self, org_id: str, import_id: str, begun_at: datetime) -> int:
        """Return how many imports run, this one included, or 0 if this one has to wait.

        No import is forgotten: this one is set to wait before the running ones are read, and one
        that ends is removed before the waiting ones are read. One of the two sees the other.
        """
        running = self._running(org_id)
        if import_id in running:
            return len(running)
        if len(running) < MAX_RUNNING and not self._waiting(org_id, 1):
            taken = self._take_place(org_id, import_id)
            if taken:
                return taken
        waiting = _waiting_key(org_id, import_id, begun_at)
        self._table.update(waiting, "SET waits = :id", "attribute_not_exists(waits)", id=import_id)
        if import_id not in self._next(org_id, self._running(org_id)):
            return 0
        taken = self._take_place(org_id, import_id)
        if taken:
            self._table.delete(waiting)
        return taken

    def end(self, org_id: str, import_id: str, begun_at: datetime) -> list[str]:
        """Free the place of an import, and return the waiting imports that may start."""
        self._table.delete(_waiting_key(org_id, import_id, begun_at))
        _, item = self._table.update(
            _key(org_id, "RUNNING"),
            "DELETE running :ids",
            "attribute_exists(running)",
            ids={import_id},
        )
        return self._next(org_id, item.get("running", frozenset()))

    def _running(self, org_id: str) -> frozenset[str]:
        item = self._table.get(_key(org_id, "RUNNING")) or {}
        running: frozenset[str] = item.get("running", frozenset())
        return running

    def _next(self, org_id: str, running: Collection[str]) -> list[str]:
        """Return the ids of the waiting imports for which there is a free place, oldest first."""
        free = MAX_RUNNING - len(running)
        if free < 1:
            return []
        # One that runs may still be listed, after a crash.
        waiting = self._waiting(org_id, free + len(running))
        return [import_id for import_id in waiting if import_id not in running][:free]

    def _waiting(self, org_id: str, count: int) -> list[str]:
        """Return the ids of the oldest waiting imports, at most `count`."""
        found = self._table.query(
            "import_id = :org AND begins_with(#item, :waiting)",
            org=f"ORG#{org_id}",
            waiting="WAITING#",
            page=count,
        )
        return [item["waits"] for item in islice(found, count)]

    def _take_place(self, org_id: str, import_id: str) -> int:
        """Return how many imports run, or 0 where no place was free."""
        held, item = self._table.update(
            _key(org_id, "RUNNING"),
            "ADD running :ids",
            # Of the imports that all saw the last place, one takes it.
            "attribute_not_exists(running) OR size(running) < :limit OR contains(running, :id)",
            ids={import_id},
            id=import_id,
            limit=MAX_RUNNING,
        )
        return len(item["running"]) if held else 0

    # ------------------------------------------------------------ Announced uploads

    def open_upload(self, org_id: str, import_id: str, now: datetime, expires_at: datetime) -> None:
        """Count an announced upload as open until it begins or expires.

        Raises:
            TooManyUploads: the organization has `MAX_OPEN_UPLOADS` open.
        """
        key = _key(org_id, "UPLOADS")
        for _ in range(_TRIES):
            held, item = self._table.update(
                key,
                f"SET #open.#{import_id} = :expires_at",
                # The last: it is there, and the response to the client's first try was lost.
                f"attribute_exists(#open) AND "
                f"(size(#open) < :limit OR attribute_exists(#open.#{import_id}))",
                expires_at=timestamp(expires_at),
                limit=MAX_OPEN_UPLOADS,
            )
            if held:
                return
            if "open" not in item:
                self._table.update(key, "SET #open = :none", "attribute_not_exists(#open)", none={})
                continue
            expired = [name for name, at in item["open"].items() if at <= timestamp(now)]
            if not expired:
                raise TooManyUploads(
                    MAX_OPEN_UPLOADS, _seconds_until(min(item["open"].values()), now)
                )
            self._remove(org_id, expired)
        raise Unavailable

    def close_upload(self, org_id: str, import_id: str) -> None:
        """Count an announced upload as open no longer."""
        self._remove(org_id, [import_id])

    def _remove(self, org_id: str, import_ids: list[str]) -> None:
        key = _key(org_id, "UPLOADS")
        for some in batched(import_ids, _REMOVED_AT_A_TIME, strict=False):
            removed = ", ".join(f"#open.#{import_id}" for import_id in some)
            self._table.update(key, f"REMOVE {removed}", "attribute_exists(#open)")

    # ------------------------------------------------------------ Parts a day

    def take_parts(self, org_id: str, parts: int, per_day: int, now: datetime) -> int:
        """Take parts of the day's bound, and return how many there were: all, fewer, or 0."""
        key = _key(org_id, f"DAY#{timestamp(now)[:10]}")
        expiration = int((now + timedelta(days=_DAYS_KEPT)).timestamp())
        parts = min(parts, per_day)
        while parts > 0:  # again only where another planner took parts between two looks
            held, item = self._table.update(
                key,
                "ADD parts :parts SET expiration = :expiration",
                "attribute_not_exists(parts) OR parts <= :latest",
                parts=parts,
                latest=per_day - parts,
                expiration=expiration,
            )
            if held:
                return parts
            parts = min(parts, per_day - item["parts"])
        return 0


def _key(org_id: str, item: str) -> Values:
    return {"import_id": f"ORG#{org_id}", "item": item}


def _waiting_key(org_id: str, import_id: str, begun_at: datetime) -> Values:
    return _key(org_id, f"WAITING#{timestamp(begun_at)}#{import_id}")


def _seconds_until(at: str, now: datetime) -> int:
    return max(1, -((now - datetime.fromisoformat(at)) // timedelta(seconds=1)))
