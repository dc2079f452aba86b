"""The page that a request is about, as far as the pages of errors need it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from consents.domain.sender_profile import SenderProfile


class Branded(Protocol):
    """What a page is about."""

    @property
    def profile(self) -> SenderProfile:
        """Whose page it is."""


class Sent(Protocol):
    """What a browser sent with the button of a page."""

    def fields(self) -> Mapping[str, str]:
        """Return the fields, so that they can be sent again."""


@dataclass(frozen=True, slots=True)
class Shown[About: Branded, Post: Sent]:
    """What a page is about, in a language, and what was sent if it was."""

    about: About
    lang: str
    post: Post | None = None
