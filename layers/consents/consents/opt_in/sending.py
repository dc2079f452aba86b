"""Send a text at most once: claim it, call the provider once, write its end."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from consents.messages.port import Accepted, Messages, NotAccepted, Text
from consents.opt_in.challenge import Challenge, Kind, Message, MessageState, State

MAX_ATTEMPTS = 5


class NotSent(Exception):
    """A text was surely not sent and waits to be tried again."""


class Store(Protocol):
    """Challenges and the states of their texts."""

    def find(self, challenge_id: str) -> Challenge | None:
        """Return a challenge, or None."""

    def message(self, challenge_id: str, message_id: str) -> Message | None:
        """Return a text, or None."""

    def claim(self, message: Message, now: datetime) -> Message | None:
        """Set that a queued text is being sent; return it, or None if another run sends it."""

    def give_back(self, message: Message, now: datetime) -> None:
        """Set that a text was surely not sent, and waits again."""

    def end(self, message: Message, state: MessageState, now: datetime) -> None:
        """Set the end of a text that is being sent."""

    def sent(self, message: Message, provider: str, provider_id: str, now: datetime) -> None:
        """Set that the provider took a text."""

    def decide(self, challenge_id: str, decided: State, at: datetime) -> bool:
        """Set what was answered, once, and return whether it was."""


def send(
    challenge_id: str,
    message_id: str,
    store: Store,
    provider: Messages,
    now: datetime,
    *,
    complete: Callable[[Challenge | None, Message], Message],
) -> None:
    """Send a text, unless it was sent, may have been sent, or is no longer wanted.

    `complete` returns a text as it is sent, with its link.

    Raises:
        NotSent: it was surely not sent, and has tries left.
    """
    challenge, message = store.find(challenge_id), store.message(challenge_id, message_id)
    if message is None:
        return
    if message.state is MessageState.SENDING:
        # The run before was killed, perhaps after the provider took the text.
        store.end(message, MessageState.UNKNOWN, now)
        return
    claimed = store.claim(message, now)
    if claimed is None:
        return
    if _is_wanted(challenge, claimed, now):
        _send(complete(challenge, claimed), store, provider, now)
    else:
        store.end(claimed, MessageState.REFUSED, now)


def _send(message: Message, store: Store, provider: Messages, now: datetime) -> None:
    """Send a text that this run has claimed, and write its end."""
    match provider.send(_text(message, now)):
        case Accepted(provider_message_id):
            store.sent(message, provider.provider, provider_message_id, now)
        case NotAccepted.UNKNOWN:
            store.end(message, MessageState.UNKNOWN, now)
        case NotAccepted.NOT_SENT if message.attempts < MAX_ATTEMPTS:
            store.give_back(message, now)
            raise NotSent
        case NotAccepted.REFUSED | NotAccepted.NOT_SENT:
            store.end(message, MessageState.REFUSED, now)
            if message.kind is Kind.CONFIRMATION:
                store.decide(message.challenge_id, State.UNDELIVERABLE, now)


def _text(message: Message, now: datetime) -> Text:
    """Return a text for the provider; all but a welcome are useless after a time."""
    is_welcome = message.kind is Kind.WELCOME
    left = None if is_welcome else int((message.expires_at - now).total_seconds())
    return Text(message.message_id, message.sender, message.contact, message.body, left)


def _is_wanted(challenge: Challenge | None, message: Message, now: datetime) -> bool:
    if challenge is None:
        return message.kind is Kind.KEYWORD and now < message.expires_at
    if message.kind is Kind.WELCOME:
        return challenge.decided == State.CONFIRMED
    return challenge.takes_answer(now)
