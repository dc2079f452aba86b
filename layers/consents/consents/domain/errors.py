"""The refusals of a whole request. A refused record is data, never an exception.

Refused
├── Unauthenticated       no, malformed, unknown, revoked or expired credential
├── MissingScope          the credential lacks the scope of the route
├── PlanRequired          the organization's plan does not include capture
├── NotFound              no such route, or nothing of this organization by that name
├── BodyTooLarge          more bytes, decoded, than the route takes
├── BrokenGzip            a gzip body that cannot be decompressed to its end
├── UnsupportedMediaType  the content type is not the wire's
├── MalformedBody         the body cannot be parsed
├── Invalid               parsed, but against the rules; carries every fault
│   └── InvalidIdempotencyKey
├── KeyReused             the idempotency key came with another body before
├── InProgress            the first call with the idempotency key is still running
├── RateLimited           the bucket does not hold as many records as the body
├── Unavailable           storage did not answer and nothing was stored; safe to repeat
└── Internal              a bug of ours; nothing about it is told
"""

from collections.abc import Mapping

from consents.domain.token_bucket import Level


class Refused(Exception):
    """A request is refused as a whole, before anything of it is stored."""

    retry_after: int | None = None
    """Whole seconds after which the same call may succeed, where it may."""


class Unauthenticated(Refused):
    """No, malformed, unknown, revoked or expired credential: one answer for all."""


class MissingScope(Refused):
    """The credential does not carry the scope that the route asks for."""


class PlanRequired(Refused):
    """The organization's plan does not include consent capture."""


class NotFound(Refused):
    """There is no such route, or nothing by that name that this organization owns."""


class BodyTooLarge(Refused):
    """The decoded body has more bytes than the route takes."""

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes."""
        super().__init__()
        self.limit = limit


class BrokenGzip(Refused):
    """What begins as gzip is not gzip from its first byte to its last."""

    def __init__(self, reason: str) -> None:
        """`reason` says what it must be, and nothing of what it is."""
        super().__init__()
        self.reason = reason


class UnsupportedMediaType(Refused):
    """The content type is not one that the wire reads."""


class MalformedBody(Refused):
    """The body cannot be parsed at all."""


class Invalid(Refused):
    """The body was parsed and breaks the rules; `details` maps dotted field to message."""

    def __init__(self, details: Mapping[str, str]) -> None:
        super().__init__()
        self.details = dict(details)


class InvalidIdempotencyKey(Invalid):
    """The idempotency key is empty or too long."""

    def __init__(self) -> None:
        super().__init__({"Idempotency-Key": "must be 1..255 chars"})


class KeyReused(Refused):
    """The idempotency key was used before, with another body."""


class InProgress(Refused):
    """The first call with the idempotency key is still running, or was cut off and may be."""

    retry_after = 1


class RateLimited(Refused):
    """The organization's bucket does not hold as many records; nothing was taken out of it."""

    def __init__(self, retry_after: int, level: Level) -> None:
        """After `retry_after` whole seconds it does, if nobody else takes any."""
        super().__init__()
        self.retry_after = retry_after
        self.level = level


class Unavailable(Refused):
    """Storage did not answer and nothing was stored: safe to repeat."""

    retry_after = 1


class Internal(Refused):
    """A fault of ours, of which nothing is told."""
