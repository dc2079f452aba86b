"""DynamoDB: client settings, retries, the item codec, and a table of plain values."""

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from itertools import batched, count
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import orjson
from botocore.config import Config
from botocore.exceptions import ClientError

from consents.aws.errors import cancellation_codes, error_code
from consents.domain.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = dict[str, Any]
"""An item or a key as DynamoDB has it: `{"pk": {"S": "..."}}`."""

type Values = dict[str, Any]
"""An item or a key in plain values: text, integer, set of texts, map, list."""

_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 1, 2, 2

CALLS_AT_A_TIME = 10
"""1000 records are 40 calls: four, one after another."""

CONFIG = Config(
    connect_timeout=_CONNECT_SECONDS,
    read_timeout=_READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": _TRIES},
    max_pool_connections=CALLS_AT_A_TIME,
    parameter_validation=False,
    user_agent="consent-ledger",  # the client's own is built again for each call
)

MAX_CALL_SECONDS = _TRIES * (_CONNECT_SECONDS + _READ_SECONDS) + 1
"""Seconds until a client's call fails, with a second for the client's own backoff."""

MAX_WAIT_SECONDS = 2.0
_FIRST_WAIT_SECONDS = 0.05

KEYS_PER_CALL = 100
"""Limit of one BatchGetItem."""

STATEMENTS_PER_CALL = 25
"""Limit of one BatchExecuteStatement."""

_READ_TRIES = 8
_WRITE_TRIES = 10

RANDOM = SystemRandom()
"""Its state is not in a snapshot that many processes start from: they do not wait alike."""

_CONDITION_FAILED = {"ConditionalCheckFailed", "ConditionalCheckFailedException"}
# DynamoDB rejects a write, in a transaction or not, of an item that a transaction is writing.
_CONFLICTS = {"TransactionConflict", "TransactionConflictException", "ThrottlingError"}


# ---------------------------------------------------------------- Retries


def attempts(
    sleep: Callable[[float], None],
    tries: int | None = None,
    *,
    may_go_on: Callable[[], bool] = lambda: True,
) -> Iterator[int]:
    """Yield 0, 1, 2, ... and back off before each but the first; stop after `tries`.

    The wait doubles up to `MAX_WAIT_SECONDS`, with full jitter. It stops as well where `may_go_on`
    says no, which is asked before the wait.
    """
    for attempt in count() if tries is None else range(tries):
        if not may_go_on():
            return
        if attempt:
            sleep(
                RANDOM.uniform(0, min(MAX_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** (attempt - 1)))
            )
        yield attempt


# ---------------------------------------------------------------- Item codec


def encode(value: Any) -> dict[str, Any]:
    """Return the attribute that holds a plain value."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, Mapping):
        return {"M": encode_item(value)}
    if isinstance(value, set | frozenset):
        return {"SS": sorted(value)}
    return {"L": [encode(one) for one in value]}


def encode_item(values: Mapping[str, Any]) -> Item:
    """Return an item of plain values; a None is an absent attribute."""
    return {name: encode(value) for name, value in values.items() if value is not None}


def decode(attribute: Mapping[str, Any]) -> Any:
    """Return the plain value of an attribute."""
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return value
        case "N":
            return int(value)
        case "M":
            return decode_item(value)
        case "SS":
            return frozenset(value)
        case "L":
            return [decode(one) for one in value]
        case _:
            raise TypeError(f"no plain value for attribute type {kind}")


def decode_item(item: Mapping[str, Any]) -> Values:
    """Return an item in plain values."""
    return {name: decode(attribute) for name, attribute in item.items()}


# ---------------------------------------------------------------- Reads and writes


class Table:
    """One table, in plain values. Reads are consistent.

    In expressions, `:name` is a value and `#name` an attribute that may be a reserved word.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.client = client
        self.name = name
        self.sleep = sleep

    def get(self, key: Values) -> Values | None:
        """Return an item, or None."""
        response = self.client.get_item(
            TableName=self.name, Key=encode_item(key), ConsistentRead=True
        )
        return decode_item(response["Item"]) if "Item" in response else None

    def batch_get(self, keys: Iterable[Values], *names: str) -> Iterator[Values]:
        """Return the items of these keys that exist, in any order; only these attributes if named.

        Raises:
            Unavailable: the table keeps throttling some of the keys.
        """
        projection: Any = {"ProjectionExpression": ", ".join(names)} if names else {}
        for batch in batched(keys, KEYS_PER_CALL, strict=False):
            encoded = [encode_item(key) for key in batch]
            pending: Any = {"Keys": encoded, "ConsistentRead": True, **projection}
            for _ in attempts(self.sleep, _READ_TRIES):
                response = self.client.batch_get_item(RequestItems={self.name: pending})
                yield from map(decode_item, response["Responses"].get(self.name, []))
                pending = response["UnprocessedKeys"].get(self.name)
                if not pending:
                    break
            else:
                raise Unavailable

    def query(
        self,
        condition: str,
        /,
        *,
        filtered: str = "",
        index: str | None = None,
        newest_first: bool = False,
        page: int | None = None,
        **values: Any,
    ) -> Iterator[Values]:
        """Return the items that match a key condition, page after page as they are consumed."""
        names = _names(f"{condition} {filtered}")
        optional: dict[str, Any] = {
            "FilterExpression": filtered,
            "IndexName": index,
            "ExpressionAttributeNames": names,
            "PaginationConfig": {"PageSize": page} if page else None,
        }
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=_placeholders(values),
            ConsistentRead=index is None,
            ScanIndexForward=not newest_first,
            **{name: value for name, value in optional.items() if value},
        )
        return (decode_item(item) for page in pages for item in page["Items"])

    def update(
        self, key: Values, expression: str, condition: str = "", /, **values: Any
    ) -> tuple[bool, Values]:
        """Update an item if a condition holds, again while a transaction is writing it.

        Returns:
            Whether it held, and the item: as it is now, or as it failed the condition.

        Raises:
            Unavailable: other writes of the item do not end.
        """
        for _ in attempts(self.sleep, _WRITE_TRIES):
            try:
                response = self.client.update_item(
                    TableName=self.name,
                    Key=encode_item(key),
                    **_update(expression, condition, values),
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                code = error_code(error)
                if code in _CONDITION_FAILED:
                    item: Any = error.response.get("Item", {})
                    return False, decode_item(item)
                if code not in _CONFLICTS:
                    raise
            else:
                return True, decode_item(response["Attributes"])
        raise Unavailable

    def insert(self, items: Collection[Item]) -> list[str]:
        """Insert items in one PartiQL call, each by itself.

        Returns:
            The error code of each item, empty where it was inserted. At most `STATEMENTS_PER_CALL`.
        """
        statements: list[Any] = [
            {
                "Statement": _insert_statement(self.name, tuple(item)),
                "Parameters": [*item.values()],
            }
            for item in items
        ]
        response = self.client.batch_execute_statement(Statements=statements)
        return [result.get("Error", {}).get("Code", "") for result in response["Responses"]]

    def delete(self, key: Values) -> None:
        """Delete an item, if it is there."""
        self.client.delete_item(TableName=self.name, Key=encode_item(key))

    def transact(self, *actions: Any) -> int | None:
        """Write all actions or none, again while other writes are in the way.

        Returns:
            None if they were written, else the position of the first whose condition failed.

        Raises:
            Unavailable: other writes of the same items do not end.
        """
        for _ in attempts(self.sleep, _WRITE_TRIES):
            try:
                self.client.transact_write_items(TransactItems=list(actions))
            except ClientError as error:
                codes = [error_code(error), *cancellation_codes(error)]
                for position, code in enumerate(codes[1:]):
                    if code in _CONDITION_FAILED:
                        return position
                if not _CONFLICTS & set(codes):
                    raise
            else:
                return None
        raise Unavailable

    def put_new(self, values: Values, unless: str) -> dict[str, Any]:
        """Return the action that puts an item which has no attribute `unless` yet."""
        condition = f"attribute_not_exists({unless})"
        put = {"Item": encode_item(values), "ConditionExpression": condition}
        return {"Put": {"TableName": self.name} | put}

    def update_if(
        self, key: Values, expression: str, condition: str = "", /, **values: Any
    ) -> dict[str, Any]:
        """Return the action that updates an item where a condition holds."""
        update = _update(expression, condition, values)
        return {"Update": {"TableName": self.name, "Key": encode_item(key)} | update}

    def check(self, key: Values, condition: str) -> dict[str, Any]:
        """Return the action that only checks a condition."""
        check = {"Key": encode_item(key), "ConditionExpression": condition}
        return {"ConditionCheck": {"TableName": self.name} | check}


def send_statements_as_given(client: "DynamoDBClient") -> None:
    """Let a client send PartiQL statements as they are: botocore would walk through all of them.

    DynamoDB's protocol is the JSON of the parameters, if they hold texts and not bytes.
    """
    events: Any = client.meta.events
    aside = "provide-client-params.dynamodb.BatchExecuteStatement"
    back = "before-call.dynamodb.BatchExecuteStatement"
    events.register_last(aside, _set_aside, unique_id=aside)
    events.register_first(back, _put_back, unique_id=back)


def _set_aside(params: dict[str, Any], context: dict[str, Any], **_: object) -> dict[str, Any]:
    context["given"] = orjson.dumps(params)
    return params | {"Statements": params["Statements"][:1]}  # one, for a client that validates


def _put_back(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    params["body"] = context["given"]


@cache
def _insert_statement(table: str, names: tuple[str, ...]) -> str:
    values = ", ".join(f"'{name}': ?" for name in names)
    return f'INSERT INTO "{table}" VALUE {{{values}}}'


def _update(expression: str, condition: str, values: Mapping[str, Any]) -> dict[str, Any]:
    update: dict[str, Any] = {
        "UpdateExpression": expression,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": _names(f"{expression} {condition}"),
        "ExpressionAttributeValues": _placeholders(values),
    }
    return {name: value for name, value in update.items() if value}


def _names(expression: str) -> dict[str, str]:
    return {f"#{name}": name for name in re.findall(r"#(\w+)", expression)}


def _placeholders(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f":{name}": encode(value) for name, value in values.items()}
