"""A page: the HTML of a template, its content security policy, and the hash of what it says."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from consents.domain.sender_profile import SenderProfile
from consents.http.response import Response
from consents.pages.brand_style import brand_style, policy
from consents.pages.templating import dictionary, render, style, words


def content(
    template: str, lang: str, profile: SenderProfile | None, values: Mapping[str, Any]
) -> bytes:
    """Return the HTML of a page, of a brand if its profile is known."""
    page: dict[str, Any] = {
        "profile": profile,
        "lang": lang,
        "t": words(lang),
        "style": style(),
        "brand_style": brand_style(profile),
        "initial": profile.brand[:1].upper() if profile else "",
    }
    return render(template, page | dict(values))


def response(status: int, page: bytes, profile: SenderProfile | None) -> Response:
    """Return the response that has a page; its policy takes no style but the page's own."""
    headers = {"Content-Security-Policy": policy(profile)}
    return Response(status, page, headers, final=False)


def page_hash(page: bytes) -> str:
    """Return the SHA-256 of a page, in hex."""
    return sha256(page).hexdigest()


def date(at: datetime, lang: str) -> str:
    """Return an instant as people read it, in UTC."""
    text = dictionary(lang)
    utc = at.astimezone(UTC)
    return str(text["date"]).format(
        month=text["months"][utc.month - 1],
        day=utc.day,
        year=utc.year,
        hour=f"{utc.hour:02}",
        minute=f"{utc.minute:02}",
    )
