"""The Attested Consent API: from a body to records, and from outcomes to a response."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from consents.capture import attested
from consents.domain import errors
from consents.domain.outcome import Fault, Rejected, Stored
from consents.domain.record import Status, Wire
from consents.http import json_api

from tests.factories import (
    CHECKBOX,
    NOW,
    OWNED,
    READ_CONTEXT,
    SENDER,
    TEXT,
    all_stored,
    attested_record,
    shown,
    with_field,
    without_field,
)
from tests.unit import values

REQUEST_ID = "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"
NOT_OWNED = "00000000-0000-4000-8000-000000000000"

PUBLISHED_RESPONSE = b"""\
{
  "accepted": 1,
  "rejected": [
    {
      "index": 1,
      "code": "VALIDATION_FAILED",
      "reason": "evidence.ip_address: must be a valid IP address"
    }
  ]
}"""

PUBLISHED_DETAILS = b"""\
{
  "success": false,
  "error": {
    "code": "VALIDATION_FAILED",
    "message": "validation failed",
    "request_id": "01JTBQH2FZ8K1RXC0WJ4Z9P3VM",
    "details": {
      "to": "must be E.164",
      "body": "must be 1..1600 chars"
    }
  }
}"""

PUBLISHED_ERRORS: list[tuple[errors.RequestError, int, str, str]] = [
    (errors.Unauthenticated(), 401, "UNAUTHORIZED", "authentication failed"),
    (errors.MissingScope(), 403, "FORBIDDEN", "missing required scope"),
    (
        errors.PlanRequired(),
        403,
        "PLAN_REQUIRED",
        "Tier 3 consent capture requires Growth or higher; use double-opt-in (POST "
        "/v1/consent/double-opt-in) or the hosted form (POST /v1/consent/hosted) on Starter",
    ),
    (errors.NotFound(), 404, "NOT_FOUND", "not found"),
]
OTHER_ERRORS: list[tuple[errors.RequestError, int, str]] = [
    (errors.BodyTooLarge(8388608), 413, "PAYLOAD_TOO_LARGE"),
    (errors.UnsupportedMediaType(), 415, "UNSUPPORTED_MEDIA_TYPE"),
    (errors.MalformedBody(), 400, "INVALID_INPUT"),
    (errors.Invalid({"records": "is required"}), 422, "VALIDATION_FAILED"),
    (errors.Unavailable(), 503, "UNAVAILABLE"),
    (errors.Internal(), 500, "INTERNAL"),
]


def batch(*records: Any) -> bytes:
    return json.dumps({"records": records}).encode()


def response_to(body: bytes) -> bytes:
    """Return the response to a bulk request whose valid records are all stored."""
    records = attested.parse_batch(body, "application/json")
    return attested.render_batch(all_stored(attested.read(r, READ_CONTEXT) for r in records)).body


# --- from a body to records ---


def test_a_batch_keeps_the_order_of_its_records() -> None:
    assert attested.parse_batch(b'{"records": [1, {}, "x", null]}', None) == [1, {}, "x", None]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json ; charset=utf-8",
        "Application/JSON",
        "  application/json  ",
        "application/vnd.api+json",
    ],
)
def test_json_and_a_missing_content_type_are_read(content_type: str | None) -> None:
    assert json_api.parse_object(b"{}", content_type) == {}


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/html; charset=utf-8",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=json",
        "application/octet-stream",
        "application/jsonp",
        "application/json-seq",
        "application/x-json",
        "application/",
        "json",
        "*/*",
        "text/plain; application/json",
        "application/json, text/plain",
        "application/js\u00f6n",
    ],
)
def test_another_content_type_is_unsupported(content_type: str) -> None:
    with pytest.raises(errors.UnsupportedMediaType):
        attested.parse_batch(batch(CHECKBOX), content_type)


NOT_A_JSON_OBJECT = [
    b"",
    b" ",
    b"{",
    b"{}}",
    b"{'records': []}",
    b'{"records": [],}',
    b'{"records": [NaN]}',
    b'{"records": [Infinity]}',
    b'{"records": [-Infinity]}',
    b'{"records": [01]}',
    b'{"records": [1] // comment\n}',
    b'{"records": ["\xff"]}',
    b'{"records": ["\xed\xa0\x80"]}',
    b'{"records": ["\x00"]}',
    b'\xef\xbb\xbf{"records": [1]}',
    '{"records": [1]}'.encode("utf-16"),
    b'{"records": ' + b"[" * 200_000,
    b'{"records": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    b"records=%5B%5D",
    b"\x00",
    b"\x1f\x8b\x08\x00",
    b"[]",
    b"[{}]",
    b'"x"',
    b"1",
    b"null",
    b"true",
    b"NaN",
]


@pytest.mark.parametrize("body", NOT_A_JSON_OBJECT, ids=shown)
def test_a_batch_body_must_be_a_json_object(body: bytes) -> None:
    with pytest.raises(errors.MalformedBody):
        attested.parse_batch(body, None)


@pytest.mark.parametrize("body", NOT_A_JSON_OBJECT, ids=shown)
def test_a_single_body_must_be_a_json_object(body: bytes) -> None:
    with pytest.raises(errors.MalformedBody):
        json_api.parse_object(body, None)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"Records": [1]}',
        b'{"record": [1]}',
        b'{"records": null}',
        b'{"records": {}}',
        b'{"records": {"0": 1}}',
        b'{"records": "[]"}',
        b'{"records": 1}',
        b'{"records": true}',
        b'{"records": []}',
        b'{"records": [1], "records": []}',
    ],
    ids=shown,
)
def test_records_must_be_a_filled_array(body: bytes) -> None:
    with pytest.raises(errors.Invalid) as error:
        attested.parse_batch(body, None)
    assert list(error.value.details) == ["records"]


def test_a_batch_holds_up_to_1000_records() -> None:
    assert len(attested.parse_batch(batch(*range(1000)), None)) == 1000


def test_a_batch_over_1000_records_is_rejected_with_both_numbers() -> None:
    with pytest.raises(errors.Invalid) as error:
        attested.parse_batch(batch(*range(1001)), None)
    assert "1000" in error.value.details["records"]
    assert "1001" in error.value.details["records"]


def test_only_valid_phone_number_ids_are_looked_up_in_lower_case() -> None:
    named = [OWNED, OWNED.upper(), NOT_OWNED, *values.BAD_UUIDS, *values.NOT_TEXT]
    records = [{"phone_number_id": name} for name in named]
    assert attested.phone_number_ids([*records, {}, *values.NOT_TEXT]) == {OWNED, NOT_OWNED}


# --- what a record says ---


def test_a_record_keeps_its_evidence_as_sent() -> None:
    sent = with_field(CHECKBOX, "evidence.captured_at", "2026-04-26T14:00:00+02:00")
    record = attested_record(sent)
    assert (record.wire, record.sender, record.contact) == (Wire.ATTESTED, SENDER, "+15554443333")
    assert record.status is Status.OPT_IN
    assert record.dated_at == datetime(2026, 4, 26, 12, tzinfo=UTC)
    assert record.evidence == {
        "captured_at": "2026-04-26T14:00:00+02:00",
        "ip_address": "203.0.113.42",
        "user_agent": "Mozilla/5.0",
        "form_url": "https://example.com/signup",
        "consent_method": "checkbox",
        "agreement_text_hash": sha256(TEXT.encode()).hexdigest(),
    }
    assert record.agreement_text == TEXT


def test_an_agreement_text_is_hashed_as_utf_8() -> None:
    text = "J'accepte \u00e0 Z\u00fcrich \U0001f600"
    record = attested_record(with_field(CHECKBOX, "evidence.agreement_text", text))
    assert record.evidence["agreement_text_hash"] == sha256(text.encode("utf-8")).hexdigest()


def test_a_phone_number_id_in_upper_case_is_the_same_record() -> None:
    shouted = attested_record(with_field(CHECKBOX, "phone_number_id", OWNED.upper()))
    assert shouted == attested_record(CHECKBOX)


# --- from outcomes to a response ---


def test_the_published_example_has_its_response_byte_for_byte() -> None:
    second = with_field(CHECKBOX, "contact_number", "+15554443334")
    second = with_field(second, "evidence.captured_at", "2026-04-26T12:00:01Z")
    second = with_field(second, "evidence.ip_address", "")
    assert response_to(batch(CHECKBOX, second)) == PUBLISHED_RESPONSE


def test_an_invalid_record_is_listed_by_index_and_sinks_no_other() -> None:
    stranger = with_field(CHECKBOX, "phone_number_id", NOT_OWNED)
    cut = with_field(CHECKBOX, "evidence.agreement_text", f"cut {values.HALF_A_PAIR}")
    huge = with_field(CHECKBOX, "opted_in", 10**400)
    rendered = json.loads(response_to(batch(None, CHECKBOX, stranger, "x", CHECKBOX, cut, huge)))
    assert rendered["accepted"] == 2
    assert [(one["index"], one["code"], one["reason"]) for one in rendered["rejected"]] == [
        (0, "VALIDATION_FAILED", "must be an object"),
        (2, "NOT_FOUND", "phone_number_id: not found"),
        (3, "VALIDATION_FAILED", "must be an object"),
        (5, "VALIDATION_FAILED", "evidence.agreement_text: must be 1..10000 chars"),
        (6, "VALIDATION_FAILED", "opted_in: must be true or false"),
    ]


def test_a_batch_without_faults_has_an_empty_list_of_rejected() -> None:
    response = attested.render_batch([Stored.ACCEPTED])
    assert (response.status, json.loads(response.body)) == (200, {"accepted": 1, "rejected": []})


def test_a_batch_of_bad_records_is_still_a_200() -> None:
    response = attested.render_batch([Rejected("VALIDATION_FAILED", (Fault("", "x"),))] * 3)
    assert response.status == 200
    assert json.loads(response.body)["accepted"] == 0


def test_a_record_that_is_not_stored_is_listed_as_unavailable() -> None:
    response = attested.render_batch([Stored.ACCEPTED, Stored.UNAVAILABLE])
    rendered = json.loads(response.body)
    assert rendered["accepted"] == 1
    assert (rendered["rejected"][0]["index"], rendered["rejected"][0]["code"]) == (1, "UNAVAILABLE")


# --- the single twin ---


def test_a_good_single_record_is_read() -> None:
    assert attested.read_single(CHECKBOX, READ_CONTEXT) == attested_record(CHECKBOX)


def test_a_phone_number_of_another_owner_is_not_found() -> None:
    with pytest.raises(errors.NotFound):
        attested.read_single(CHECKBOX, attested.ReadContext(NOW, {NOT_OWNED: SENDER}))


def test_faults_of_a_single_record_are_listed_by_dotted_field() -> None:
    sent = with_field(without_field(CHECKBOX, "contact_number"), "evidence.ip_address", "::x")
    with pytest.raises(errors.Invalid) as error:
        attested.read_single(sent, READ_CONTEXT)
    assert error.value.details == {
        "contact_number": "is required",
        "evidence.ip_address": "must be a valid IP address",
    }


def test_a_foreign_phone_number_with_other_faults_is_invalid() -> None:
    sent = with_field(with_field(CHECKBOX, "phone_number_id", NOT_OWNED), "opted_in", None)
    with pytest.raises(errors.Invalid) as error:
        attested.read_single(sent, READ_CONTEXT)
    assert error.value.details == {
        "phone_number_id": "not found",
        "opted_in": "must be true or false",
    }


@pytest.mark.parametrize("already_opted_in", [True, False])
def test_a_captured_single_record_is_a_201(already_opted_in: bool) -> None:
    response = attested.render_single(
        "consent-1", attested_record(CHECKBOX), already_opted_in=already_opted_in
    )
    assert response.status == 201
    assert json.loads(response.body) == {
        "consent_id": "consent-1",
        "agreement_text_hash": sha256(TEXT.encode()).hexdigest(),
        "already_opted_in": already_opted_in,
    }


# --- errors ---


@pytest.mark.parametrize(("error", "status", "code", "message"), PUBLISHED_ERRORS)
def test_a_published_error_has_its_response_byte_for_byte(
    error: errors.RequestError, status: int, code: str, message: str
) -> None:
    response = json_api.render_error(error, REQUEST_ID)
    assert response.status == status
    assert response.body.decode() == (
        '{\n  "success": false,\n  "error": {\n'
        f'    "code": "{code}",\n    "message": "{message}",\n'
        f'    "request_id": "{REQUEST_ID}"\n  }}\n}}'
    )


def test_the_published_details_are_rendered_byte_for_byte() -> None:
    error = errors.Invalid({"to": "must be E.164", "body": "must be 1..1600 chars"})
    response = json_api.render_error(error, REQUEST_ID)
    assert (response.status, response.body) == (422, PUBLISHED_DETAILS)


@pytest.mark.parametrize(("error", "status", "code"), OTHER_ERRORS)
def test_an_error_has_its_status_and_code(
    error: errors.RequestError, status: int, code: str
) -> None:
    response = json_api.render_error(error, REQUEST_ID)
    rendered = json.loads(response.body)
    assert (response.status, rendered["success"]) == (status, False)
    assert (rendered["error"]["code"], rendered["error"]["request_id"]) == (code, REQUEST_ID)


def test_only_a_failed_validation_has_details() -> None:
    with_details = [
        type(error)
        for error, *_ in PUBLISHED_ERRORS + OTHER_ERRORS
        if b'"details"' in json_api.render_error(error, REQUEST_ID).body
    ]
    assert with_details == [errors.Invalid]


def test_an_error_about_a_large_body_names_the_limit() -> None:
    assert b"1048576" in json_api.render_error(errors.BodyTooLarge(1048576), REQUEST_ID).body


def test_details_with_braces_are_rendered_as_they_are() -> None:
    response = json_api.render_error(errors.Invalid({"{x}": "{0} {limit}"}), REQUEST_ID)
    assert json.loads(response.body)["error"]["details"] == {"{x}": "{0} {limit}"}


# --- who calls ---


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_key_is_the_secret(scheme: str) -> None:
    assert json_api.secret(f"{scheme} am_live_x_y") == "bearer:am_live_x_y"


@pytest.mark.parametrize("header", ["", "am_live_x_y", "Basic QUM6eA==", "Token am_live_x_y"])
def test_another_scheme_has_no_secret(header: str) -> None:
    assert json_api.secret(header) == ""
