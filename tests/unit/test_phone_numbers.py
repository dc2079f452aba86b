"""Numbers as people write them, read by the habits of the sender's country."""

import pytest
from consents.domain.formats import is_contact
from consents.pages import example_numbers, phone_numbers
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import SENDER

BRITISH = "+447911123456"


@pytest.mark.parametrize(
    "written",
    [
        "(415) 555-2671",
        "415.555.2671",
        "4155552671",
        "1 415 555 2671",
        "+1 (415) 555-2671",
        "+1 415\u2011555\u20112671",
        "  415\u00a0555\u00a02671 ",
        "\u202a+1 415 555 2671\u202c",
        "\uff0b\uff11 415 555 2671",
        "\u0664\u0661\u0665\u0665\u0665\u0665\u0662\u0666\u0667\u0661",
    ],
)
def test_a_number_is_read_as_people_write_it(written: str) -> None:
    assert phone_numbers.read(written, SENDER) == "+14155552671"


def test_a_number_is_read_by_the_senders_country() -> None:
    assert phone_numbers.read("07911 123456", BRITISH) == BRITISH
    assert phone_numbers.read("+1 415 555 2671", BRITISH) == "+14155552671"


@pytest.mark.parametrize(
    "written", ["", " ", "555-01", "call me", "1-800-FLOWERS", "+", "415 555 2671 x5", "1" * 41]
)
def test_any_other_text_is_no_number(written: str) -> None:
    assert phone_numbers.read(written, SENDER) is None


@given(st.text(max_size=50))
def test_what_is_read_is_a_possible_number(written: str) -> None:
    number = phone_numbers.read(written, SENDER)
    assert number is None or is_contact(number)


@pytest.mark.parametrize("sender", [SENDER, BRITISH, "+8613800138000", "+88213300655"])
def test_the_example_of_a_country_is_read(sender: str) -> None:
    assert phone_numbers.read(example_numbers.example(sender), sender)


def test_examples_are_those_of_the_library() -> None:
    """`make lock` writes them."""
    assert example_numbers.examples() == example_numbers.examples_of_library()


def test_a_number_of_no_country_has_an_example() -> None:
    assert example_numbers.example("+88213300655") == "+12015550123"


def test_a_number_is_shown_as_in_the_senders_country() -> None:
    assert phone_numbers.shown("+15554443333", SENDER) == "(555) 444-3333"
    assert phone_numbers.shown(BRITISH, SENDER) == "+44 7911 123456"


def test_a_masked_number_has_its_last_four_digits_only() -> None:
    assert phone_numbers.masked("+15554443333", SENDER) == "(•••) •••-3333"
    assert phone_numbers.masked(BRITISH, SENDER) == "+•• •••• ••3456"
