"""The JSON API of hosted forms: parse what a caller orders, render what it gets."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import AfterValidator, Field, Strict, TypeAdapter, ValidationError

from consents.domain import checks, fields
from consents.domain.errors import Invalid, NotFound
from consents.domain.record import text_hash
from consents.domain.sender_profile import SenderProfile
from consents.forms.disclosures import missing_disclosures
from consents.forms.form import Confirm, Form, MessageType
from consents.forms.orders import Order
from consents.forms.tokens import Token, is_form_id
from consents.http import json_text
from consents.http.response import Response
from consents.messages import numbers
from consents.pages.languages import LANGUAGES

MAX_BYTES = 1024 * 1024

MIN_SECONDS, DAY = 300, 86_400
MAX_SECONDS, DEFAULT_SECONDS = 30 * DAY, 3600
"""Of a form for one contact."""
MAX_OPEN_SECONDS, DEFAULT_OPEN_SECONDS = 366 * DAY, 90 * DAY
"""Of an open form."""

MAX_SUBMISSIONS = 1_000_000
_ONCE = "must be 1"
_CANNOT_SEND = "this sender cannot send messages"

MAX_LENGTHS = {"headline": 120, "intro": 300, "program": 160, "frequency": 120, "reference": 128}

MESSAGES: Mapping[str, str] = {
    "phone_number_id": "must be a UUID",
    "contact_number": "must be E.164",
    "agreement_text": "must be 1..10000 chars",
    "confirm": "must be one of none, sms",
    "max_submissions": f"must be 1..{MAX_SUBMISSIONS}",
    "redirect_url": "must be an http(s) URL",
    "locale": f"must be one of {', '.join(LANGUAGES)}",
    "agreement_lang": "must be a language tag",
    "message_type": "must be one of transactional, marketing",
    **{name: f"must be 1..{length} chars" for name, length in MAX_LENGTHS.items()},
}
_MESSAGES_BY_ERROR: Mapping[str, str] = {
    "missing": "is required",
    checks.NOT_ONE_LINE: "must be one line",
}

_LANGUAGE_TAG = "^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}$"

_Headline = Annotated[
    str, Strict(), Field(min_length=1, max_length=120), AfterValidator(checks.one_line)
]
_Intro = Annotated[
    str, Strict(), Field(min_length=1, max_length=300), AfterValidator(checks.one_line)
]
_Program = Annotated[
    str, Strict(), Field(min_length=1, max_length=160), AfterValidator(checks.one_line)
]
_Number = Annotated[int, Strict()]


class _Order(TypedDict):
    phone_number_id: fields.Uuid
    contact_number: NotRequired[fields.ContactNumber | None]
    agreement_text: fields.AgreementText
    expires_in: NotRequired[_Number | None]
    confirm: NotRequired[Literal["none", "sms"] | None]
    max_submissions: NotRequired[Annotated[_Number, Field(ge=1, le=MAX_SUBMISSIONS)] | None]
    headline: NotRequired[_Headline | None]
    intro: NotRequired[_Intro | None]
    program: NotRequired[_Program | None]
    frequency: NotRequired[_Headline | None]
    redirect_url: NotRequired[fields.FormUrl | None]
    locale: NotRequired[Literal["en", "es"] | None]
    agreement_lang: NotRequired[Annotated[str, Strict(), Field(pattern=_LANGUAGE_TAG)] | None]
    message_type: NotRequired[Literal["transactional", "marketing"] | None]
    reference: NotRequired[Annotated[str, Strict(), Field(min_length=1, max_length=128)] | None]


@cache
def _rules() -> TypeAdapter[_Order]:
    return TypeAdapter(_Order)


def parse_order(
    sent: Mapping[str, Any], senders: Mapping[str, str], *, can_send: bool = False
) -> Order:
    """Return the order of a form; `senders` maps `phone_number_id` to E.164 number.

    Raises:
        NotFound: the only fault is a `phone_number_id` that the organization does not own.
        Invalid: all other faults.
    """
    given = {name: value for name, value in sent.items() if value is not None}
    faults = _faults(given, can_send=can_send)
    sender = senders.get(str(given.get("phone_number_id", "")).lower())
    if sender is None and not faults:
        raise NotFound
    if sender is None or faults:
        unknown = {"phone_number_id": "not found"} if sender is None else {}
        raise Invalid(unknown | faults)
    return _order(given, sender)


def _faults(given: Mapping[str, Any], *, can_send: bool) -> dict[str, str]:
    """Return the message of each field that breaks its rule."""
    faults: dict[str, str] = {}
    try:
        _rules().validate_python(given)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            name = str(fault["loc"][0])
            message = _MESSAGES_BY_ERROR.get(fault["type"]) or MESSAGES.get(name, "")
            faults[name] = message
    is_open = "contact_number" not in given
    most = MAX_OPEN_SECONDS if is_open else MAX_SECONDS
    if not _is_number(given.get("expires_in", MIN_SECONDS), MIN_SECONDS, most):
        faults["expires_in"] = f"must be {MIN_SECONDS}..{most} seconds"
    if not is_open and given.get("max_submissions", 1) != 1:
        faults["max_submissions"] = _ONCE
    if "confirm" not in faults and _confirm(given) is Confirm.SMS and not can_send:
        faults["confirm"] = _CANNOT_SEND
    return faults


def _is_number(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _confirm(given: Mapping[str, Any]) -> Confirm:
    """Return what makes a record: on an open form anybody may type anybody's number."""
    default = Confirm.NONE if "contact_number" in given else Confirm.SMS
    return Confirm(given.get("confirm", default))


def check_textable(order: Order, profile: SenderProfile) -> None:
    """Raise `Invalid` where a form's contact would have to be texted and may not be."""
    if order.contact and order.confirm is Confirm.SMS:
        found = numbers.fault(order.contact, order.sender, profile.countries)
        if found:
            raise Invalid({"contact_number": found})


def _order(given: Mapping[str, Any], sender: str) -> Order:
    is_open = "contact_number" not in given
    default = DEFAULT_OPEN_SECONDS if is_open else DEFAULT_SECONDS
    texts = (*MAX_LENGTHS, "redirect_url", "locale")
    return Order(
        phone_number_id=given["phone_number_id"].lower(),
        sender=sender,
        contact=given.get("contact_number", ""),
        agreement_text=given["agreement_text"],
        expires_in=timedelta(seconds=given.get("expires_in", default)),
        confirm=_confirm(given),
        max_submissions=given.get("max_submissions", 0) if is_open else 1,
        agreement_lang=given.get("agreement_lang", "en"),
        message_type=MessageType(given.get("message_type", MessageType.TRANSACTIONAL)),
        **{name: given[name] for name in texts if name in given},
    )


def parse_id(sent: str) -> str:
    """Return the id of a form, or raise `NotFound` if it is not in the form of one."""
    if not is_form_id(sent):
        raise NotFound
    return sent


def render_created(form: Form, token: Token, public_url: str) -> Response:
    """Return a new form's link; nobody can read its token again."""
    rendered = {
        "token": str(token),
        "url": f"{public_url}/f/{token}",
        "expires_at": _seconds(form.expires_at),
        "form_id": form.form_id,
        "agreement_text_hash": text_hash(form.agreement_text),
        "confirm": form.confirm,
        "missing_disclosures": missing_disclosures(form),
    }
    return Response(201, json_text.indented(rendered))


def render_form(form: Form, now: datetime) -> Response:
    """Return the state of a form."""
    rendered = {
        "form_id": form.form_id,
        "state": form.state(now),
        "contact_number": form.contact or None,
        "confirm": form.confirm,
        "submissions": form.submissions,
        "created_at": _seconds(form.created_at),
        "expires_at": _seconds(form.expires_at),
        "closed_at": _seconds(form.closed_at) if form.closed_at else None,
    }
    return Response(200, json_text.indented(rendered))


def render_closed() -> Response:
    """Return the response to a form that is closed, now or before."""
    return Response(204, b"")


def _seconds(at: datetime) -> str:
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
