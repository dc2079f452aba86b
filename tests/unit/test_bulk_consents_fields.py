"""The rule and the token of each field of an item."""

from typing import Any

import pytest
from consents.domain.record import Status, Wire, timestamp

from tests.factories import (
    BAD_ITEM,
    ITEM,
    bulk_record,
    bulk_tokens,
    shown,
    with_field,
    without_field,
)
from tests.unit import values

TOKENS = {
    "correlation_id": "INVALID_CORRELATION_ID",
    "sender_id": "INVALID_SENDER_ID",
    "contact_id": "INVALID_CONTACT_ID",
    "status": "INVALID_STATUS",
    "source": "INVALID_SOURCE",
    "date_of_consent": "INVALID_DATE_OF_CONSENT",
}
REQUIRED = list(TOKENS)[:5]


def tokens_with(field: str, value: Any) -> list[str]:
    return bulk_tokens(with_field(ITEM, field, value))


@pytest.mark.parametrize("field", TOKENS)
def test_a_value_of_another_type_has_the_token_of_its_field(field: str) -> None:
    for value in values.NOT_TEXT:
        absent = field == "date_of_consent" and value is None
        assert tokens_with(field, value) == ([] if absent else [TOKENS[field]])


@pytest.mark.parametrize("field", TOKENS)
def test_a_text_without_the_form_of_its_field_has_its_token(field: str) -> None:
    for value in values.NEVER_A_VALUE:
        absent = field == "date_of_consent" and value == ""
        assert tokens_with(field, value) == ([] if absent else [TOKENS[field]])


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_has_its_token(field: str) -> None:
    assert bulk_tokens(without_field(ITEM, field)) == [TOKENS[field]]


def test_32_hex_digits_are_a_correlation_id() -> None:
    for value in values.GOOD_CORRELATION_IDS:
        assert tokens_with("correlation_id", value) == []


def test_a_correlation_id_must_be_32_hex_digits() -> None:
    for value in values.BAD_CORRELATION_IDS:
        assert tokens_with("correlation_id", value) == ["INVALID_CORRELATION_ID"]


def test_a_service_a_number_and_a_short_code_are_senders() -> None:
    for value in values.GOOD_SENDERS:
        assert tokens_with("sender_id", value) == []


def test_any_other_text_is_rejected_as_a_sender() -> None:
    for value in values.BAD_SENDERS:
        assert tokens_with("sender_id", value) == ["INVALID_SENDER_ID"]


def test_a_possible_e164_number_is_a_contact() -> None:
    for value in values.GOOD_NUMBERS:
        assert tokens_with("contact_id", value) == []


def test_an_impossible_number_is_rejected_as_a_contact() -> None:
    for value in values.BAD_NUMBERS:
        assert tokens_with("contact_id", value) == ["INVALID_CONTACT_ID"]


@pytest.mark.parametrize("status", ["opt-in", "opt-out"])
def test_each_status_is_recorded(status: str) -> None:
    assert bulk_record(with_field(ITEM, "status", status)).status == Status(status)


@pytest.mark.parametrize(
    "status",
    [
        "Opt-In",
        "OPT-OUT",
        "opt_in",
        "optin",
        "opt-in ",
        " opt-in",
        "opt-in\n",
        "opt\u2010in",
        "stop",
    ],
    ids=shown,
)
def test_another_status_is_rejected(status: str) -> None:
    assert tokens_with("status", status) == ["INVALID_STATUS"]


@pytest.mark.parametrize(
    "source", ["website", "offline", "opt-in-message", "opt-out-message", "others"]
)
def test_each_source_is_kept_as_evidence(source: str) -> None:
    assert bulk_record(with_field(ITEM, "source", source)).evidence["source"] == source


@pytest.mark.parametrize(
    "source",
    ["Website", "WEBSITE", "web", "other", "opt-in", "opt_in_message", "website ", "website\n"],
    ids=shown,
)
def test_another_source_is_rejected(source: str) -> None:
    assert tokens_with("source", source) == ["INVALID_SOURCE"]


def test_an_iso_8601_date_and_time_with_a_zone_names_an_instant() -> None:
    for value, instant in [*values.GOOD_DATES.items(), *values.ISO_ONLY_DATES.items()]:
        item = with_field(ITEM, "date_of_consent", value)
        assert bulk_tokens(item) == [], value
        dated_at = bulk_record(item).dated_at
        assert dated_at is not None, value
        assert timestamp(dated_at) == instant, value


def test_a_date_needs_time_and_zone_and_must_be_on_the_calendar() -> None:
    for value in [
        *values.BAD_DATES,
        "20250228",
        "20250228T100527",
        "20250228T100527.Z",
        "20250229T100527Z",
        "20250228T240000Z",
        "20250228T100560Z",
        "20250228T100527+0560",
        "20250228T100527+2400",
        "2025-02-28T10:05.5Z",
        "2025-02-28T100527Z",
        "20250228T10:05:27Z",
        "2025-02-28T10:05:27+000",
        "2025-02-28T10:05:27,Z",
    ]:
        assert tokens_with("date_of_consent", value) == ["INVALID_DATE_OF_CONSENT"]


def test_a_date_over_five_minutes_ahead_is_rejected() -> None:
    for value in [*values.FUTURE_DATES, "20260501T120501Z"]:
        assert tokens_with("date_of_consent", value) == ["INVALID_DATE_OF_CONSENT"]


@pytest.mark.parametrize(
    "item",
    [
        without_field(ITEM, "date_of_consent"),
        with_field(ITEM, "date_of_consent", None),
        with_field(ITEM, "date_of_consent", ""),
    ],
    ids=["absent", "null", "empty"],
)
def test_an_absent_null_or_empty_date_is_absent(item: dict[str, Any]) -> None:
    record = bulk_record(item)
    assert record.dated_at is None
    assert record.evidence == {"source": "website"}


def test_an_item_that_is_not_an_object_lacks_every_field() -> None:
    for item in [None, True, 1, 1.5, float("inf"), "", "x", values.HALF_A_PAIR, [], [ITEM]]:
        assert bulk_tokens(item) == [TOKENS[field] for field in REQUIRED]


def test_an_empty_item_lacks_every_field_but_the_date() -> None:
    assert bulk_tokens({}) == [TOKENS[field] for field in REQUIRED]


def test_all_tokens_are_listed_in_their_order() -> None:
    assert bulk_tokens(dict.fromkeys(reversed(TOKENS), 1)) == list(TOKENS.values())


def test_missing_and_wrong_fields_are_listed_together() -> None:
    assert bulk_tokens(without_field(BAD_ITEM, "status")) == [
        "INVALID_CONTACT_ID",
        "INVALID_STATUS",
        "INVALID_DATE_OF_CONSENT",
    ]


@pytest.mark.parametrize("value", [None, {"a": [1]}, values.HALF_A_PAIR], ids=shown)
def test_an_unknown_field_is_ignored(value: Any) -> None:
    for name in ["extra", "", "Status", "__class__", values.HALF_A_PAIR]:
        assert bulk_record(ITEM | {name: value}) == bulk_record(ITEM)


def test_an_item_keeps_its_date_as_sent() -> None:
    record = bulk_record(with_field(ITEM, "date_of_consent", "2025-02-28t12:05:27+02:00"))
    assert (record.wire, record.sender) == (Wire.BULK_CONSENTS, ITEM["sender_id"])
    assert (record.contact, record.status) == ("+19999999999", Status.OPT_OUT)
    assert record.evidence == {
        "source": "website",
        "date_of_consent": "2025-02-28t12:05:27+02:00",
    }
    assert record.correlation_id == ITEM["correlation_id"]


@pytest.mark.parametrize("field", ["correlation_id", "sender_id"])
def test_hex_digits_in_upper_case_are_the_same_record(field: str) -> None:
    item = ITEM | {"sender_id": "MGabcdefabcdef0123456789abcdef0123"}
    shouted = item[field][:2] + item[field][2:].upper()
    assert bulk_record(with_field(item, field, shouted)) == bulk_record(item)
