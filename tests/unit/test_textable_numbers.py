"""Which numbers may be texted: by their country, and by their kind."""

import pytest
from consents.messages.numbers import NOT_ALLOWED_COUNTRY, TAKES_NO_TEXTS, fault, region

from tests.factories import SENDER


@pytest.mark.parametrize(
    ("contact", "countries", "expected"),
    [
        ("+14155552671", [], None),
        ("+15554443333", [], None),
        ("+14165550123", [], NOT_ALLOWED_COUNTRY),
        ("+14165550123", ["US", "CA"], None),
        ("+18765550123", ["US"], NOT_ALLOWED_COUNTRY),
        ("+18765550123", ["JM"], None),
        ("+447911123456", ["US", "CA"], NOT_ALLOWED_COUNTRY),
        ("+18002345678", [], TAKES_NO_TEXTS),
        ("+19002345678", [], TAKES_NO_TEXTS),
        ("+443001234567", ["GB"], TAKES_NO_TEXTS),
    ],
)
def test_a_number_is_textable_by_country_and_kind(
    contact: str, countries: list[str], expected: str | None
) -> None:
    assert fault(contact, SENDER, countries) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [("+15550001111", "US"), ("+14165550123", "CA"), ("+447911123456", "GG")],
)
def test_a_number_without_a_region_has_the_main_one(number: str, expected: str) -> None:
    assert region(number) == expected
