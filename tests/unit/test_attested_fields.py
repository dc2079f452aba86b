"""The rule and the message of each field of an attested record."""

from typing import Any

import pytest
from consents.capture import attested
from consents.domain.outcome import Fault, Rejected
from consents.domain.record import Status, timestamp

from tests.factories import (
    CHECKBOX,
    READ_CONTEXT,
    attested_reason,
    attested_record,
    shown,
    verbal_json,
    with_field,
    without_field,
)
from tests.unit import values

MESSAGES = {
    "phone_number_id": "must be a UUID",
    "contact_number": "must be E.164",
    "opted_in": "must be true or false",
    "evidence.captured_at": "must be an RFC 3339 timestamp",
    "evidence.ip_address": "must be a valid IP address",
    "evidence.user_agent": "must be 1..1024 chars",
    "evidence.agreement_text": "must be 1..10000 chars",
    "evidence.form_url": "must be an http(s) URL",
    "evidence.consent_method": "must be one of checkbox, sms_keyword, written, verbal, attested",
}
FIELDS_WITH_A_FORM = [
    "phone_number_id",
    "contact_number",
    "evidence.captured_at",
    "evidence.ip_address",
    "evidence.form_url",
    "evidence.consent_method",
]
BROWSER_FIELDS = ["evidence.ip_address", "evidence.user_agent", "evidence.form_url"]
OFF_BROWSER_METHODS = ["sms_keyword", "written", "verbal", "attested"]
CHARACTERS = ["x", " ", "\n", "\u00fc", "\u0661", "\U0001f600"]
NOT_AN_OBJECT: list[Any] = [None, True, 1, 1.5, float("inf"), "", "x", values.HALF_A_PAIR, [], [{}]]


def reason_with(field: str, value: Any) -> str | None:
    return attested_reason(with_field(CHECKBOX, field, value))


@pytest.mark.parametrize("field", MESSAGES)
def test_another_type_is_rejected_with_the_message_of_its_field(field: str) -> None:
    for value in values.NOT_TEXT:
        error = None if field == "opted_in" and isinstance(value, bool) else MESSAGES[field]
        assert reason_with(field, value) == (error and f"{field}: {error}")


@pytest.mark.parametrize("field", FIELDS_WITH_A_FORM)
def test_a_text_without_the_form_of_its_field_is_rejected(field: str) -> None:
    for value in values.NEVER_A_VALUE:
        assert reason_with(field, value) == f"{field}: {MESSAGES[field]}"


@pytest.mark.parametrize("field", MESSAGES)
def test_a_missing_field_is_required(field: str) -> None:
    assert attested_reason(without_field(CHECKBOX, field)) == f"{field}: is required"


def test_a_phone_number_id_is_found_in_either_case() -> None:
    for value in values.GOOD_UUIDS:
        assert reason_with("phone_number_id", value) is None


def test_a_phone_number_id_must_be_a_uuid_with_hyphens() -> None:
    for value in values.BAD_UUIDS:
        assert reason_with("phone_number_id", value) == "phone_number_id: must be a UUID"


def test_a_possible_e164_contact_number_is_accepted() -> None:
    for value in values.GOOD_NUMBERS:
        assert reason_with("contact_number", value) is None


def test_an_impossible_contact_number_is_rejected() -> None:
    for value in values.BAD_NUMBERS:
        assert reason_with("contact_number", value) == "contact_number: must be E.164"


@pytest.mark.parametrize(("opted_in", "status"), [(True, Status.OPT_IN), (False, Status.OPT_OUT)])
def test_opted_in_is_an_opt_in_or_an_opt_out(opted_in: bool, status: Status) -> None:
    assert attested_record(with_field(CHECKBOX, "opted_in", opted_in)).status is status


@pytest.mark.parametrize("value", ["true", "false", "yes", "on", "1", ""])
def test_opted_in_as_a_text_is_rejected(value: str) -> None:
    assert reason_with("opted_in", value) == "opted_in: must be true or false"


def test_captured_at_names_an_instant() -> None:
    for value, instant in values.GOOD_DATES.items():
        dated_at = attested_record(with_field(CHECKBOX, "evidence.captured_at", value)).dated_at
        assert dated_at is not None, value
        assert timestamp(dated_at) == instant, value


def test_captured_at_must_be_rfc_3339_and_on_the_calendar() -> None:
    for value in [*values.BAD_DATES, *values.ISO_ONLY_DATES]:
        reason = reason_with("evidence.captured_at", value)
        assert reason == "evidence.captured_at: must be an RFC 3339 timestamp", value


def test_captured_at_over_five_minutes_ahead_is_rejected() -> None:
    for value in values.FUTURE_DATES:
        reason = reason_with("evidence.captured_at", value)
        assert reason == "evidence.captured_at: must not be in the future", value


def test_an_ipv4_or_ipv6_address_is_accepted() -> None:
    for value in values.GOOD_ADDRESSES:
        assert reason_with("evidence.ip_address", value) is None


def test_a_text_must_be_a_plain_ip_address() -> None:
    for value in values.BAD_ADDRESSES:
        reason = reason_with("evidence.ip_address", value)
        assert reason == "evidence.ip_address: must be a valid IP address", value


def test_an_absolute_http_url_is_accepted() -> None:
    for value in values.GOOD_URLS:
        assert reason_with("evidence.form_url", value) is None


def test_a_text_must_be_a_plain_http_url() -> None:
    for value in values.BAD_URLS:
        reason = reason_with("evidence.form_url", value)
        assert reason == "evidence.form_url: must be an http(s) URL", value


@pytest.mark.parametrize(
    ("field", "length"),
    [
        ("evidence.user_agent", 1),
        ("evidence.user_agent", 1024),
        ("evidence.agreement_text", 1),
        ("evidence.agreement_text", 10_000),
    ],
)
@pytest.mark.parametrize("character", CHARACTERS, ids=shown)
def test_a_free_text_may_have_any_characters_up_to_its_length(
    field: str, length: int, character: str
) -> None:
    assert reason_with(field, character * length) is None


@pytest.mark.parametrize(
    ("field", "length"), [("evidence.user_agent", 1025), ("evidence.agreement_text", 10_001)]
)
@pytest.mark.parametrize("character", CHARACTERS, ids=shown)
def test_a_free_text_with_one_character_too_many_is_rejected(
    field: str, length: int, character: str
) -> None:
    assert reason_with(field, character * length) == f"{field}: {MESSAGES[field]}"


@pytest.mark.parametrize("field", ["evidence.user_agent", "evidence.agreement_text"])
@pytest.mark.parametrize("value", ["", values.HALF_A_PAIR, f"cut {values.HALF_A_PAIR}"], ids=shown)
def test_an_empty_or_unencodable_free_text_is_rejected(field: str, value: str) -> None:
    assert reason_with(field, value) == f"{field}: {MESSAGES[field]}"


@pytest.mark.parametrize("method", ["checkbox", *OFF_BROWSER_METHODS])
def test_each_consent_method_is_accepted(method: str) -> None:
    assert reason_with("evidence.consent_method", method) is None


@pytest.mark.parametrize(
    "method",
    [
        "Checkbox",
        "CHECKBOX",
        "checkbox ",
        " checkbox",
        "checkbox\n",
        "sms-keyword",
        "sms",
        "hosted_form",
    ],
    ids=shown,
)
def test_another_consent_method_is_rejected(method: str) -> None:
    reason = reason_with("evidence.consent_method", method)
    assert reason == f"evidence.consent_method: {MESSAGES['evidence.consent_method']}"


@pytest.mark.parametrize("field", BROWSER_FIELDS)
@pytest.mark.parametrize("method", OFF_BROWSER_METHODS)
def test_browser_evidence_may_be_absent_without_a_checkbox(field: str, method: str) -> None:
    sent = with_field(CHECKBOX, "evidence.consent_method", method)
    assert attested_reason(without_field(sent, field)) is None


@pytest.mark.parametrize("field", BROWSER_FIELDS)
@pytest.mark.parametrize("method", OFF_BROWSER_METHODS)
def test_browser_evidence_may_be_null_without_a_checkbox(field: str, method: str) -> None:
    sent = with_field(CHECKBOX, "evidence.consent_method", method)
    assert attested_reason(with_field(sent, field, None)) is None


@pytest.mark.parametrize("field", BROWSER_FIELDS)
@pytest.mark.parametrize("method", OFF_BROWSER_METHODS)
def test_browser_evidence_must_be_valid_without_a_checkbox(field: str, method: str) -> None:
    sent = with_field(CHECKBOX, "evidence.consent_method", method)
    wrong: list[Any] = ["", 0, False, [], {}, values.HALF_A_PAIR]
    reasons = [attested_reason(with_field(sent, field, value)) for value in wrong]
    assert reasons == [f"{field}: {MESSAGES[field]}"] * len(wrong)


@pytest.mark.parametrize("field", ["evidence.captured_at", "evidence.agreement_text"])
@pytest.mark.parametrize("method", OFF_BROWSER_METHODS)
def test_every_method_requires_the_date_and_the_text(field: str, method: str) -> None:
    sent = with_field(CHECKBOX, "evidence.consent_method", method)
    assert attested_reason(without_field(sent, field)) == f"{field}: is required"


@pytest.mark.parametrize("record", NOT_AN_OBJECT, ids=shown)
def test_a_record_must_be_an_object(record: Any) -> None:
    assert attested_reason(record) == "must be an object"


@pytest.mark.parametrize("evidence", NOT_AN_OBJECT, ids=shown)
def test_evidence_must_be_an_object(evidence: Any) -> None:
    assert reason_with("evidence", evidence) == "evidence: must be an object"


def test_missing_evidence_is_one_fault() -> None:
    assert attested_reason(without_field(CHECKBOX, "evidence")) == "evidence: is required"


def test_an_empty_record_lacks_every_field_in_order() -> None:
    assert attested_reason({}) == (
        "phone_number_id: is required; contact_number: is required; opted_in: is required; "
        "evidence: is required"
    )


def test_empty_evidence_lacks_every_field_in_order() -> None:
    assert reason_with("evidence", {}) == (
        "evidence.captured_at: is required; evidence.ip_address: is required; "
        "evidence.user_agent: is required; evidence.agreement_text: is required; "
        "evidence.form_url: is required; evidence.consent_method: is required"
    )


def test_all_faults_are_listed_in_field_order() -> None:
    evidence = {name.removeprefix("evidence."): 1 for name in reversed(MESSAGES) if "." in name}
    sent = {"evidence": evidence, "opted_in": 1, "contact_number": 1, "phone_number_id": 1}
    listed = "; ".join(f"{field}: {message}" for field, message in MESSAGES.items())
    assert attested_reason(sent) == listed


def test_missing_wrong_and_future_fields_are_listed_together() -> None:
    sent = with_field(CHECKBOX, "evidence.captured_at", "2026-05-02T12:00:00Z")
    sent = with_field(without_field(sent, "contact_number"), "evidence.form_url", "ftp://x")
    assert attested_reason(sent) == (
        "contact_number: is required; evidence.captured_at: must not be in the future; "
        "evidence.form_url: must be an http(s) URL"
    )


NOT_OWNED = "00000000-0000-4000-8000-000000000000"


def test_an_unknown_phone_number_is_not_found() -> None:
    read = attested.read(with_field(CHECKBOX, "phone_number_id", NOT_OWNED), READ_CONTEXT)
    assert read == Rejected("NOT_FOUND", (Fault("phone_number_id", "not found"),))


def test_an_unknown_phone_number_with_another_fault_is_invalid() -> None:
    sent = with_field(with_field(CHECKBOX, "phone_number_id", NOT_OWNED), "opted_in", 1)
    assert attested.read(sent, READ_CONTEXT) == Rejected(
        "VALIDATION_FAILED",
        (
            Fault("phone_number_id", "not found"),
            Fault("opted_in", "must be true or false"),
        ),
    )


@pytest.mark.parametrize("field", MESSAGES)
def test_one_rejected_field_is_a_failed_validation(field: str) -> None:
    read = attested.read(with_field(CHECKBOX, field, 7), READ_CONTEXT)
    assert isinstance(read, Rejected)
    assert read.code == "VALIDATION_FAILED"


@pytest.mark.parametrize(
    "path",
    [
        "extra",
        "evidence.extra",
        "evidence.__class__",
        f"{values.HALF_A_PAIR}",
        "",
        "correlation_id",
    ],
    ids=shown,
)
@pytest.mark.parametrize("value", [None, {"a": [1]}, values.HALF_A_PAIR], ids=shown)
def test_an_unknown_field_is_ignored(path: str, value: Any) -> None:
    assert attested_record(with_field(CHECKBOX, path, value)) == attested_record(CHECKBOX)


@pytest.mark.parametrize("field", FIELDS_WITH_A_FORM)
def test_a_reason_never_repeats_what_was_sent(field: str) -> None:
    assert "+1 secret" not in str(reason_with(field, "+1 secret"))


def test_a_verbal_record_keeps_only_the_evidence_it_has() -> None:
    assert sorted(attested_record(verbal_json()).evidence) == [
        "agreement_text_hash",
        "captured_at",
        "consent_method",
    ]


def test_null_evidence_is_the_same_as_absent_evidence() -> None:
    nulls = {"ip_address": None, "user_agent": None, "form_url": None}
    spoken = verbal_json()
    assert attested_record(with_field(spoken, "evidence", spoken["evidence"] | nulls)) == (
        attested_record(spoken)
    )
