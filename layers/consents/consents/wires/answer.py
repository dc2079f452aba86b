"""What a wire answers: a status and a body."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, before the headers that all answers carry."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
