"""The page of each error of a link: the question again where a person can go on, else a message."""

from dataclasses import replace
from datetime import datetime

from consents.domain import errors
from consents.http.page_endpoint import PageRequest
from consents.http.response import Response
from consents.opt_in.link_pages import bare_page, question_page
from consents.opt_in.link_visit import Shown
from consents.opt_in.links import LinkKeys
from consents.pages import stamps
from consents.pages.error_pages import error_page
from consents.pages.errors import ReadAgain
from consents.pages.page import page_hash


class LinkErrorPages:
    """Renders the pages of errors."""

    def __init__(self, keys: LinkKeys) -> None:
        self._keys = keys

    def error(self, error: errors.RequestError, request: PageRequest[Shown]) -> Response:
        """Return the page of an error."""
        shown = request.shown
        if shown is None or not isinstance(error, ReadAgain):
            return error_page(error, request)
        stamp = new_stamp(self._keys, shown, request.receipt.received_at)
        page = question_page(shown.link, shown.challenge, shown.lang, stamp, reads_again=True)
        return replace(page, code="READ_AGAIN")


def new_stamp(keys: LinkKeys, shown: Shown, now: datetime) -> str:
    """Return a stamp of the question as it is now, in a language."""
    page = bare_page(shown.link, shown.challenge, shown.lang)
    return stamps.issue(keys.stamp, shown.challenge.challenge_id, page_hash(page), now)
