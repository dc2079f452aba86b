"""What a wire answers: a status and a body."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, before the headers that all answers carry.

    `final` is false where a repeat of the call may come to another answer: it is not kept for the
    idempotency key.
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    final: bool = True
