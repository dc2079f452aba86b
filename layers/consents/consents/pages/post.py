"""What a browser sends with the button of a page: its fields, and from where."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from consents.domain.errors import MalformedBody, UnsupportedMediaType
from consents.http.page_endpoint import PageRequest
from consents.http.public_url import origin
from consents.pages.errors import FromElsewhere

MAX_BYTES = 8 * 1024

STAMP, TRAP, LANG = "stamp", "website", "lang"
"""The names of the fields that every page sends; people do not see the trap."""

_TYPE = "application/x-www-form-urlencoded"
_MAX_FIELDS = 20
_OURS = {"", "same-origin", "none"}


def read_fields[S](request: PageRequest[S]) -> Mapping[str, str]:
    """Return the fields that the button of one of our pages sent.

    Raises:
        FromElsewhere: the browser says that another site sent them.
        BodyTooLarge, UnsupportedMediaType, MalformedBody: they are not those of a page.
    """
    check_origin(request.header("sec-fetch-site"), request.header("origin"), request.public_url)
    return parse(request.body(MAX_BYTES), request.header("content-type"))


def check_origin(sec_fetch_site: str, sent_origin: str, public_url: str) -> None:
    """Raise `FromElsewhere` where the browser says that another site sent the form."""
    is_elsewhere = bool(sent_origin) and sent_origin.lower() != origin(public_url)
    if is_elsewhere or sec_fetch_site not in _OURS:
        raise FromElsewhere


def parse(body: bytes, content_type: str) -> Mapping[str, str]:
    """Return the fields of a form.

    Raises:
        UnsupportedMediaType: the content type is not that of a form.
        MalformedBody: not UTF-8, or too many fields.
    """
    if content_type.partition(";")[0].strip().lower() != _TYPE:
        raise UnsupportedMediaType
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        raise MalformedBody from None
    return dict(pairs)
