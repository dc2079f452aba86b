"""The JSON API of double opt-in: parse what a caller asks for, render what it gets."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import AfterValidator, Field, Strict, TypeAdapter, ValidationError

from consents.domain import checks, fields, formats
from consents.domain.errors import Invalid, NotFound
from consents.http import json_text
from consents.http.response import Response
from consents.opt_in import links, sms
from consents.opt_in.ask import DEFAULT_SECONDS, Opened, Question
from consents.opt_in.challenge import LINK, Challenge, Channel, Message

MAX_BYTES = 1024 * 1024

MIN_SECONDS, MAX_SECONDS = 300, 604_800

CANNOT_SEND = "this sender cannot send messages"
_HOW = "must say how to confirm (YES) and how to stop (STOP)"
_NO_LINK = f"must hold {LINK} once"

MESSAGES: Mapping[str, str] = {
    "phone_number_id": "must be a UUID",
    "contact_number": "must be E.164",
    "agreement_text": "must be 1..10000 chars",
    "confirmation_text": f"must be 1..{sms.MAX_GSM_LENGTH} chars",
    "channel": "must be one of reply, link, both",
    "expires_in": f"must be {MIN_SECONDS}..{MAX_SECONDS} seconds",
    "resend": "must be true or false",
    "locale": "must be one of en, es",
    "program": "must be 1..160 chars",
    "frequency": "must be 1..120 chars",
    "reference": "must be 1..128 chars",
}
_MESSAGES_BY_ERROR: Mapping[str, str] = {
    "missing": "is required",
    checks.NOT_ONE_LINE: "must be one line",
}


class _Question(TypedDict):
    phone_number_id: fields.Uuid
    contact_number: fields.ContactNumber
    agreement_text: fields.AgreementText
    confirmation_text: NotRequired[
        Annotated[str, Strict(), Field(min_length=1, max_length=sms.MAX_GSM_LENGTH)]
    ]
    channel: NotRequired[Literal["reply", "link", "both"]]
    expires_in: NotRequired[Annotated[int, Strict(), Field(ge=MIN_SECONDS, le=MAX_SECONDS)]]
    resend: NotRequired[Annotated[bool, Strict()]]
    locale: NotRequired[Literal["en", "es"]]
    program: NotRequired[
        Annotated[
            str, Strict(), Field(min_length=1, max_length=160), AfterValidator(checks.one_line)
        ]
    ]
    frequency: NotRequired[
        Annotated[
            str, Strict(), Field(min_length=1, max_length=120), AfterValidator(checks.one_line)
        ]
    ]
    reference: NotRequired[Annotated[str, Strict(), Field(min_length=1, max_length=128)]]


@cache
def _rules() -> TypeAdapter[_Question]:
    return TypeAdapter(_Question)


def parse_question(
    sent: Mapping[str, Any], senders: Mapping[str, str], *, can_send: bool, public_url: str
) -> Question:
    """Return a question; `senders` maps `phone_number_id` to E.164 number.

    `public_url` is that of links.

    Raises:
        NotFound: the only fault is a `phone_number_id` that the organization does not own.
        Invalid: all other faults.
    """
    given = {name: value for name, value in sent.items() if value is not None}
    link = f"{public_url}/c/"
    faults = _faults(given, link)
    sender = senders.get(str(given.get("phone_number_id", "")).lower())
    if sender is None and not faults:
        raise NotFound
    if sender is None or faults:
        unknown = {"phone_number_id": "not found"} if sender is None else {}
        raise Invalid(unknown | faults)
    if not can_send:
        raise Invalid({"phone_number_id": CANNOT_SEND})
    channel = Channel(given.get("channel", Channel.REPLY))
    texts = ("confirmation_text", "locale", "program", "frequency", "reference")
    return Question(
        phone_number_id=given["phone_number_id"].lower(),
        sender=sender,
        contact=given["contact_number"],
        agreement_text=given["agreement_text"],
        expires_in=timedelta(seconds=given.get("expires_in", DEFAULT_SECONDS)),
        resends=given.get("resend", False),
        channel=channel,
        link="" if channel is Channel.REPLY else link,
        **{name: given[name] for name in texts if name in given},
    )


def _faults(given: Mapping[str, Any], link: str) -> dict[str, str]:
    """Return the message of each field that breaks its rule."""
    faults: dict[str, str] = {}
    try:
        _rules().validate_python(given)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            name = str(fault["loc"][0])
            faults[name] = _MESSAGES_BY_ERROR.get(fault["type"]) or MESSAGES[name]
    text = given.get("confirmation_text")
    if "confirmation_text" not in faults and text is not None:
        channel = Channel.REPLY if "channel" in faults else given.get("channel", Channel.REPLY)
        found = _text_fault(text, channel, link)
        faults |= {"confirmation_text": found} if found else {}
    return faults


def _text_fault(text: str, channel: str, link: str) -> str | None:
    """Return which rule a caller's question breaks, or None."""
    if channel != Channel.REPLY:
        if not links.has_one_link(text):
            return _NO_LINK
        text = links.longest(text, link)
    if sms.parts(text) > sms.MAX_PARTS:
        return sms.TOO_LONG
    says_how = channel == Channel.LINK or "YES" in text
    return None if says_how and "STOP" in text else _HOW


def parse_id(sent: str) -> str:
    """Return the id of a challenge, or raise `NotFound` if it is not in the form of one."""
    if not formats.is_uuid(sent):
        raise NotFound
    return sent.lower()


def render_opened(opened: Opened) -> Response:
    """Return what came of a question: 202 where a text is on its way."""
    challenge = opened.challenge
    rendered = {
        "consent_pending_id": challenge.challenge_id if challenge else None,
        "confirmation_message_id": opened.message_id,
        "expires_at": _seconds(challenge.expires_at) if challenge else None,
        "reused": opened.is_reused,
        "already_opted_in": challenge is None,
    }
    return Response(202 if opened.is_sent else 200, json_text.indented(rendered))


def render_challenge(challenge: Challenge, messages: Sequence[Message], now: datetime) -> Response:
    """Return the state of a challenge."""
    rendered = {
        "consent_pending_id": challenge.challenge_id,
        "state": challenge.state(now),
        "contact_number": challenge.contact,
        "phone_number_id": challenge.phone_number_id,
        "created_at": _seconds(challenge.created_at),
        "expires_at": _seconds(challenge.expires_at),
        "decided_at": _seconds(challenge.decided_at) if challenge.decided_at else None,
        "messages": [
            {"id": each.message_id, "state": each.state, "at": _seconds(each.at)}
            for each in messages
        ],
    }
    return Response(200, json_text.indented(rendered))


def _seconds(at: datetime) -> str:
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
