"""Stamps: signed, of one form and one page, and timely."""

from datetime import timedelta

import pytest
from consents.pages import stamps
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import FORM_ID, NOW, STAMP_KEY

HASH = "ab" * 32
OTHER_FORM_ID = "z" * 16


def issued() -> str:
    return stamps.issue(STAMP_KEY, FORM_ID, HASH, NOW)


def test_a_stamp_is_read_as_it_was_issued() -> None:
    stamp = stamps.read(STAMP_KEY, FORM_ID, issued())

    assert stamp is not None
    assert stamp.shown_at == NOW
    assert stamp.is_of(HASH)
    assert not stamp.is_of("cd" * 32)


def test_two_stamps_of_one_page_have_different_nonces() -> None:
    assert stamps.nonce_of(issued()) != stamps.nonce_of(issued())


def test_a_stamp_of_another_form_is_not_read() -> None:
    assert stamps.read(STAMP_KEY, OTHER_FORM_ID, issued()) is None


def test_a_stamp_under_another_key_is_not_read() -> None:
    assert stamps.read(b"other", FORM_ID, issued()) is None


@given(st.data())
def test_a_stamp_with_one_character_changed_is_not_read(data: st.DataObject) -> None:
    text = issued()
    at = data.draw(st.integers(0, len(text) - 1))
    char = data.draw(st.characters().filter(lambda char: char != text[at]))

    assert stamps.read(STAMP_KEY, FORM_ID, text[:at] + char + text[at + 1 :]) is None


@given(st.text())
def test_no_other_text_is_a_stamp(text: str) -> None:
    assert stamps.read(STAMP_KEY, FORM_ID, text) is None
    assert stamps.nonce_of(text) is None


@pytest.mark.parametrize(
    ("seconds", "is_timely"),
    [(-1, False), (1.999, False), (2, True), (86_400, True), (86_400.001, False)],
)
def test_a_stamp_is_timely_from_two_seconds_to_a_day(seconds: float, is_timely: bool) -> None:
    stamp = stamps.read(STAMP_KEY, FORM_ID, issued())

    assert stamp is not None
    assert stamp.is_timely(NOW + timedelta(seconds=seconds)) is is_timely
