"""The two formats of rows: their columns, validation, and lines of the report."""

from collections.abc import Iterable, Mapping

import pytest
from consents.domain.outcome import Fault, Rejected
from consents.domain.record import ConsentRecord, Wire
from consents.imports.row_formats import ROW_FORMATS, RowFormat
from consents.imports.rows import UnreadableRow

from tests.factories import (
    BAD_ITEM,
    CHECKBOX,
    ITEM,
    NOT_OWNED,
    NOW,
    OWNED,
    SENDER,
    attested_record,
    bulk_record,
)

ATTESTED, BULK = ROW_FORMATS[Wire.ATTESTED], ROW_FORMATS[Wire.BULK_CONSENTS]
UNREADABLE = UnreadableRow("must be JSON in UTF-8")


class Senders:
    """Returns the number of the owned id, and keeps which ids were looked up."""

    def __init__(self) -> None:
        self.wanted: list[set[str]] = []

    def __call__(self, ids: Iterable[str]) -> Mapping[str, str]:
        self.wanted.append(set(ids))
        return {OWNED: SENDER}


def codes(results: Iterable[ConsentRecord | Rejected]) -> list[str | None]:
    return [result.code if isinstance(result, Rejected) else None for result in results]


def test_every_api_has_a_row_format() -> None:
    assert ROW_FORMATS.keys() == set(Wire)


@pytest.mark.parametrize("row_format", ROW_FORMATS.values(), ids=ROW_FORMATS)
def test_no_rows_have_no_results(row_format: RowFormat) -> None:
    assert row_format.read([], NOW, Senders()) == []


def test_columns_are_the_fields_of_a_record() -> None:
    evidence = {f"evidence.{name}" for name in CHECKBOX["evidence"]}

    assert set(ATTESTED.columns) == (CHECKBOX.keys() - {"evidence"}) | evidence
    assert set(BULK.columns) == ITEM.keys()


def test_rows_have_their_results_in_order() -> None:
    foreign = CHECKBOX | {"phone_number_id": NOT_OWNED}
    results = ATTESTED.read([CHECKBOX, UNREADABLE, foreign, 7], NOW, Senders())

    assert results[0] == attested_record()
    assert codes(results) == [None, "VALIDATION_FAILED", "NOT_FOUND", "VALIDATION_FAILED"]


def test_senders_of_all_rows_are_looked_up_at_once() -> None:
    senders = Senders()
    foreign = CHECKBOX | {"phone_number_id": NOT_OWNED.upper()}
    ATTESTED.read([CHECKBOX, foreign, UNREADABLE, CHECKBOX], NOW, senders)

    assert senders.wanted == [{OWNED, NOT_OWNED}]


def test_items_need_no_look_up_of_senders() -> None:
    senders = Senders()

    assert BULK.read([ITEM], NOW, senders) == [bulk_record()]
    assert senders.wanted == []


def test_a_correlation_id_may_repeat_in_a_file() -> None:
    assert BULK.read([ITEM, ITEM], NOW, Senders()) == [bulk_record()] * 2


def test_an_unreadable_attested_row_is_reported_with_its_rule() -> None:
    (result,) = ATTESTED.read([UNREADABLE], NOW, Senders())

    assert result == Rejected("VALIDATION_FAILED", (Fault("", "must be JSON in UTF-8"),))
    assert isinstance(result, Rejected)
    assert ATTESTED.report(UNREADABLE, result) == {
        "code": "VALIDATION_FAILED",
        "reason": "must be JSON in UTF-8",
    }


def test_an_unreadable_item_lacks_every_required_field() -> None:
    (result,) = BULK.read([UNREADABLE], NOW, Senders())
    assert isinstance(result, Rejected)

    reported = BULK.report(UNREADABLE, result)
    assert (reported["code"], reported["reason"].count("INVALID_")) == ("30646", 5)
    assert "correlation_id" not in reported


def test_a_rejected_item_is_reported_with_its_correlation_id() -> None:
    (result,) = BULK.read([BAD_ITEM], NOW, Senders())
    assert isinstance(result, Rejected)

    assert BULK.report(BAD_ITEM, result) == {
        "code": "30646",
        "reason": "INVALID_CONTACT_ID; INVALID_DATE_OF_CONSENT",
        "correlation_id": BAD_ITEM["correlation_id"],
    }


def test_a_report_never_repeats_what_a_row_says() -> None:
    secret = CHECKBOX | {"contact_number": "+1 secret"}
    (result,) = ATTESTED.read([secret], NOW, Senders())
    assert isinstance(result, Rejected)

    assert "secret" not in str(ATTESTED.report(secret, result))
