"""The page of each error: the form again where a person can go on, else a message."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from consents.domain import errors
from consents.forms import languages, stamps
from consents.forms.form import Form
from consents.forms.form_post import AGREE, LANG, NUMBER, STAMP, TRAP, Post
from consents.forms.keys import FormKeys
from consents.forms.page_errors import FromElsewhere, Incomplete, LinkClosed, ReadAgain
from consents.forms.pages import Fill, bare_page, form_page, message_page, page_hash
from consents.forms.visit import Shown
from consents.http.page_endpoint import PageRequest
from consents.http.response import Response

type _Message = tuple[int, str, str, str, str]

MESSAGES: Mapping[type[errors.RequestError], _Message] = {
    errors.NotFound: (404, "NOT_FOUND", "not_found", "alert", ""),
    LinkClosed: (410, "CLOSED", "closed", "lock", ""),
    FromElsewhere: (403, "FORBIDDEN", "elsewhere", "alert", ""),
    errors.BodyTooLarge: (413, "PAYLOAD_TOO_LARGE", "failed", "alert", "failed_form_text"),
    errors.UnsupportedMediaType: (
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        "failed",
        "alert",
        "failed_form_text",
    ),
    errors.MalformedBody: (415, "INVALID_INPUT", "failed", "alert", "failed_form_text"),
    errors.RateLimited: (429, "RATE_LIMITED", "later", "clock", ""),
    errors.Unavailable: (503, "UNAVAILABLE", "failed", "alert", "failed_page_text"),
    errors.Internal: (500, "INTERNAL", "failed", "alert", "failed_page_text"),
}
"""Status, code for the log, keys of title and image, and the key of an unusual text."""


class FormErrorPages:
    """Renders the pages of errors."""

    def __init__(self, keys: Callable[[], FormKeys]) -> None:
        self._keys = keys

    def error(self, error: errors.RequestError, request: PageRequest[Shown]) -> Response:
        """Return the page of an error."""
        shown = request.shown
        if shown and shown.post:
            match error:
                case Incomplete():
                    return _with_code(_incomplete(shown, shown.post, error), "INCOMPLETE")
                case ReadAgain():
                    now = request.receipt.received_at
                    return _with_code(self._again(shown, shown.post, now), "READ_AGAIN")
        return _message(error, shown, request)

    def _again(self, shown: Shown, post: Post, now: datetime) -> Response:
        stamp = new_stamp(self._keys(), shown.form, shown.lang, now)
        fill = Fill(stamp, post.number, reads_again=True)
        return form_page(shown.form, shown.lang, fill, 409)


def new_stamp(keys: FormKeys, form: Form, lang: str, now: datetime) -> str:
    """Return a stamp of the page that a form has now, in a language."""
    return stamps.issue(keys.stamp, form.form_id, page_hash(bare_page(form, lang)), now)


def _incomplete(shown: Shown, post: Post, error: Incomplete) -> Response:
    # The stamp stays: nothing was recorded with it, and the page was shown when it says.
    fill = Fill(post.stamp, post.number, error.problems)
    return form_page(shown.form, shown.lang, fill, 422)


def _message(
    error: errors.RequestError, shown: Shown | None, request: PageRequest[Shown]
) -> Response:
    status, code, key, image, text = MESSAGES[type(error)]
    lang = languages.choose(request.query("lang"), "", request.header("accept-language"))
    again = _sent(shown) if status >= 500 else None
    page = message_page(
        status,
        shown.lang if shown else lang,
        key,
        image,
        form=shown.form if shown else None,
        message="failed_text" if again else text,
        again=again,
    )
    return _with_code(page, code)


def _sent(shown: Shown | None) -> dict[str, str] | None:
    """Return the fields of a submission that can be sent again."""
    if shown is None or shown.post is None:
        return None
    post = shown.post
    fields = {STAMP: post.stamp, NUMBER: post.number, TRAP: post.trap, LANG: post.lang}
    return fields | ({AGREE: "yes"} if post.agrees else {})


def _with_code(response: Response, code: str) -> Response:
    return replace(response, code=code)
