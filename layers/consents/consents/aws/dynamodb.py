"""How long a call to DynamoDB may take, which of its errors pass, and how one is named in a log."""

import traceback

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 1, 2, 2

CALLS_AT_A_TIME = 8

CONFIG = Config(
    connect_timeout=_CONNECT_SECONDS,
    read_timeout=_READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": _TRIES},
    max_pool_connections=CALLS_AT_A_TIME,
    parameter_validation=False,
)

LONGEST_CALL = _TRIES * (_CONNECT_SECONDS + _READ_SECONDS) + 1
"""Seconds that a client's call may take until it gives up, with a second for its own back-off."""

TRANSIENT_CODES = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceeded",
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


def is_transient(error: BotoCoreError | ClientError) -> bool:
    """Tell whether a call may succeed if it is repeated: no answer, throttled, or 5xx."""
    if isinstance(error, BotoCoreError):
        return True
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
