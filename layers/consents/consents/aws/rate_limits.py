"""Rate limits: one bucket item per organization, drawn on with one conditional write.

`full_at` is the instant, in ticks, at which the bucket is full again; `drawn_by` is the request
that drew last, so that the client's own repeat of a write whose answer was lost draws once.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from consents.aws.dynamodb import expression_values
from consents.domain import token_bucket
from consents.domain.errors import RateLimited
from consents.domain.record import Receipt
from consents.domain.token_bucket import CAPACITY, LONGEST_LEAD, Level

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BUSY = "full_at > :now"
_HOLDS_THE_PRICE = "full_at <= :latest"
_NOT_DRAWN_YET = "drawn_by <> :request"
_IDLE = "(attribute_not_exists(full_at) OR full_at <= :now)"
_AS_SEEN = "full_at = :seen"


@dataclass(frozen=True, slots=True)
class _Bucket:
    full_at: int
    drawn_by: str


@dataclass(frozen=True, slots=True)
class _Draw:
    org_id: str
    request: str
    now: int
    price: int


class RateLimits:
    """Draws on each organization's bucket, and tells its level."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def spend(self, org_id: str, records: int, per_minute: int, receipt: Receipt) -> Level:
        """Take records out of the bucket, exactly, whoever else does at the same time.

        A bucket that has been drawn on lately costs one write, an idle one two.

        Raises:
            RateLimited: the bucket does not hold so many; nothing was taken.
        """
        now = token_bucket.ticks(receipt.received_at)
        price = token_bucket.cost(records, per_minute)
        draw = _Draw(org_id, receipt.request_id, now, price)
        while True:  # again only where another call came between two looks at the bucket
            drawn, bucket = self._draw_while_busy(draw)
            if not drawn and bucket.full_at <= now:
                drawn, bucket = self._draw_while_idle(draw)
            if drawn or bucket.drawn_by == draw.request:
                return token_bucket.level(bucket.full_at, now, per_minute)
            if bucket.full_at > now + LONGEST_LEAD:
                self._empty(draw, bucket)
            elif bucket.full_at + price > now + CAPACITY:
                wait = token_bucket.retry_after(bucket.full_at, now, price)
                raise RateLimited(wait, token_bucket.level(bucket.full_at, now, per_minute))

    def level(self, org_id: str, per_minute: int, now: datetime) -> Level:
        """Return the level of the bucket; asking takes nothing out."""
        answer = self._client.get_item(TableName=self._table, Key=_key(org_id), ConsistentRead=True)
        return token_bucket.level(
            _bucket(answer.get("Item")).full_at, token_bucket.ticks(now), per_minute
        )

    def _draw_while_busy(self, draw: _Draw) -> tuple[bool, _Bucket]:
        # The price is added to whatever is there: no draw of another call is ever overwritten.
        return self._update(
            draw,
            "SET drawn_by = :request ADD full_at :price",
            f"{_BUSY} AND {_HOLDS_THE_PRICE} AND {_NOT_DRAWN_YET}",
            request=draw.request,
            price=draw.price,
            now=draw.now,
            latest=draw.now + CAPACITY - draw.price,
        )

    def _draw_while_idle(self, draw: _Draw) -> tuple[bool, _Bucket]:
        # Of the calls that all saw an idle bucket, one sets it, and the others find it busy.
        return self._update(
            draw,
            "SET drawn_by = :request, full_at = :full_at",
            _IDLE,
            request=draw.request,
            now=draw.now,
            full_at=draw.now + draw.price,
        )

    def _empty(self, draw: _Draw, seen: _Bucket) -> None:
        # The clock that wrote it has been set back since: nobody waits longer than one window.
        self._update(
            draw,
            "SET drawn_by = :nobody, full_at = :full_at",
            _AS_SEEN,
            nobody="-",
            seen=seen.full_at,
            full_at=draw.now + CAPACITY,
        )

    def _update(
        self, draw: _Draw, update: str, condition: str, **values: str | int
    ) -> tuple[bool, _Bucket]:
        """Return whether the condition held, and the bucket: as it is then, or as it stopped us."""
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(draw.org_id),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=expression_values(values),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as failure:
            return False, _bucket(failure.response.get("Item"))
        return True, _bucket(answer["Attributes"])


def _key(org_id: str) -> dict[str, Any]:
    return {"org_id": {"S": org_id}}


def _bucket(item: Any) -> _Bucket:
    """Return the bucket that an item holds; one that was never drawn on has been full for ever."""
    if not item:
        return _Bucket(0, "")
    return _Bucket(int(item["full_at"]["N"]), item["drawn_by"]["S"])
