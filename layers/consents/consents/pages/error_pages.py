"""The page of each error, of the brand whose page the request is about if that is known."""

from collections.abc import Mapping
from dataclasses import replace

from consents.domain import errors
from consents.http.page_endpoint import PageRequest
from consents.http.response import Response
from consents.pages import languages
from consents.pages.errors import FromElsewhere, LinkClosed
from consents.pages.notice import notice_page
from consents.pages.shown import Branded, Sent, Shown

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


def error_page[About: Branded, Post: Sent](
    error: errors.RequestError, request: PageRequest[Shown[About, Post]]
) -> Response:
    """Return the page of an error that is a message alone."""
    status, code, key, image, text = MESSAGES[type(error)]
    shown = request.shown
    lang = languages.choose(request.query("lang"), "", request.header("accept-language"))
    again = shown.post.fields() if shown and shown.post and status >= 500 else None
    page = notice_page(
        status,
        shown.lang if shown else lang,
        key,
        image,
        profile=shown.about.profile if shown else None,
        message="failed_text" if again else text,
        again=again,
    )
    return replace(page, code=code)
