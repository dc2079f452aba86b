"""Errors of calls to AWS: which are transient, and what a log line may say about them.

Nothing here imports botocore: a function whose calls succeed never loads it.
"""

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

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


class CallError(Exception):
    """A call to AWS failed, or had no response.

    `item` is the item that failed a condition, `reasons` the code of each action of a transaction,
    `status` the HTTP status of the response, 0 without one.
    """

    def __init__(
        self,
        code: str,
        *,
        is_transient: bool = False,
        item: Mapping[str, Any] | None = None,
        reasons: Sequence[str] = (),
        status: int = 0,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.is_transient = is_transient
        self.item = item or {}
        self.reasons = reasons
        self.status = status


def call_error(error: Exception) -> CallError | None:
    """Return what botocore raises as a `CallError`; None for an error that is not of a call."""
    if isinstance(error, CallError):
        return error
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__ in _BOTOCORE}
    if "ClientError" in names:
        return _of_response(error.response)  # type: ignore[attr-defined]
    if "BotoCoreError" in names:
        return CallError(type(error).__name__, is_transient="ParamValidationError" not in names)
    return None


_BOTOCORE = ("botocore.exceptions",)


def _of_response(response: Mapping[str, Any]) -> CallError:
    code = response.get("Error", {}).get("Code", "Unknown")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return CallError(
        code,
        is_transient=status >= 500 or code in TRANSIENT_CODES,
        item=response.get("Item"),
        reasons=[reason.get("Code", "None") for reason in response.get("CancellationReasons", [])],
        status=status,
    )


def error_code(error: Exception) -> str:
    """Return an error's code, or its type's name where it has no code; never its text."""
    failed = call_error(error)
    return failed.code if failed else type(error).__name__


def frames(error: Exception) -> list[str]:
    """Return where an error was raised, without its text, which may repeat what a client sent."""
    traced = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traced]
