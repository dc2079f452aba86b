"""The page after an opt-in: what was agreed to, when, and by which reference people may name it."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from consents.domain.record import timestamp
from consents.domain.sender_profile import SenderProfile
from consents.http.response import Response
from consents.pages import phone_numbers
from consents.pages.page import content, date, response
from consents.pages.templating import words

_REFERENCE_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a contact agreed to. `nonce` is that of the page's stamp; a URL may be empty."""

    text: str
    text_lang: str
    contact: str
    sender: str
    at: datetime
    nonce: str
    redirect_url: str = ""


def done_page(lang: str, profile: SenderProfile, agreed: Agreed) -> Response:
    """Return the page that says what was recorded."""
    values = {
        "title": words(lang)("done"),
        "agreed": agreed,
        "masked": phone_numbers.masked(agreed.contact, agreed.sender),
        "agreed_at": timestamp(agreed.at),
        "agreed_on": date(agreed.at, lang),
        "reference": _reference(agreed.nonce),
        "redirect_host": urlsplit(agreed.redirect_url).hostname or "",
        "sender": phone_numbers.shown(agreed.sender, agreed.sender),
    }
    return response(200, content("done.html", lang, profile, values), profile)


def _reference(nonce: str) -> str:
    """Return what people may name a record by, in three groups."""
    text = nonce[:_REFERENCE_LENGTH].upper()
    return "-".join((text[:4], text[4:8], text[8:]))
