"""An HTTP response, before the headers that every response carries."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from consents.domain.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Response:
    """Status, body and headers, and what the log needs to know.

    `is_binary` is true where the body is no text. `final` is false where a repeat of the request
    may have another result: it is not kept for the idempotency key. `code` is the error code,
    `outcomes` the outcome of each record, `reasons` the reason of each decision. They are for the
    log, and not known of a replayed response.
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    is_binary: bool = False
    final: bool = True
    code: str | None = None
    outcomes: Sequence[Outcome] = ()
    reasons: Sequence[str] = ()
