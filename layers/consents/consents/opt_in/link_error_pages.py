"""The page of each error of a link: the question again where a person can go on, else a message."""

from dataclasses import replace
from datetime import datetime

from consents.domain import errors
from consents.http.page_endpoint import PageRequest
from consents.http.response import Response
from consents.opt_in.link_pages import bare_page, question_page
from consents.opt_in.link_visit import ShownQuestion
from consents.opt_in.links import LinkKeys, Question
from consents.pages import stamps
from consents.pages.error_pages import error_page
from consents.pages.errors import ReadAgain
from consents.pages.page import page_hash


class LinkErrorPages:
    """Renders the pages of errors."""

    def __init__(self, keys: LinkKeys) -> None:
        self._keys = keys

    def error(self, error: errors.RequestError, request: PageRequest[ShownQuestion]) -> Response:
        """Return the page of an error."""
        shown = request.shown
        if shown is None or not isinstance(error, ReadAgain):
            return error_page(error, request)
        now = request.receipt.received_at
        stamp = new_stamp(self._keys, shown.about, shown.lang, now)
        page = question_page(shown.about, shown.lang, stamp, reads_again=True)
        return replace(page, code="READ_AGAIN")


def new_stamp(keys: LinkKeys, question: Question, lang: str, now: datetime) -> str:
    """Return a stamp of the question as it is now, in a language."""
    page_id = question.challenge.challenge_id
    return stamps.issue(keys.stamp, page_id, page_hash(bare_page(question, lang)), now)
