"""Pages with a message: an icon, a title, a sentence, and perhaps a button to send again."""

from collections.abc import Mapping

from consents.domain.sender_profile import SenderProfile
from consents.http.response import Response
from consents.pages.page import content, response
from consents.pages.templating import words


def notice_page(
    status: int,
    lang: str,
    key: str,
    image: str,
    *,
    profile: SenderProfile | None = None,
    message: str = "",
    again: Mapping[str, str] | None = None,
) -> Response:
    """Return a page with a message, of a brand if its profile is known.

    `message` is the key of its text if it is not the usual one. `again` are the fields of a
    submission that a button sends again.
    """
    t = words(lang)
    brand = profile.brand if profile else ""
    values = {
        "title": t(key),
        "message": t(message or f"{key}_text", brand=brand),
        "image": image,
        "mood": "bad" if image == "lock" or status >= 500 else "",
        "advice": t("closed_ask", brand=brand) if profile and key == "closed" else "",
        "again": again or {},
    }
    return response(status, content("notice.html", lang, profile, values), profile)
