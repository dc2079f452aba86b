"""Request errors. A rejected record is data (`outcome`), never an exception.

RequestError
├── Unauthenticated       no, malformed, unknown, revoked or expired credential
├── MissingScope          the credential lacks the scope of the route
├── PlanRequired          the organization's plan does not include capture
├── NotFound              no such route, or nothing of this organization by that name
├── BodyTooLarge          more bytes, decoded, than the route accepts
├── BrokenGzip            a gzip body that cannot be decompressed completely
├── UnsupportedMediaType  the content type does not match the route
├── MalformedBody         the body cannot be parsed
├── Invalid               parsed, but against the rules; carries every fault
│   ├── InvalidIdempotencyKey
│   └── InvalidDryRun
├── KeyReused             the idempotency key was used with another body
├── InProgress            the first request with the idempotency key is still running
├── RateLimited           the bucket holds less than the request costs
├── OptedOut              the contact has opted out, and only the contact can undo it
├── LogBehind             the published log is smaller than the caller needs
├── TooManyUploads        too many announced uploads are open
├── Unavailable           storage did not answer; repeat the same request
└── Internal              a bug; details are logged, not returned
"""

from collections.abc import Mapping, Sequence

from consents.domain.outcome import Outcome
from consents.domain.token_bucket import Level


class RequestError(Exception):
    """The request is rejected as a whole."""

    retry_after: int | None = None
    """Whole seconds after which the same request may succeed, where it may."""

    outcomes: Sequence[Outcome] = ()
    """The outcome of each record, where the error is about records."""


class Unauthenticated(RequestError):
    """No, malformed, unknown, revoked or expired credential: one response for all."""


class MissingScope(RequestError):
    """The credential does not carry the scope that the route needs."""


class PlanRequired(RequestError):
    """The organization's plan does not include consent capture."""


class NotFound(RequestError):
    """No such route, or nothing by that name that this organization owns."""


class BodyTooLarge(RequestError):
    """The decoded body has more bytes than the route accepts."""

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes."""
        super().__init__()
        self.limit = limit


class BrokenGzip(RequestError):
    """A body that begins as gzip is not valid gzip, or is truncated."""

    def __init__(self, reason: str) -> None:
        """`reason` names the rule and holds nothing of the body."""
        super().__init__()
        self.reason = reason


class UnsupportedMediaType(RequestError):
    """The content type is not one that the route reads."""


class MalformedBody(RequestError):
    """The body cannot be parsed."""


class Invalid(RequestError):
    """The body was parsed and breaks the rules; `details` maps dotted field to message."""

    def __init__(self, details: Mapping[str, str]) -> None:
        super().__init__()
        self.details = dict(details)


class InvalidIdempotencyKey(Invalid):
    """The idempotency key is empty or too long."""

    def __init__(self) -> None:
        super().__init__({"Idempotency-Key": "must be 1..255 chars"})


class InvalidDryRun(Invalid):
    """The parameter `dry_run` is neither true nor false."""

    def __init__(self) -> None:
        super().__init__({"dry_run": "must be true or false"})


class KeyReused(RequestError):
    """The idempotency key was used before, with another body."""


class InProgress(RequestError):
    """The first request with the idempotency key is running, or crashed and holds the key."""

    retry_after = 1


class RateLimited(RequestError):
    """The organization's bucket holds less; nothing was spent."""

    def __init__(self, retry_after: int, level: Level) -> None:
        """`retry_after` is in whole seconds, and enough if nobody else spends."""
        super().__init__()
        self.retry_after = retry_after
        self.level = level


class TooManyUploads(RequestError):
    """The organization has as many announced uploads open as it may have."""

    def __init__(self, limit: int, retry_after: int) -> None:
        """`retry_after` is in whole seconds, until the oldest upload link expires."""
        super().__init__()
        self.limit = limit
        self.retry_after = retry_after


class LogBehind(RequestError):
    """The published transparency log is smaller than the caller needs; it grows each minute."""

    retry_after = 60


class OptedOut(RequestError):
    """The contact has opted out; only the contact can sign up again."""


class Unavailable(RequestError):
    """Storage did not answer. Records may be stored or not; repeating the request is safe."""

    retry_after = 1


class Internal(RequestError):
    """A bug. Details are logged, not returned."""
