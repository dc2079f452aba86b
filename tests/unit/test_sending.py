"""A text is sent at most once, wherever the function that sends it is killed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any, cast

import pytest
from consents.messages.port import Accepted, NotAccepted, Sent, Text
from consents.opt_in.challenge import Challenge, Kind, Message, MessageState, State
from consents.opt_in.sending import MAX_ATTEMPTS, NotSent, Store, send

from tests.factories import CHALLENGE_ID, MESSAGE_ID, NOW, challenge, text_of


class Killed(BaseException):
    """The process is gone."""


def complete(_asked: Challenge | None, message: Message) -> Message:
    return replace(message, body=f"complete: {message.body}")


class World:
    """A store and a provider; the process is killed at a call of this number."""

    provider = "fake"

    def __init__(self, asked: Challenge, message: Message, outcome: Sent) -> None:
        self.asked, self.text, self.outcome = asked, message, outcome
        self.bodies: list[str] = []
        self.kill_at = -1
        self._calls = count()

    def _call[R](self, act: Callable[[], R], *, is_killed_after: bool = False) -> R:
        number = next(self._calls)
        if number == self.kill_at and not is_killed_after:
            raise Killed
        result = act()
        if number == self.kill_at:
            raise Killed
        return result

    def find(self, challenge_id: str) -> Challenge | None:
        return self._call(lambda: self.asked if challenge_id == CHALLENGE_ID else None)

    def message(self, _challenge_id: str, message_id: str) -> Message | None:
        return self._call(lambda: self.text if message_id == MESSAGE_ID else None)

    def _move(self, before: set[MessageState], after: MessageState) -> bool:
        if self.text.state not in before:
            return False
        tries = self.text.attempts + (after is MessageState.SENDING)
        self.text = replace(self.text, state=after, attempts=tries)
        return True

    def claim(self, *_: Any, **__: Any) -> Message | None:
        def act() -> Message | None:
            is_claimed = self._move({MessageState.QUEUED}, MessageState.SENDING)
            return self.text if is_claimed else None

        return self._call(act)

    def give_back(self, *_: Any, **__: Any) -> None:
        self._call(lambda: self._move({MessageState.SENDING}, MessageState.QUEUED))

    def end(self, _message: Message, state: MessageState, *_: Any) -> None:
        self._call(lambda: self._move({MessageState.SENDING}, state))

    def sent(self, *_: Any, **__: Any) -> None:
        states = {MessageState.SENDING, MessageState.UNKNOWN}
        self._call(lambda: self._move(states, MessageState.SENT))

    def decide(self, _challenge_id: str, decided: State, *_: Any) -> bool:
        self.asked = replace(self.asked, decided=decided)
        return True

    def send(self, text: Text) -> Sent:
        def act() -> Sent:
            self.bodies.append(text.body)
            return self.outcome

        return self._call(act, is_killed_after=True)

    def run(self, times: int = 1) -> None:
        """Deliver the message of the queue so often."""
        for _ in range(times):
            try:
                send(CHALLENGE_ID, MESSAGE_ID, cast(Store, self), self, NOW, complete=complete)
            except (NotSent, Killed):
                self.kill_at = -1


def world(outcome: Sent | None = None) -> World:
    asked = challenge()
    return World(
        asked, text_of(asked, state=MessageState.QUEUED, attempts=0), outcome or Accepted("1")
    )


def test_a_text_is_sent_and_its_state_says_so() -> None:
    sent = world()
    sent.run(times=3)

    assert sent.bodies == [f"complete: {challenge().confirmation_text}"]
    assert sent.text.state is MessageState.SENT


@pytest.mark.parametrize("kill_at", range(6))
def test_a_run_that_is_killed_at_any_call_sends_no_second_text(kill_at: int) -> None:
    killed = world()
    killed.kill_at = kill_at
    killed.run(times=4)

    assert len(killed.bodies) <= 1
    assert killed.text.state in {MessageState.SENT, MessageState.UNKNOWN}


def test_an_unknown_outcome_is_never_repeated() -> None:
    unknown = world(NotAccepted.UNKNOWN)
    unknown.run(times=3)

    assert len(unknown.bodies) == 1
    assert (unknown.text.state, unknown.asked.decided) == (MessageState.UNKNOWN, "")


def test_a_text_that_was_not_sent_is_tried_five_times() -> None:
    failing = world(NotAccepted.NOT_SENT)
    failing.run(times=9)

    assert len(failing.bodies) == MAX_ATTEMPTS
    assert failing.text.state is MessageState.REFUSED
    assert failing.asked.decided == State.UNDELIVERABLE


def test_a_refused_number_is_undeliverable() -> None:
    refused = world(NotAccepted.REFUSED)
    refused.run(times=2)

    assert len(refused.bodies) == 1
    assert refused.asked.decided == State.UNDELIVERABLE


@pytest.mark.parametrize(
    "asked",
    [
        challenge(decided="declined"),
        challenge(expires_at=NOW - timedelta(seconds=1)),
    ],
)
def test_a_question_that_is_over_is_not_sent(asked: Challenge) -> None:
    over = World(asked, text_of(asked, state=MessageState.QUEUED), Accepted("1"))
    over.run()

    assert (over.bodies, over.text.state) == ([], MessageState.REFUSED)


@pytest.mark.parametrize(("decided", "texts"), [("confirmed", 1), ("declined", 0)])
def test_a_welcome_is_sent_to_who_confirmed(decided: str, texts: int) -> None:
    asked = challenge(decided=decided)
    welcome = text_of(asked, kind=Kind.WELCOME, state=MessageState.QUEUED)
    welcomed = World(asked, welcome, Accepted("1"))
    welcomed.run()

    assert len(welcomed.bodies) == texts


def test_an_unknown_message_is_ignored() -> None:
    send("-", "-", cast(Store, world()), world(), NOW, complete=complete)
