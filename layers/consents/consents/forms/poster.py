"""The poster of an open form: a page to print, with the link as a QR code."""

from consents.forms import qr_codes
from consents.forms.form import Form
from consents.http.response import Response
from consents.pages import languages
from consents.pages.page import content, response
from consents.pages.templating import dictionary, words


def poster_page(form: Form, lang: str, url: str) -> Response:
    """Return the poster of a form whose link is `url`."""
    headline = form.headline or words(lang)("headline", brand=form.profile.brand)
    values = {
        "title": headline,
        "headline": headline,
        "intro": form.intro,
        "program": form.program,
        "frequency": form.frequency,
        "other_lang": languages.other(lang),
        "other_language": dictionary(languages.other(lang))["language"],
        "qr_code": qr_codes.markup(url),
        "address": url.partition("://")[2],
    }
    return response(200, content("poster.html", lang, form.profile, values), form.profile)
