"""The port of text messages: what is sent, and what came of it.

A text is sent at most once: no provider knows a key that makes a repeat harmless.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Text:
    """A text message to a contact; `message_id` is the service's own id of it.

    After `seconds_to_live` nobody needs it any more; without, it does not expire.
    """

    message_id: str
    sender: str
    contact: str
    body: str
    seconds_to_live: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message, under its own id."""

    provider_message_id: str


class NotAccepted(Enum):
    """Why a message is not known to be on its way."""

    NOT_SENT = auto()
    """It was surely not sent: it may be tried again."""

    REFUSED = auto()
    """The provider will never send it: no such number, or blocked there."""

    UNKNOWN = auto()
    """It may have been sent: it is never tried again."""


type Sent = Accepted | NotAccepted


class Messages(Protocol):
    """Sends text messages."""

    @property
    def provider(self) -> str:
        """The name of the provider."""

    def send(self, text: Text) -> Sent:
        """Send a message once, without a retry."""
