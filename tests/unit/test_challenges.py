"""Challenges: their state by time, their texts, and the rules of what a caller asks for."""

from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import pytest
from consents.domain.errors import Invalid, NotFound
from consents.messages.texts import confirmation_text, help_text, stop_text, welcome_text
from consents.opt_in.api import parse_question
from consents.opt_in.ask import new_challenge
from consents.opt_in.challenge import Challenge, State
from consents.opt_in.sms import MAX_PARTS, is_gsm, parts

from tests.factories import NOT_OWNED, NOW, ORG_ID, OWNED, SENDER, challenge, sender_profile, shown

LATER = NOW + timedelta(days=2)
URL = "https://text.example.com"
ASKED: dict[str, Any] = {
    "phone_number_id": OWNED,
    "contact_number": "+14155552671",
    "agreement_text": "I agree.",
}


@pytest.mark.parametrize(
    ("asked", "now", "state"),
    [
        (challenge(), NOW, State.PENDING),
        (challenge(), challenge().expires_at, State.EXPIRED),
        (challenge(decided="confirmed"), LATER, State.CONFIRMED),
        (challenge(decided="declined"), NOW, State.DECLINED),
        (challenge(decided="undeliverable"), LATER, State.UNDELIVERABLE),
    ],
)
def test_a_challenge_has_a_state(asked: Challenge, now: datetime, state: State) -> None:
    assert asked.state(now) is state
    assert asked.takes_answer(now) is (state is State.PENDING)


def test_the_text_says_who_what_how_often_and_how_to_stop() -> None:
    profile = sender_profile(program="appointment reminders", frequency="About 4 msgs/mo")

    assert confirmation_text(profile, "", "", "en") == (
        "Northside Dental: Reply YES to get appointment reminders. About 4 msgs/mo. "
        "Msg & data rates may apply. Reply HELP for help, STOP to opt out."
    )
    assert welcome_text(profile, "tips", "Weekly.", "en") == (
        "Northside Dental: You're signed up for tips. Weekly. "
        "Msg & data rates may apply. Reply HELP for help, STOP to opt out."
    )


def test_an_answer_to_a_keyword_says_who_and_how_to_undo_it() -> None:
    profile = sender_profile(program="Appointment reminders.", help_contact="555-0100")

    assert stop_text(profile) == (
        "Northside Dental: You are unsubscribed. No more messages will be sent. "
        "Reply START to sign up again."
    )
    assert help_text(profile) == (
        "Northside Dental: Appointment reminders. For help: 555-0100. "
        "Msg & data rates may apply. Reply STOP to opt out."
    )


@pytest.mark.parametrize("lang", ["en", "es"])
def test_what_is_not_known_is_left_out(lang: str) -> None:
    bare = sender_profile(program="", frequency="")
    text = confirmation_text(bare, "", "", lang)

    assert ".." not in text
    assert "  " not in text
    assert {"YES", "STOP"} <= {word.strip(".,") for word in text.split()}
    assert is_gsm(text)


def test_the_longest_default_text_has_three_parts_at_most() -> None:
    longest = sender_profile(brand="B" * 60, program="p" * 160, frequency="f" * 120)
    assert parts(confirmation_text(longest, "", "", "en")) <= MAX_PARTS


def faults(sent: dict[str, Any]) -> dict[str, str]:
    try:
        parse_question(sent, {OWNED: SENDER}, can_send=True, public_url=URL)
    except Invalid as error:
        return error.details
    return {}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("contact_number", None, "is required"),
        ("contact_number", "+19", "must be E.164"),
        ("agreement_text", "", "must be 1..10000 chars"),
        ("confirmation_text", "", "must be 1..459 chars"),
        ("confirmation_text", "YES STOP" + "x" * 452, "must be 1..459 chars"),
        ("confirmation_text", "YES STOP \u2019" + "x" * 193, "must be 1..3 SMS parts"),
        (
            "confirmation_text",
            "reply yes, STOP",
            "must say how to confirm (YES) and how to stop (STOP)",
        ),
        ("confirmation_text", "reply YES", "must say how to confirm (YES) and how to stop (STOP)"),
        ("channel", "fax", "must be one of reply, link, both"),
        ("expires_in", 299, "must be 300..604800 seconds"),
        ("expires_in", 604_801, "must be 300..604800 seconds"),
        ("resend", "yes", "must be true or false"),
        ("locale", "fr", "must be one of en, es"),
        ("program", "two\nlines", "must be one line"),
        ("frequency", "x" * 121, "must be 1..120 chars"),
        ("reference", "", "must be 1..128 chars"),
    ],
    ids=shown,
)
def test_a_field_that_breaks_its_rule_has_a_message(field: str, value: Any, message: str) -> None:
    assert faults(ASKED | {field: value}) == {field: message}


@pytest.mark.parametrize("channel", ["link", "both"])
@pytest.mark.parametrize(
    "text",
    [
        "YES STOP",
        "YES STOP {link} {link}",
        "YES STOP https://evil.example/?to={link}",
        "YES STOP {link}x",
        "YES STOP {link}/x",
    ],
)
def test_a_text_has_one_link_which_is_no_part_of_another_address(channel: str, text: str) -> None:
    asked = ASKED | {"channel": channel, "confirmation_text": text}
    assert faults(asked) == {"confirmation_text": "must hold {link} once"}


@pytest.mark.parametrize(
    ("channel", "text", "found"),
    [
        ("link", "{link}. STOP", None),
        ("link", "{link}", "must say how to confirm (YES) and how to stop (STOP)"),
        ("both", "{link} STOP", "must say how to confirm (YES) and how to stop (STOP)"),
        ("both", "{link} YES STOP", None),
        ("link", "{link} STOP" + "x" * 402, None),
        ("link", "{link} STOP" + "x" * 406, "must be 1..3 SMS parts"),
    ],
    ids=shown,
)
def test_a_text_with_a_link_is_as_long_as_it_is_sent(
    channel: str, text: str, found: str | None
) -> None:
    asked = ASKED | {"channel": channel, "confirmation_text": text}
    assert faults(asked) == ({"confirmation_text": found} if found else {})


@pytest.mark.parametrize(("channel", "is_too_long"), [("reply", False), ("link", True)])
def test_a_default_text_that_its_link_makes_too_long_is_rejected(
    channel: str, is_too_long: bool
) -> None:
    longest = sender_profile(brand="B" * 60, program="p" * 160, frequency="f" * 120)
    question = parse_question(
        ASKED | {"channel": channel}, {OWNED: SENDER}, can_send=True, public_url=URL
    )
    with pytest.raises(Invalid) if is_too_long else nullcontext():
        new_challenge(question, ORG_ID, longest, NOW)


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("link", "Northside Dental: Confirm here: {link} to get tips. "),
        ("both", "Northside Dental: Confirm here: {link} or reply YES to get tips. "),
    ],
)
def test_the_default_text_has_a_place_for_the_link(channel: str, said: str) -> None:
    text = confirmation_text(sender_profile(), "tips", "", "en", channel=channel)
    assert text.startswith(said)
    assert is_gsm(confirmation_text(sender_profile(), "x", "", "es", channel=channel))


@pytest.mark.parametrize(
    "text", ["YES STOP" + "x" * 451, "YES STOP \u2019" + "x" * 191, "Reply YES, or STOP"]
)
def test_a_text_within_the_limits_is_accepted(text: str) -> None:
    question = parse_question(
        ASKED | {"confirmation_text": text, "expires_in": 300},
        {OWNED: SENDER},
        can_send=True,
        public_url=URL,
    )
    assert (question.confirmation_text, question.expires_in) == (text, timedelta(minutes=5))


def test_a_sender_without_a_provider_asks_nobody() -> None:
    with pytest.raises(Invalid) as refused:
        parse_question(ASKED, {OWNED: SENDER}, can_send=False, public_url=URL)
    assert refused.value.details == {"phone_number_id": "this sender cannot send messages"}


def test_an_unknown_sender_alone_is_not_found() -> None:
    with pytest.raises(NotFound):
        parse_question(
            ASKED | {"phone_number_id": NOT_OWNED}, {OWNED: SENDER}, can_send=True, public_url=URL
        )
