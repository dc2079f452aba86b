"""Orders of hosted forms: the rule and the message of each field, and the defaults."""

from datetime import timedelta
from typing import Any

import pytest
from consents.domain.errors import Invalid, NotFound
from consents.forms.api import parse_order
from consents.forms.form import Confirm, MessageType
from consents.forms.orders import make_form
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOT_OWNED, NOW, ORG_ID, OWNED, SENDER, sender_profile, shown

SENDERS = {OWNED: SENDER}
OPEN: dict[str, Any] = {"phone_number_id": OWNED, "agreement_text": "I agree.", "confirm": "none"}
BOUND = OPEN | {"contact_number": "+15554443333"}
DAY = 86_400


def faults(sent: dict[str, Any]) -> dict[str, str]:
    try:
        parse_order(sent, SENDERS)
    except Invalid as error:
        return error.details
    return {}


def test_an_order_of_one_contacts_form_has_defaults() -> None:
    order = parse_order({name: BOUND[name] for name in BOUND if name != "confirm"}, SENDERS)

    assert (order.sender, order.contact) == (SENDER, "+15554443333")
    assert order.expires_in == timedelta(hours=1)
    assert (order.confirm, order.max_submissions) == (Confirm.NONE, 1)
    assert (order.agreement_lang, order.message_type) == ("en", MessageType.TRANSACTIONAL)


def test_an_order_of_an_open_form_has_defaults() -> None:
    order = parse_order(OPEN | {"contact_number": None}, SENDERS)

    assert order.contact == ""
    assert order.expires_in == timedelta(days=90)
    assert order.max_submissions == 0


@pytest.mark.parametrize("name", ["phone_number_id", "agreement_text"])
def test_a_field_that_is_required_may_not_be_null(name: str) -> None:
    assert faults(OPEN | {name: None})[name] in {"is required", "not found"}
    assert faults({key: OPEN[key] for key in OPEN if key != name})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("phone_number_id", "1", "must be a UUID"),
        ("contact_number", "+1555", "must be E.164"),
        ("contact_number", "", "must be E.164"),
        ("agreement_text", "", "must be 1..10000 chars"),
        ("agreement_text", "\ud800 half of a pair", "must be 1..10000 chars"),
        ("agreement_text", "x" * 10_001, "must be 1..10000 chars"),
        ("confirm", "email", "must be one of none, sms"),
        ("confirm", "sms", "this sender cannot send messages"),
        ("max_submissions", 0, "must be 1..1000000"),
        ("max_submissions", 1_000_001, "must be 1..1000000"),
        ("max_submissions", True, "must be 1..1000000"),
        ("headline", "", "must be 1..120 chars"),
        ("headline", "x" * 121, "must be 1..120 chars"),
        ("headline", "two\u2028lines", "must be one line"),
        ("intro", "x" * 301, "must be 1..300 chars"),
        ("intro", "two\r\nlines", "must be one line"),
        ("program", "x" * 161, "must be 1..160 chars"),
        ("frequency", "x" * 121, "must be 1..120 chars"),
        ("frequency", 4, "must be 1..120 chars"),
        ("redirect_url", "javascript:alert(1)", "must be an http(s) URL"),
        ("redirect_url", "/thanks", "must be an http(s) URL"),
        ("locale", "en-US", "must be one of en, es"),
        ("agreement_lang", "english!", "must be a language tag"),
        ("agreement_lang", 'en" onclick="', "must be a language tag"),
        ("message_type", "spam", "must be one of transactional, marketing"),
        ("reference", "", "must be 1..128 chars"),
        ("reference", "x" * 129, "must be 1..128 chars"),
    ],
    ids=shown,
)
def test_a_field_that_breaks_its_rule_has_a_message(field: str, value: Any, message: str) -> None:
    assert faults(OPEN | {field: value}).get(field) == message


@pytest.mark.parametrize(
    ("sent", "most"), [(BOUND, 30 * DAY), (OPEN, 366 * DAY)], ids=["bound", "open"]
)
def test_a_form_expires_within_its_limits(sent: dict[str, Any], most: int) -> None:
    message = {"expires_in": f"must be 300..{most} seconds"}

    assert faults(sent | {"expires_in": 300}) == {}
    assert faults(sent | {"expires_in": most}) == {}
    for value in (299, most + 1, 3600.5, "3600", True):
        assert faults(sent | {"expires_in": value}) == message


def test_one_contacts_form_is_submitted_once() -> None:
    assert faults(BOUND | {"max_submissions": 1}) == {}
    assert faults(BOUND | {"max_submissions": 2}) == {"max_submissions": "must be 1"}


def test_every_fault_is_returned() -> None:
    sent = {"phone_number_id": NOT_OWNED, "agreement_text": "", "expires_in": 1}

    assert faults(sent) == {
        "phone_number_id": "not found",
        "agreement_text": "must be 1..10000 chars",
        "expires_in": "must be 300..31622400 seconds",
        "confirm": "this sender cannot send messages",
    }


def test_an_unknown_sender_alone_is_not_found() -> None:
    with pytest.raises(NotFound):
        parse_order(OPEN | {"phone_number_id": NOT_OWNED}, SENDERS)


@given(st.dictionaries(st.sampled_from([*BOUND, "expires_in", "locale"]), st.none() | st.text()))
def test_no_order_is_an_error_of_the_service(sent: dict[str, Any]) -> None:
    try:
        parse_order(sent, SENDERS)
    except (Invalid, NotFound):
        return
    assert sent["phone_number_id"].lower() == OWNED


def test_a_form_keeps_the_profile_of_its_sender() -> None:
    profile = sender_profile()
    order = parse_order(OPEN | {"frequency": "Once a week"}, SENDERS)
    form, token = make_form(order, ORG_ID, profile, lambda _: "hash", NOW)

    assert (form.profile, form.program, form.frequency) == (profile, profile.program, "Once a week")
    assert (form.form_id, form.secret_hash) == (token.form_id, "hash")
    assert form.expires_at == NOW + timedelta(days=90)
