"""Errors of AWS calls: which are transient, and what a log line may say about them."""

import traceback

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

CALL_ERRORS = (BotoCoreError, ClientError)
"""Everything that a call to AWS raises."""

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


def is_transient(error: BotoCoreError | ClientError) -> bool:
    """Return whether a retry may succeed: no response, throttled, or 5xx."""
    if isinstance(error, BotoCoreError):
        return not isinstance(error, ParamValidationError)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or error.response.get("Error", {}).get("Code") in TRANSIENT_CODES


def error_code(error: Exception) -> str:
    """Return an error's code, or its type's name where there was no response; never its text."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "Unknown")
    return type(error).__name__


def cancellation_codes(error: ClientError) -> list[str]:
    """Return the code per action of a cancelled transaction, empty for another error."""
    reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return [reason.get("Code", "None") for reason in reasons]


def frames(error: Exception) -> list[str]:
    """Return where an error was raised, without its text, which may repeat what a client sent."""
    traced = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traced]
