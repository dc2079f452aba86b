"""The Bulk Consents API: from a body to items, and from outcomes to a response."""

import json
from base64 import b64encode
from typing import Any

import pytest
from consents.capture import bulk_consents
from consents.domain import errors
from consents.domain.outcome import Outcome, Rejected, Stored

from tests.factories import (
    BAD_ITEM,
    ITEM,
    NOW,
    all_stored,
    form_body,
    shown,
    with_field,
    without_field,
)
from tests.unit import values

PUBLISHED_RESPONSE = (
    b'{"items":[{"correlation_id":"ad388b5a46b33b874b0d41f7226db2ef","error_code":0,'
    b'"error_messages":[]},{"correlation_id":"02520cfa6c432f0e3ec3a38c122d428d",'
    b'"error_code":30646,"error_messages":["INVALID_CONTACT_ID","INVALID_DATE_OF_CONSENT"]}]}'
)
ALL_MISSING = [
    "INVALID_CORRELATION_ID",
    "INVALID_SENDER_ID",
    "INVALID_CONTACT_ID",
    "INVALID_STATUS",
    "INVALID_SOURCE",
]
ERRORS: list[tuple[errors.RequestError, int, int, str]] = [
    (errors.Unauthenticated(), 401, 20003, "Authenticate"),
    (
        errors.Invalid({"Items": "Missing required parameter Items in the post body"}),
        400,
        20001,
        "Missing required parameter Items in the post body",
    ),
]
OTHER_ERRORS: list[tuple[errors.RequestError, int]] = [
    (errors.MissingScope(), 403),
    (errors.PlanRequired(), 403),
    (errors.Unavailable(), 503),
    (errors.Internal(), 500),
]


def response_to(body: bytes) -> list[dict[str, Any]]:
    """Return the results of a request whose valid items are all stored."""
    items = bulk_consents.parse_batch(body)
    outcomes = all_stored(bulk_consents.read_batch(items, NOW))
    results: list[dict[str, Any]] = json.loads(bulk_consents.render_batch(items, outcomes).body)[
        "items"
    ]
    return results


def numbered(count: int) -> list[dict[str, Any]]:
    return [with_field(ITEM, "correlation_id", f"{number:032x}") for number in range(count)]


def codes(results: list[dict[str, Any]]) -> list[int]:
    return [result["error_code"] for result in results]


# --- from a body to items ---


@pytest.mark.parametrize(
    "body",
    [b"", b"&", b"=", b"a=b", b"items=%7B%7D", b"Item=%7B%7D", b"{}", b"\xff\x00", b"Items[="],
)
def test_a_body_without_items_has_the_error_of_the_vendor(body: bytes) -> None:
    with pytest.raises(errors.Invalid) as error:
        bulk_consents.parse_batch(body)
    assert error.value.details == {"Items": "Missing required parameter Items in the post body"}


def test_a_call_holds_up_to_1000_items() -> None:
    assert bulk_consents.parse_batch(form_body([1] * 1000)) == [1] * 1000


@pytest.mark.parametrize(
    "body",
    [
        form_body([1] * 1001),
        form_body([[1] * 1001]),
        form_body([[1] * 500, [1] * 501]),
        b"&".join(b"Items[%d]=1" % index for index in range(1001)),
        b"&".join(b"Items[%d][status]=opt-in" % index for index in range(1001)),
    ],
    ids=["repeated", "an array", "arrays", "indexed", "indexed objects"],
)
def test_over_1000_items_are_rejected_with_both_numbers(body: bytes) -> None:
    with pytest.raises(errors.Invalid) as error:
        bulk_consents.parse_batch(body)
    assert "1000" in error.value.details["Items"]
    assert "1001" in error.value.details["Items"]


# --- repeated correlation ids ---


def read(*items: Any) -> list[list[str]]:
    results = bulk_consents.read_batch(items, NOW)
    return [
        [fault.message for fault in result.faults] if isinstance(result, Rejected) else []
        for result in results
    ]


@pytest.mark.parametrize(
    "repeat", ["ad388b5a46b33b874b0d41f7226db2ef", "AD388B5A46B33B874B0D41F7226DB2EF"]
)
def test_a_repeated_correlation_id_is_invalid_on_later_items(repeat: str) -> None:
    later = with_field(ITEM, "correlation_id", repeat)
    assert read(ITEM, later, later) == [[], *[["INVALID_CORRELATION_ID"]] * 2]


def test_a_repeated_correlation_id_is_the_first_fault() -> None:
    later = with_field(BAD_ITEM, "correlation_id", ITEM["correlation_id"])
    assert read(ITEM, later)[1] == [
        "INVALID_CORRELATION_ID",
        "INVALID_CONTACT_ID",
        "INVALID_DATE_OF_CONSENT",
    ]


def test_a_correlation_id_of_a_rejected_item_is_used_up() -> None:
    assert read(with_field(ITEM, "source", "x"), ITEM)[1] == ["INVALID_CORRELATION_ID"]


def test_a_correlation_id_may_be_used_again_in_another_call() -> None:
    assert read(ITEM) == read(ITEM) == [[]]


def test_items_with_other_correlation_ids_are_all_accepted() -> None:
    assert read(*numbered(3)) == [[], [], []]


@pytest.mark.parametrize("value", [None, "", "x", 1, [], values.HALF_A_PAIR], ids=shown)
def test_an_invalid_correlation_id_is_one_fault_per_item(value: Any) -> None:
    item = with_field(ITEM, "correlation_id", value)
    assert read(item, item) == [["INVALID_CORRELATION_ID"]] * 2


# --- from outcomes to a response ---


def test_the_published_example_has_its_response_byte_for_byte() -> None:
    items = bulk_consents.parse_batch(form_body([ITEM, BAD_ITEM]))
    outcomes = all_stored(bulk_consents.read_batch(items, NOW))
    response = bulk_consents.render_batch(items, outcomes)
    assert (response.status, response.body) == (201, PUBLISHED_RESPONSE)


def test_a_call_of_bad_items_is_still_a_201() -> None:
    items: list[Any] = [None, 1, {}]
    outcomes = all_stored(bulk_consents.read_batch(items, NOW))
    assert bulk_consents.render_batch(items, outcomes).status == 201


@pytest.mark.parametrize(
    "text", ["not json", "", "null", "NaN", "1", "true", '""', "[[]]", "{", "%zz", "%ff%fe", "%00"]
)
def test_a_value_that_is_not_an_object_is_one_rejected_item(text: str) -> None:
    assert response_to(f"Items={text}".encode()) == [
        {"correlation_id": None, "error_code": 30646, "error_messages": ALL_MISSING}
    ]


def test_bad_items_keep_their_places_among_the_good_ones() -> None:
    first, second, third = numbered(3)
    results = response_to(form_body([None, first, 1, second, "x", {}, third]))
    assert codes(results) == [30646, 0, 30646, 0, 30646, 30646, 0]


def test_one_object_from_the_python_library_is_an_item_a_field() -> None:
    names = "&".join(f"Items={name}" for name in ITEM)
    assert codes(response_to(names.encode())) == [30646] * 6


def test_an_item_that_is_not_stored_has_an_error() -> None:
    stored: list[Outcome] = [Stored.UNAVAILABLE]
    response = bulk_consents.render_batch([ITEM], stored)
    assert json.loads(response.body)["items"] == [
        {
            "correlation_id": ITEM["correlation_id"],
            "error_code": 30646,
            "error_messages": ["INTERNAL_SERVER_ERROR"],
        }
    ]


@pytest.mark.parametrize("value", ["AD388B5A46B33B874B0D41F7226DB2EF", "my-own-id", ""])
def test_a_short_correlation_id_is_returned_as_sent(value: str) -> None:
    assert (
        response_to(form_body([with_field(ITEM, "correlation_id", value)]))[0]["correlation_id"]
        == value
    )


@pytest.mark.parametrize(
    "value", [None, 1, 10**400, True, [], {}, values.HALF_A_PAIR, "x" * 10_000], ids=shown
)
def test_any_other_correlation_id_is_returned_as_null(value: Any) -> None:
    result = response_to(form_body([with_field(ITEM, "correlation_id", value)]))[0]
    assert result["correlation_id"] is None


def test_a_missing_correlation_id_is_returned_as_null() -> None:
    result = response_to(form_body([without_field(ITEM, "correlation_id")]))[0]
    assert result["correlation_id"] is None


def test_a_response_to_other_items_than_those_sent_is_a_bug() -> None:
    with pytest.raises(ValueError, match="zip"):
        bulk_consents.render_batch([ITEM, ITEM], [Stored.ACCEPTED])


# --- errors ---


@pytest.mark.parametrize(("error", "status", "code", "message"), ERRORS)
def test_a_published_error_has_its_response_byte_for_byte(
    error: errors.RequestError, status: int, code: int, message: str
) -> None:
    response = bulk_consents.render_error(error, "")
    assert response.status == status
    assert response.body.decode() == (
        f'{{"code":{code},"message":"{message}",'
        f'"more_info":"https://www.twilio.com/docs/errors/{code}","status":{status}}}'
    )


def test_an_unknown_resource_is_a_20404() -> None:
    rendered = json.loads(bulk_consents.render_error(errors.NotFound(), "").body)
    assert (rendered["status"], rendered["code"]) == (404, 20404)


def test_a_body_too_large_is_a_20001_with_the_limit() -> None:
    rendered = json.loads(bulk_consents.render_error(errors.BodyTooLarge(8388608), "").body)
    assert (rendered["status"], rendered["code"]) == (413, 20001)
    assert "8388608" in rendered["message"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        *((error, status) for error, status, *_ in ERRORS),
        *OTHER_ERRORS,
    ],
)
def test_an_error_has_the_four_members_of_the_vendor(
    error: errors.RequestError, status: int
) -> None:
    response = bulk_consents.render_error(error, "01JTBQH2FZ8K1RXC0WJ4Z9P3VM")
    rendered = json.loads(response.body)
    assert list(rendered) == ["code", "message", "more_info", "status"]
    assert response.status == rendered["status"] == status
    assert rendered["more_info"] == f"https://www.twilio.com/docs/errors/{rendered['code']}"


# --- CORS ---

CORS_NAMES = {
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Credentials",
    "Access-Control-Expose-Headers",
}


@pytest.mark.parametrize("origin", ["*", "https://app.example.com", "null"])
def test_there_are_five_cors_headers(origin: str) -> None:
    assert bulk_consents.cors_headers(origin).keys() == CORS_NAMES


def test_credentials_are_allowed_to_one_origin() -> None:
    headers = bulk_consents.cors_headers("https://app.example.com")
    assert headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert headers["Access-Control-Allow-Credentials"] == "true"


def test_credentials_are_never_allowed_to_every_origin() -> None:
    headers = bulk_consents.cors_headers("*")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Allow-Credentials"] != "true"


def test_a_browser_may_send_what_the_route_reads() -> None:
    headers = bulk_consents.cors_headers("*")
    methods = headers["Access-Control-Allow-Methods"].split(", ")
    allowed = headers["Access-Control-Allow-Headers"].split(", ")
    assert {"POST", "OPTIONS"} <= set(methods)
    assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(allowed)


# --- who calls ---

SID = "AC" + "0" * 32


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
@pytest.mark.parametrize("sid", [SID, "SK" + "f" * 32])
def test_a_sid_and_its_token_are_the_secret(scheme: str, sid: str) -> None:
    encoded = b64encode(f"{sid}:token".encode()).decode()
    assert bulk_consents.secret(f"{scheme} {encoded}") == f"basic:{sid}:token"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic !",
        "Basic QUM",
        "Basic QUM=QUM=",
        "Basic \u00fc",
        "Basic " + b64encode(b"\xff\xfe").decode(),
        "Bearer QUM6eA==",
        "QUM6eA==",
    ],
    ids=shown,
)
def test_a_malformed_header_or_another_scheme_has_no_secret(header: str) -> None:
    assert bulk_consents.secret(header) == ""
