"""The fields of an answer, as a browser sends them."""

from collections.abc import Mapping
from dataclasses import dataclass

from consents.domain.errors import MalformedBody
from consents.pages.post import LANG, STAMP, TRAP

ANSWER = "answer"
"""The name of the field that only this page has: that of its two buttons."""

_YES, _NO = "yes", "no"


@dataclass(frozen=True, slots=True)
class Post:
    """What a browser sent; a missing field but the answer is an empty text."""

    stamp: str
    agrees: bool
    trap: str
    lang: str

    def fields(self) -> dict[str, str]:
        """Return the fields, so that they can be sent again."""
        answer = _YES if self.agrees else _NO
        return {STAMP: self.stamp, ANSWER: answer, TRAP: self.trap, LANG: self.lang}


def post_of(sent: Mapping[str, str]) -> Post:
    """Return an answer by its fields, or raise `MalformedBody` where no button was pressed."""
    if sent.get(ANSWER) not in {_YES, _NO}:
        raise MalformedBody
    return Post(
        stamp=sent.get(STAMP, ""),
        agrees=sent[ANSWER] == _YES,
        trap=sent.get(TRAP, ""),
        lang=sent.get(LANG, ""),
    )
