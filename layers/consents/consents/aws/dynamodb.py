"""DynamoDB: client settings, retries, the item codec, and a table of plain values."""

import re
import time
from base64 import b64decode
from binascii import b2a_base64
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import batched, count
from random import SystemRandom
from typing import Any, NamedTuple
from uuid import uuid4

from consents.aws.client import CALLS_AT_A_TIME, MAX_EXCHANGE_SECONDS, Client
from consents.aws.errors import CallError
from consents.domain.errors import Unavailable

type Item = dict[str, Any]
"""An item or a key as DynamoDB has it: `{"pk": {"S": "..."}}`."""

type Values = dict[str, Any]
"""An item or a key in plain values: text, bytes, integer, set of texts, map, list."""

_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 1, 2, 2

BOTO_CONFIG: dict[str, Any] = {
    "connect_timeout": _CONNECT_SECONDS,
    "read_timeout": _READ_SECONDS,
    "retries": {"mode": "standard", "total_max_attempts": _TRIES},
    "max_pool_connections": CALLS_AT_A_TIME,
    "parameter_validation": False,
    "user_agent": "consent-ledger",  # the client's own is built again for each call
}

MAX_CALL_SECONDS = MAX_EXCHANGE_SECONDS + _TRIES * (_CONNECT_SECONDS + _READ_SECONDS) + 1
"""Seconds until a call fails: the lean client's, then boto3's with a second for its own backoff."""

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


def base64_text(value: bytes) -> str:
    """Return bytes as an attribute has them."""
    return b2a_base64(value, newline=False).decode()


def encode(value: Any) -> dict[str, Any]:
    """Return the attribute that holds a plain value."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": base64_text(value)}
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
        case "B":  # base64 as JSON has it; boto3 decodes it itself
            return value if isinstance(value, bytes) else b64decode(value)
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


class Page(NamedTuple):
    """Items of a partition, in attributes, and the key to go on from; None after the last page."""

    items: list[Item]
    following: Item | None


class Table:
    """One table, in plain values. Reads are consistent.

    In expressions, `:name` is a value and `#name` an attribute that may be a reserved word.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.client = client
        self.name = name
        self.sleep = sleep

    def get(self, key: Values) -> Values | None:
        """Return an item, or None."""
        parameters = {"Key": encode_item(key), "ConsistentRead": True}
        response = self._call("GetItem", parameters)
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
                response = self.client.call("BatchGetItem", {"RequestItems": {self.name: pending}})
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
        optional: dict[str, Any] = {
            "FilterExpression": filtered,
            "IndexName": index,
            "ExpressionAttributeNames": _names(f"{condition} {filtered}"),
            "Limit": page,
        }
        parameters: dict[str, Any] = {
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": _placeholders(values),
            "ConsistentRead": index is None,
            "ScanIndexForward": not newest_first,
            **{name: value for name, value in optional.items() if value},
        }
        return self._pages("Query", parameters)

    def query_each(
        self,
        partitions: Mapping[str, Item | None],
        may_begin: Callable[[], bool],
        names: Collection[str] = (),
    ) -> list[Page | CallError]:
        """Read a page of each partition, many at a time; only these attributes if named.

        `partitions` maps a partition key to the key to go on from, None at the beginning.
        """
        calls = [self._page_of(pk, start, names) for pk, start in partitions.items()]
        return list(map(_page, self.client.call_all("Query", calls, may_begin)))

    def _page_of(self, pk: str, start: Item | None, names: Collection[str]) -> dict[str, Any]:
        optional = {
            "ExclusiveStartKey": start,
            "ProjectionExpression": ", ".join(f"#{name}" for name in names),
            "ExpressionAttributeNames": {f"#{name}": name for name in names},
        }
        return {
            "TableName": self.name,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ConsistentRead": True,
            **{name: value for name, value in optional.items() if value},
        }

    def _pages(self, operation: str, parameters: Mapping[str, Any]) -> Iterator[Values]:
        page: dict[str, Any] = {}
        while True:
            response = self._call(operation, {**parameters, **page})
            yield from map(decode_item, response["Items"])
            if not response.get("LastEvaluatedKey"):
                return
            page = {"ExclusiveStartKey": response["LastEvaluatedKey"]}

    def _call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return self.client.call(operation, {"TableName": self.name, **parameters})

    def update(
        self, key: Values, expression: str, condition: str = "", /, **values: Any
    ) -> tuple[bool, Values]:
        """Update an item if a condition holds, again while a transaction is writing it.

        Returns:
            Whether it held, and the item: as it is now, or as it failed the condition.

        Raises:
            Unavailable: other writes of the item do not end.
        """
        update = {
            "Key": encode_item(key),
            **_update(expression, condition, values),
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        for _ in attempts(self.sleep, _WRITE_TRIES):
            try:
                response = self._call("UpdateItem", update)
            except CallError as error:
                if error.code in _CONDITION_FAILED:
                    return False, decode_item(error.item)
                if error.code not in _CONFLICTS:
                    raise
            else:
                return True, decode_item(response["Attributes"])
        raise Unavailable

    def put(self, item: Item, condition: str, **values: Any) -> tuple[bool, Values]:
        """Put an item, in attributes, if a condition holds.

        Returns:
            Whether it held, and the item that failed it.
        """
        put = {
            "Item": item,
            **_update("", condition, values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            self._call("PutItem", put)
        except CallError as error:
            if error.code not in _CONDITION_FAILED:
                raise
            return False, decode_item(error.item)
        return True, {}

    def insert_all(
        self, batches: Sequence[Collection[Item]], may_begin: Callable[[], bool]
    ) -> list[list[str] | CallError]:
        """Insert batches of items, several at a time, each item by itself.

        Returns:
            Per batch, the error code of each item, empty where it was inserted; or the error of the
            call. A batch has at most `STATEMENTS_PER_CALL` items.
        """
        calls = [{"Statements": [self._insert(item) for item in batch]} for batch in batches]
        responses = self.client.call_all("BatchExecuteStatement", calls, may_begin)
        return [
            response if isinstance(response, CallError) else list(map(_code, response["Responses"]))
            for response in responses
        ]

    def _insert(self, item: Item) -> dict[str, Any]:
        statement = _insert_statement(self.name, tuple(item))
        return {"Statement": statement, "Parameters": [*item.values()]}

    def delete(self, key: Values, condition: str = "", /, **values: Any) -> bool:
        """Delete an item if a condition holds, and return whether it held."""
        condition_of = _update("", condition, values)
        try:
            self._call("DeleteItem", {"Key": encode_item(key), **condition_of})
        except CallError as error:
            if error.code not in _CONDITION_FAILED:
                raise
            return False
        return True

    def transact(self, *actions: Any) -> int | None:
        """Write all actions or none, again while other writes are in the way.

        Returns:
            None if they were written, else the position of the first whose condition failed.

        Raises:
            Unavailable: other writes of the same items do not end.
        """
        # With its token, a transaction whose response was lost succeeds again.
        transaction = {"TransactItems": list(actions), "ClientRequestToken": uuid4().hex}
        for _ in attempts(self.sleep, _WRITE_TRIES):
            try:
                self.client.call("TransactWriteItems", transaction)
            except CallError as error:
                for position, code in enumerate(error.reasons):
                    if code in _CONDITION_FAILED:
                        return position
                if not _CONFLICTS & {error.code, *error.reasons}:
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


def _page(response: dict[str, Any] | CallError) -> Page | CallError:
    """Return a page, or an error; boto3 takes a body that is not JSON for an empty response."""
    if isinstance(response, CallError):
        return response
    if "Items" not in response:
        return CallError("NoItems", is_transient=True)
    return Page(response["Items"], response.get("LastEvaluatedKey") or None)


def _code(result: Mapping[str, Any]) -> str:
    return str(result["Error"].get("Code", "")) if "Error" in result else ""


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
