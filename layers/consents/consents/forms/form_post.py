"""The fields of a submission, as a browser sends them."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from consents.domain.errors import MalformedBody, UnsupportedMediaType
from consents.forms.page_errors import FromElsewhere
from consents.http.public_url import origin

MAX_BYTES = 8 * 1024

STAMP, NUMBER, AGREE, TRAP, LANG = "stamp", "number", "agree", "website", "lang"
"""The names of the fields."""

_TYPE = "application/x-www-form-urlencoded"
_MAX_FIELDS = 20
_OURS = {"", "same-origin", "none"}


@dataclass(frozen=True, slots=True)
class Post:
    """What a browser sent; a missing field is an empty text."""

    stamp: str
    number: str
    agrees: bool
    trap: str
    lang: str


def check_origin(sec_fetch_site: str, sent_origin: str, public_url: str) -> None:
    """Raise `FromElsewhere` where the browser says that another site sent the form."""
    is_elsewhere = bool(sent_origin) and sent_origin.lower() != origin(public_url)
    if is_elsewhere or sec_fetch_site not in _OURS:
        raise FromElsewhere


def parse(body: bytes, content_type: str) -> Post:
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
    sent = dict(pairs)
    return Post(
        stamp=sent.get(STAMP, ""),
        number=sent.get(NUMBER, ""),
        agrees=bool(sent.get(AGREE)),
        trap=sent.get(TRAP, ""),
        lang=sent.get(LANG, ""),
    )
