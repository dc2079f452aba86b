"""The link of a challenge: what its page shows, and its secret.

The secret is derived from the challenge's id under the service's HMAC key. No table, queue or
backup ever holds it: it is in the text that the contact gets, and nowhere else.
"""

import re
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from consents.domain.sender_profile import SenderProfile
from consents.opt_in.challenge import LINK, Challenge, Message
from consents.pages import stamps

_LETTERS = string.digits + string.ascii_letters
SECRET_LENGTH = 22  # 131 bits

_SECRET = re.compile(f"[0-9A-Za-z]{{{SECRET_LENGTH}}}")
_BY_ITSELF = re.compile(r"(?<!\S)" + re.escape(LINK) + r"(?![\w/-])")


@dataclass(frozen=True, slots=True)
class Link:
    """What the page of a link shows: the profile as it was when the contact was asked.

    `program`, `frequency` and `locale` may be empty.
    """

    secret_hash: str
    challenge_id: str
    profile: SenderProfile
    program: str
    frequency: str
    locale: str


class Question(NamedTuple):
    """What a link asks: the challenge, and what its page shows."""

    link: Link
    challenge: Challenge

    @property
    def profile(self) -> SenderProfile:
        """Whose question it is."""
        return self.link.profile


class LinkKeys:
    """Derives and hashes the secrets of links, and holds the key of stamps."""

    def __init__(self, keyed_hash: Callable[[str], str]) -> None:
        """`keyed_hash` returns the HMAC of a text under the service's key, in hex."""
        self._hash = keyed_hash

    def secret(self, challenge_id: str) -> str:
        """Return the secret of a challenge's link."""
        number = int(self._hash(f"link of challenge:{challenge_id}"), 16)
        letters = []
        for _ in range(SECRET_LENGTH):
            number, letter = divmod(number, len(_LETTERS))
            letters.append(_LETTERS[letter])
        return "".join(letters)

    def secret_hash(self, secret: str) -> str:
        """Return what is stored of a secret."""
        return self._hash(f"link:{secret}")

    @property
    def stamp(self) -> bytes:
        """The key of stamps."""
        return stamps.signing_key(self._hash)

    def complete(self, challenge: Challenge | None, message: Message) -> Message:
        """Return a text as it is sent: with its link, if it has one."""
        if challenge is None or not challenge.link:
            return message
        url = challenge.link + self.secret(challenge.challenge_id)
        return replace(message, body=message.body.replace(LINK, url))


def is_secret(text: str) -> bool:
    """Return whether a text has the form of a secret."""
    return bool(_SECRET.fullmatch(text))


def has_one_link(text: str) -> bool:
    """Return whether a text has a place for the link: one, and no part of another address."""
    return text.count(LINK) == 1 and bool(_BY_ITSELF.search(text))


def longest(text: str, link: str) -> str:
    """Return a text with a link of the length that is sent."""
    return text.replace(LINK, link + "x" * SECRET_LENGTH)
