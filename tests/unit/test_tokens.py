"""Tokens of links: random, short, and read only in their one form."""

import pytest
from consents.forms.tokens import Token, is_form_id, new_token, parse_token

from tests.factories import FORM_ID, FORM_SECRET


@pytest.mark.parametrize("is_secret", [True, False])
def test_a_token_is_read_as_it_was_made(is_secret: bool) -> None:
    token = new_token(is_secret=is_secret)

    assert parse_token(str(token)) == token
    assert bool(token.secret) is is_secret


def test_two_tokens_differ() -> None:
    assert new_token(is_secret=True) != new_token(is_secret=True)


def test_an_open_forms_token_is_its_id() -> None:
    token = new_token(is_secret=False)

    assert str(token) == token.form_id
    assert is_form_id(token.form_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        FORM_ID[:-1],
        FORM_ID.upper(),
        f"{FORM_ID}.",
        f"{FORM_ID}.{FORM_SECRET}0",
        f"{FORM_ID}.{FORM_SECRET[:-1]}-",
        f"{FORM_ID}{FORM_SECRET}",
        f"{FORM_ID}.{FORM_SECRET}\n",
        f" {FORM_ID}",
    ],
)
def test_a_text_of_another_form_is_no_token(text: str) -> None:
    assert parse_token(text) is None


def test_a_token_of_one_contacts_form_has_a_secret() -> None:
    assert parse_token(f"{FORM_ID}.{FORM_SECRET}") == Token(FORM_ID, FORM_SECRET)
