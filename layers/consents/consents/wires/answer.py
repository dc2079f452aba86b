"""What a wire answers: a status and a body."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from consents.domain.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, before the headers that all answers carry.

    `final` is false where a repeat of the call may come to another answer: it is not kept for the
    idempotency key. `code` is that of a refusal; `outcomes` is what became of each record. Both are
    for the log, and not known of an answer that is given again.
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    final: bool = True
    code: str | None = None
    outcomes: Sequence[Outcome] = ()
