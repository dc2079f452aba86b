"""The parts of a text message, by its characters."""

import pytest
from consents.opt_in.sms import is_gsm, parts
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("a" * 459, 3),
        ("a" * 460, 4),
        ("\u20ac" * 80, 1),
        ("\u20ac" * 81, 2),
        ("a" * 152 + "\u20ac" * 5, 2),
        ("a" * 152 + "\u20ac" + "a" * 152, 3),
        ("\u2019" * 70, 1),
        ("\u2019" * 71, 2),
        ("\u2019" + "a" * 143, 3),
        ("\u2019" * 201, 3),
        ("\u2019" * 202, 4),
        ("\U0001f44d" * 35, 1),
        ("\U0001f44d" * 36, 2),
        ("\u4e00" * 66 + "\U0001f44d" + "\u4e00" * 66, 3),
    ],
)
def test_a_text_has_so_many_parts(text: str, expected: int) -> None:
    assert parts(text) == expected


@pytest.mark.parametrize("char", ["a", "\u00f1", "\u20ac", "\n", "@", "~"])
def test_a_character_of_gsm_is_one(char: str) -> None:
    assert is_gsm(char)


@pytest.mark.parametrize("char", ["\u2019", "\u00e1", "\u00ed", "`", "\U0001f44d", "\u2014"])
def test_another_character_is_not_of_gsm(char: str) -> None:
    assert not is_gsm(char)


@given(st.text(max_size=500), st.characters())
def test_a_longer_text_has_no_fewer_parts(text: str, char: str) -> None:
    assert parts(text + char) >= parts(text)
