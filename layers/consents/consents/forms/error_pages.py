"""The page of each error: the form again where a person can go on, else a message."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from consents.domain import errors
from consents.forms.form import Form
from consents.forms.form_post import Post
from consents.forms.keys import FormKeys
from consents.forms.pages import Fill, bare_page, form_page
from consents.forms.visit import ShownForm
from consents.http.page_endpoint import PageRequest
from consents.http.response import Response
from consents.pages import stamps
from consents.pages.error_pages import error_page
from consents.pages.errors import Incomplete, ReadAgain
from consents.pages.page import page_hash


class FormErrorPages:
    """Renders the pages of errors."""

    def __init__(self, keys: Callable[[], FormKeys]) -> None:
        self._keys = keys

    def error(self, error: errors.RequestError, request: PageRequest[ShownForm]) -> Response:
        """Return the page of an error."""
        shown = request.shown
        if shown and shown.post:
            match error:
                case Incomplete():
                    return replace(_incomplete(shown, shown.post, error), code="INCOMPLETE")
                case ReadAgain():
                    now = request.receipt.received_at
                    return replace(self._again(shown, shown.post, now), code="READ_AGAIN")
        return error_page(error, request)

    def _again(self, shown: ShownForm, post: Post, now: datetime) -> Response:
        stamp = new_stamp(self._keys(), shown.about, shown.lang, now)
        fill = Fill(stamp, post.number, reads_again=True)
        return form_page(shown.about, shown.lang, fill, 409)


def new_stamp(keys: FormKeys, form: Form, lang: str, now: datetime) -> str:
    """Return a stamp of the page that a form has now, in a language."""
    return stamps.issue(keys.stamp, form.form_id, page_hash(bare_page(form, lang)), now)


def _incomplete(shown: ShownForm, post: Post, error: Incomplete) -> Response:
    # The stamp stays: nothing was recorded with it, and the page was shown when it says.
    fill = Fill(post.stamp, post.number, error.problems)
    return form_page(shown.about, shown.lang, fill, 422)
