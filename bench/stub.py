"""A stub of DynamoDB that responds after 5 ms and counts calls: `python -m bench.stub PORT`.

It stores single items, so that credentials, idempotency keys and token buckets work; items written
in batches are counted and dropped, and every contact has one opt-in. It is also a Secrets Manager
with one secret. `POST /counts` returns the calls since the last time.
"""

import asyncio
import operator
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any
from zlib import crc32

import orjson

SECONDS_PER_CALL = 0.005
SECRET = "pepper"

OPT_IN = {
    "sk": {"S": f"+15550001111#2026-04-26T12:00:00.000000Z#opt-in#{'0' * 32}"},
    "status": {"S": "opt-in"},
    "effective_at": {"S": "2026-04-26T12:00:00.000000Z"},
    "received_at": {"S": "2026-04-26T12:00:01.000000Z"},
}
"""What a query of any contact returns, with the attributes that a check asks for."""

type Item = dict[str, Any]
type Reply = tuple[int, dict[str, Any]]

_KEYS = (("pk", "sk"), ("id",), ("org_id",))
_TOKEN = re.compile(r"\(|\)|<>|<=|>=|<|>|=|,|[#:\w.]+")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class ConditionFailed(Exception):
    """A condition does not hold for the stored item."""

    def __init__(self, item: Item | None) -> None:
        super().__init__()
        self.item = item


class Condition:
    """A condition expression: comparisons, attribute_(not_)exists, AND, OR, NOT."""

    def __init__(self, call: dict[str, Any], item: Item | None) -> None:
        self._tokens = _TOKEN.findall(call["ConditionExpression"])
        self._names: dict[str, str] = call.get("ExpressionAttributeNames", {})
        self._values: dict[str, Any] = call.get("ExpressionAttributeValues", {})
        self._item = item or {}

    def holds(self) -> bool:
        """Return whether the item meets the condition."""
        return self._any()

    def _any(self) -> bool:
        held = [self._all()]
        while self._taken("OR"):
            held.append(self._all())
        return any(held)

    def _all(self) -> bool:
        held = [self._one()]
        while self._taken("AND"):
            held.append(self._one())
        return all(held)

    def _one(self) -> bool:
        if self._taken("NOT"):
            return not self._one()
        if self._taken("("):
            held = self._any()
            self._tokens.pop(0)
            return held
        first = self._tokens.pop(0)
        if first in {"attribute_exists", "attribute_not_exists"}:
            _, name, _ = (self._tokens.pop(0) for _ in range(3))
            exists = self._value(name) is not None
            return exists is (first == "attribute_exists")
        comparison, second = self._tokens.pop(0), self._tokens.pop(0)
        left, right = self._value(first), self._value(second)
        if left is None or right is None:  # a missing attribute is unequal to everything
            return bool(comparison == "<>")
        return bool(_COMPARISONS[comparison](left, right))

    def _taken(self, token: str) -> bool:
        if self._tokens[:1] != [token]:
            return False
        self._tokens.pop(0)
        return True

    def _value(self, name: str) -> Any:
        if name.startswith(":"):
            return _plain(self._values[name])
        held = self._item.get(self._names.get(name, name))
        return None if held is None else _plain(held)


def _plain(value: dict[str, Any]) -> Any:
    ((kind, held),) = value.items()
    return int(held) if kind == "N" else held


class Tables:
    """The stored items by table and key, and DynamoDB's calls on them."""

    def __init__(self) -> None:
        self._tables: defaultdict[str, dict[tuple[str, ...], Item]] = defaultdict(dict)

    def respond(self, target: str, call: dict[str, Any]) -> dict[str, Any]:
        """Return DynamoDB's response to a call, or raise `ConditionFailed`."""
        calls: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "BatchExecuteStatement": lambda call: {"Responses": [{} for _ in call["Statements"]]},
            "BatchGetItem": self._batch_get,
            "BatchWriteItem": lambda _: {"UnprocessedItems": {}},
            "DeleteItem": self._delete,
            "GetItem": lambda call: _held(self._found(call)),
            "GetSecretValue": lambda call: {"Name": call["SecretId"], "SecretString": SECRET},
            "PutItem": self._put,
            "Query": lambda _: {"Items": [OPT_IN], "Count": 1, "ScannedCount": 1},
            "UpdateItem": self._update,
        }
        return calls[target](call)

    def _found(self, call: dict[str, Any]) -> Item | None:
        return self._tables[call["TableName"]].get(_key(call["Key"]))

    def _batch_get(self, call: dict[str, Any]) -> dict[str, Any]:
        found = {
            table: [
                self._tables[table][_key(key)]
                for key in wanted["Keys"]
                if _key(key) in self._tables[table]
            ]
            for table, wanted in call["RequestItems"].items()
        }
        return {"Responses": found, "UnprocessedKeys": {}}

    def _put(self, call: dict[str, Any]) -> dict[str, Any]:
        key = _key(call["Item"])
        table = self._tables[call["TableName"]]
        _check(call, table.get(key))
        table[key] = call["Item"]
        return {}

    def _delete(self, call: dict[str, Any]) -> dict[str, Any]:
        _check(call, self._found(call))
        self._tables[call["TableName"]].pop(_key(call["Key"]), None)
        return {}

    def _update(self, call: dict[str, Any]) -> dict[str, Any]:
        before = self._found(call)
        _check(call, before)
        after = (before or {}) | call["Key"] | dict(_changes(call, before or {}))
        self._tables[call["TableName"]][_key(call["Key"])] = after
        return {"Attributes": after} if call.get("ReturnValues") == "ALL_NEW" else {}


def _key(item: Item) -> tuple[str, ...]:
    names = next(names for names in _KEYS if names[0] in item)
    return tuple(item[name]["S"] for name in names)


def _held(item: Item | None) -> dict[str, Any]:
    return {} if item is None else {"Item": item}


def _check(call: dict[str, Any], item: Item | None) -> None:
    if "ConditionExpression" in call and not Condition(call, item).holds():
        raise ConditionFailed(item)


def _changes(call: dict[str, Any], item: Item) -> Iterator[tuple[str, Any]]:
    """Return the attributes that an update sets or adds to."""
    names, values = call.get("ExpressionAttributeNames", {}), call["ExpressionAttributeValues"]
    for clause in re.finditer(r"(SET|ADD) (.+?)(?= (?:SET|ADD) |$)", call["UpdateExpression"]):
        for change in clause[2].split(","):
            name, value = re.split(r"\s*=\s*|\s+", change.strip())
            name = names.get(name, name)
            if clause[1] == "SET":
                yield name, values[value]
            else:
                held = int(item.get(name, {"N": "0"})["N"])
                yield name, {"N": str(held + int(values[value]["N"]))}


class Connection(asyncio.Protocol):
    """One client connection, with one request at a time, as boto3 uses it."""

    def __init__(self, tables: Tables, counts: Counter[str]) -> None:
        self._tables = tables
        self._counts = counts
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Respond to a request when it is complete."""
        self._held += data
        head, found, body = self._held.partition(b"\r\n\r\n")
        if not found:
            return
        headers = dict(
            line.split(": ", 1) for line in head.decode("latin-1").lower().split("\r\n")[1:]
        )
        if len(body) < int(headers.get("content-length", 0)):
            return
        self._held = b""
        if head.startswith(b"POST /counts"):
            self._send(200, dict(self._counts))
            self._counts.clear()
            return
        now = asyncio.get_running_loop().time()
        status, response = self._respond(head, body)
        asyncio.get_running_loop().call_at(now + SECONDS_PER_CALL, self._send, status, response)

    def _respond(self, head: bytes, body: bytes) -> Reply:
        if head.startswith(b"GET "):  # the checkpoint of the log, which functions read from S3
            self._counts["GetObject"] += 1
            return 200, {"checkpoint": "-" * 300}
        target = re.search(rb"x-amz-target: *\w+\.(\w+)", head, re.IGNORECASE)
        name = target[1].decode() if target else "Unknown"
        self._counts[name] += 1
        self._counts["bytes"] += len(head) + 4 + len(body)
        try:
            return 200, self._tables.respond(name, orjson.loads(body))
        except ConditionFailed as failed:
            error = {
                "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                "message": "The conditional request failed",
            }
            return 400, error | _held(failed.item)

    def _send(self, status: int, response: dict[str, Any]) -> None:
        body = orjson.dumps(response)
        head = (
            f"HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.0\r\n"
            f"x-amzn-RequestId: 0\r\nx-amz-crc32: {crc32(body)}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


async def serve(port: int) -> None:
    """Serve until the process ends."""
    tables, counts = Tables(), Counter[str]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(tables, counts), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
