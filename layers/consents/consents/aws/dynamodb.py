"""Calls to DynamoDB: how they are sent, how long they may take, and which of their errors pass."""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import batched
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import orjson
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from consents.domain.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = dict[str, Any]

_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 1, 2, 2

CALLS_AT_A_TIME = 10
"""1000 records are 40 calls: four, one after another."""

CONFIG = Config(
    connect_timeout=_CONNECT_SECONDS,
    read_timeout=_READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": _TRIES},
    max_pool_connections=CALLS_AT_A_TIME,
    parameter_validation=False,
    user_agent="consent-ledger",  # the client's own is put together anew for each call
)

LONGEST_CALL = _TRIES * (_CONNECT_SECONDS + _READ_SECONDS) + 1
"""Seconds that a client's call may take until it gives up, with a second for its own back-off."""

FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0
"""Seconds of back-off before the first repeat of a throttled call, and before any, at the most."""

KEYS_PER_CALL = 100
"""The most that one BatchGetItem takes."""

_READ_TRIES = 8

RANDOM = SystemRandom()
"""Its state is not in a snapshot that many processes start from: they do not wait alike."""

TRANSIENT_CODES = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
    }
)
"""Codes of a statement's or a call's error after which the same call may succeed.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html
"""


def send_as_given(client: "DynamoDBClient") -> None:
    """Let a client send statements as it is given them, without walking through them first.

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


def expression_values(values: Mapping[str, str | int]) -> dict[str, Any]:
    """Return what `:name` stands for in an expression: a number or a text."""
    return {
        f":{name}": {"N": str(value)} if isinstance(value, int) else {"S": value}
        for name, value in values.items()
    }


def wait(attempt: int) -> float:
    """Return seconds of back-off before a repeat, the first being 1, with full jitter."""
    return RANDOM.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)))


def read_all(
    client: "DynamoDBClient",
    table: str,
    keys: Iterable[Item],
    sleep: Callable[[float], None],
    **wanted: Any,
) -> Iterator[Item]:
    """Read items by their keys, as they are now, and again what a throttled table hands back.

    Raises:
        Unavailable: it hands some back again and again.
    """
    for some in batched(keys, KEYS_PER_CALL, strict=False):
        unread: Any = {"Keys": some, "ConsistentRead": True, **wanted}
        for attempt in range(_READ_TRIES):
            if attempt:
                sleep(wait(attempt))
            answer = client.batch_get_item(RequestItems={table: unread})
            yield from answer["Responses"].get(table, [])
            unread = answer["UnprocessedKeys"].get(table)
            if not unread:
                break
        else:
            raise Unavailable


def is_transient(error: BotoCoreError | ClientError) -> bool:
    """Tell whether a call may succeed if it is repeated: no answer, throttled, or 5xx."""
    if isinstance(error, BotoCoreError):
        return not isinstance(error, ParamValidationError)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or error.response.get("Error", {}).get("Code") in TRANSIENT_CODES


def error_code(error: Exception) -> str:
    """Return an error's code, or its type's name where no answer came; never its text."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "Unknown")
    return type(error).__name__


def frames(error: Exception) -> list[str]:
    """Return where an error came from, without its text, which may repeat what a client sent."""
    traced = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traced]
