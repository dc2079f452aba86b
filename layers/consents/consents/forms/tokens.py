"""The token of a form's link: the form's id and, for one contact's form, a secret.

A form for everybody has the id only: it is public, and short enough for a QR code.
"""

import re
import secrets
import string
from typing import NamedTuple

_ID_LETTERS = string.ascii_lowercase + "23456789"
_SECRET_LETTERS = string.digits + string.ascii_letters
_ID_LENGTH, _SECRET_LENGTH = 16, 22  # 81 and 131 bits

_ID = re.compile("[a-z2-9]{16}")
_TOKEN = re.compile(r"([a-z2-9]{16})(?:\.([0-9A-Za-z]{22}))?")


class Token(NamedTuple):
    """A form's id, and the secret of its link or an empty text."""

    form_id: str
    secret: str

    def __str__(self) -> str:
        return f"{self.form_id}.{self.secret}" if self.secret else self.form_id


def new_token(*, is_secret: bool) -> Token:
    """Return a random token; a new form's link."""
    form_id = _random(_ID_LETTERS, _ID_LENGTH)
    return Token(form_id, _random(_SECRET_LETTERS, _SECRET_LENGTH) if is_secret else "")


def parse_token(text: str) -> Token | None:
    """Return a token in the form of one, or None."""
    found = _TOKEN.fullmatch(text)
    return Token(found[1], found[2] or "") if found else None


def is_form_id(text: str) -> bool:
    """Return whether a text has the form of a form's id."""
    return bool(_ID.fullmatch(text))


def _random(letters: str, length: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))
