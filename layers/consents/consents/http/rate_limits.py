"""Rate limits: token buckets of an organization, each spent from with one conditional write.

`full_at` is the instant, in ticks, at which the bucket is full again. `drawn_by` is the request
that spent last, so that the client's own retry of a write whose response was lost spends once.
"""

from dataclasses import dataclass
from datetime import datetime

from consents.aws.dynamodb import Table, Values
from consents.domain import token_bucket
from consents.domain.errors import RateLimited
from consents.domain.organization import Bucket
from consents.domain.record import Receipt
from consents.domain.token_bucket import MAX_LEADS, Allowance, Level

_BUSY = "full_at > :now"
_HOLDS_THE_COST = "full_at <= :latest"
_NOT_SPENT_YET = "drawn_by <> :request"
_IDLE = "(attribute_not_exists(full_at) OR full_at <= :now)"
_AS_SEEN = "full_at = :seen"


@dataclass(frozen=True, slots=True)
class _Bucket:
    full_at: int
    spent_by: str


def bucket_name(org_id: str, bucket: Bucket) -> str:
    """Return the name of an organization's bucket: the first one had the organization's id."""
    return org_id if bucket is Bucket.RECORDS else f"{org_id}#{bucket}"


@dataclass(frozen=True, slots=True)
class _Spending:
    name: str
    request: str
    now: int
    cost: int
    capacity: int
    expiration: int | None
    """Of the item, in seconds since 1970; None: it stays."""


class RateLimits:
    """Spends from buckets by their names, and reads their levels."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def spend(self, name: str, amount: int, per_minute: int, receipt: Receipt) -> Level:
        """Take an amount out of a bucket, exactly, under any concurrency.

        A bucket that was spent from lately costs one write, an idle one two.

        Raises:
            RateLimited: the bucket holds less; nothing was taken.
        """
        return self._spend(name, amount, Allowance(per_minute), receipt)

    def take(self, name: str, allowance: Allowance, receipt: Receipt) -> None:
        """Take one out of a bucket of visitors, whose item expires once it is full again.

        Raises:
            RateLimited: the bucket is empty; nothing was taken.
        """
        expiration = int(receipt.received_at.timestamp()) + 2 * allowance.seconds
        self._spend(name, 1, allowance, receipt, expiration)

    def _spend(
        self,
        name: str,
        amount: int,
        allowance: Allowance,
        receipt: Receipt,
        expiration: int | None = None,
    ) -> Level:
        now, capacity = token_bucket.ticks(receipt.received_at), allowance.capacity
        cost = token_bucket.cost(amount, allowance.amount, capacity)
        spending = _Spending(name, receipt.request_id, now, cost, capacity, expiration)
        while True:  # again only where another request came between two looks at the bucket
            spent, bucket = self._spend_while_busy(spending)
            if not spent and bucket.full_at <= now:
                spent, bucket = self._spend_while_idle(spending)
            if spent or bucket.spent_by == spending.request:
                return token_bucket.level(bucket.full_at, now, allowance.amount, capacity)
            if bucket.full_at > now + MAX_LEADS * capacity:
                self._empty(spending, bucket)
            elif bucket.full_at + cost > now + capacity:
                wait = token_bucket.retry_after(bucket.full_at, now, cost, capacity)
                level = token_bucket.level(bucket.full_at, now, allowance.amount, capacity)
                raise RateLimited(wait, level)

    def level(self, name: str, per_minute: int, now: datetime) -> Level:
        """Return the level of a bucket, without spending."""
        bucket = _bucket(self._table.get(_key(name)))
        return token_bucket.level(bucket.full_at, token_bucket.ticks(now), per_minute)

    def _spend_while_busy(self, spending: _Spending) -> tuple[bool, _Bucket]:
        # The cost is added to whatever is there: another request's spending is never overwritten.
        return self._update(
            spending,
            "SET drawn_by = :request ADD full_at :cost",
            f"{_BUSY} AND {_HOLDS_THE_COST} AND {_NOT_SPENT_YET}",
            request=spending.request,
            cost=spending.cost,
            now=spending.now,
            latest=spending.now + spending.capacity - spending.cost,
        )

    def _spend_while_idle(self, spending: _Spending) -> tuple[bool, _Bucket]:
        # Of the requests that all saw an idle bucket, one sets it, and the others find it busy.
        return self._update(
            spending,
            "SET drawn_by = :request, full_at = :full_at",
            _IDLE,
            request=spending.request,
            now=spending.now,
            full_at=spending.now + spending.cost,
        )

    def _empty(self, spending: _Spending, seen: _Bucket) -> None:
        # The clock that wrote it was set back since: nobody waits longer than one window.
        self._update(
            spending,
            "SET drawn_by = :nobody, full_at = :full_at",
            _AS_SEEN,
            nobody="-",
            seen=seen.full_at,
            full_at=spending.now + spending.capacity,
        )

    def _update(
        self, spending: _Spending, expression: str, condition: str, **values: str | int
    ) -> tuple[bool, _Bucket]:
        """Return whether the condition held, and the bucket: as it is now, or as it failed it."""
        if spending.expiration is not None:
            expression = expression.replace("SET ", "SET expiration = :expiration, ")
            values["expiration"] = spending.expiration
        held, item = self._table.update(_key(spending.name), expression, condition, **values)
        return held, _bucket(item)


def _key(name: str) -> Values:
    return {"org_id": name}


def _bucket(item: Values | None) -> _Bucket:
    """Return the bucket that an item holds; one that was never spent from is full."""
    return _Bucket(item["full_at"], item["drawn_by"]) if item else _Bucket(0, "")
