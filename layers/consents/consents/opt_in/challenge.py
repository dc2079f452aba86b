"""A challenge: a contact is asked by text message, and answers in time or not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

LINK = "{link}"
"""What stands for the link in a text, until it is sent."""

MIN_COUNTED, MIN_CONFIRMED = 50, 0.05
"""Of so many challenges, at least this share is confirmed; else an alarm says so."""


class State(StrEnum):
    """The state of a question."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    EXPIRED = "expired"
    UNDELIVERABLE = "undeliverable"


class MessageState(StrEnum):
    """Where a text message is."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Channel(StrEnum):
    """How a text asks for an answer. YES by reply counts whatever the text asks for."""

    REPLY = "reply"
    LINK = "link"
    BOTH = "both"


class Kind(StrEnum):
    """What a text message is for."""

    CONFIRMATION = "confirmation"
    WELCOME = "welcome"
    KEYWORD = "keyword"
    """The answer to a STOP or HELP, of no challenge."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A question to a contact. `decided` is what was answered; expiry is a comparison.

    `confirmation_text` and `welcome_text` are the texts as sent, but that the first has `LINK` in
    place of its link. `link` is that link without its secret, or empty: a text without one. `web`
    is the evidence of the form that asked for it, if one did.
    """

    challenge_id: str
    org_id: str
    phone_number_id: str
    sender: str
    contact: str
    agreement_text: str
    confirmation_text: str
    welcome_text: str
    created_at: datetime
    expires_at: datetime
    reference: str = ""
    link: str = ""
    decided: str = ""
    decided_at: datetime | None = None
    web: Mapping[str, str] = field(default_factory=dict)

    @property
    def kept_text(self) -> str:
        """The question as it is kept: with the link's secret left out."""
        return (
            self.confirmation_text.replace(LINK, self.link) if self.link else self.confirmation_text
        )

    @property
    def own_texts(self) -> tuple[str, ...]:
        """What a reply may quote of our texts; a link, which nobody quotes alike, divides one."""
        return (*self.confirmation_text.split(LINK), self.welcome_text)

    def state(self, now: datetime) -> State:
        """Return the state at an instant."""
        if self.decided:
            return State(self.decided)
        return State.PENDING if now < self.expires_at else State.EXPIRED

    def takes_answer(self, answered_at: datetime) -> bool:
        """Return whether an answer that was sent at an instant counts, whenever it is handled."""
        return not self.decided and answered_at < self.expires_at


class Counted(StrEnum):
    """What is counted of the challenges of a day."""

    OPENED = "opened"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Rate:
    """How many challenges of a day were opened, and how many confirmed."""

    opened: int
    confirmed: int

    @property
    def is_low(self) -> bool:
        """Whether so few answer that somebody may be paid for the texts."""
        return self.opened >= MIN_COUNTED and self.confirmed < MIN_CONFIRMED * self.opened


@dataclass(frozen=True, slots=True)
class Message:
    """A text message of a challenge, or the answer to a keyword, and its state since `at`.

    `claimed_by` is the run that sends it, or that was the last to try. After `expires_at` it is no
    longer wanted.
    """

    message_id: str
    challenge_id: str
    kind: Kind
    sender: str
    contact: str
    body: str
    state: MessageState
    at: datetime
    expires_at: datetime
    attempts: int = 0
    claimed_by: str = ""
    provider: str = ""
    provider_message_id: str = ""


def last_question(messages: Iterable[Message]) -> Message:
    """Return the text that asked, the last of several; `messages` are in order of time."""
    return [each for each in messages if each.kind is Kind.CONFIRMATION][-1]
