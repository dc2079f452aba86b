"""The fields of a submission, as a browser sends them."""

from collections.abc import Mapping
from dataclasses import dataclass

from consents.pages.post import LANG, STAMP, TRAP

NUMBER, AGREE = "number", "agree"
"""The names of the fields that only a form has."""


@dataclass(frozen=True, slots=True)
class Post:
    """What a browser sent; a missing field is an empty text."""

    stamp: str
    number: str
    agrees: bool
    trap: str
    lang: str

    def fields(self) -> dict[str, str]:
        """Return the fields, so that they can be sent again."""
        sent = {STAMP: self.stamp, NUMBER: self.number, TRAP: self.trap, LANG: self.lang}
        return sent | ({AGREE: "yes"} if self.agrees else {})


def post_of(sent: Mapping[str, str]) -> Post:
    """Return a submission by its fields."""
    return Post(
        stamp=sent.get(STAMP, ""),
        number=sent.get(NUMBER, ""),
        agrees=bool(sent.get(AGREE)),
        trap=sent.get(TRAP, ""),
        lang=sent.get(LANG, ""),
    )
