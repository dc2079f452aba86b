"""Pages: HTML, its content security policy, and the hash of what a page says."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

from consents.domain.record import timestamp
from consents.forms import languages, phone_numbers
from consents.forms.brand_colours import palette
from consents.forms.form import Confirm, Form
from consents.forms.submission import Submission
from consents.forms.templating import Words, dictionary, render, style, words
from consents.http.response import Response
from consents.messages.texts import confirmation_text

_POLICY = (
    "default-src 'none'; style-src {styles}; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Fill:
    """What differs between two showings of one form page.

    `number` is what a visitor typed. `problems` maps field to the key of a message.
    """

    stamp: str = ""
    number: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)
    reads_again: bool = False


def bare_page(form: Form, lang: str) -> bytes:
    """Return the form page as first shown, without its stamp and number: nobody's data."""
    return _form_page(form, lang, Fill(), number="")


def page_hash(page: bytes) -> str:
    """Return the SHA-256 of a page, in hex."""
    return sha256(page).hexdigest()


def form_page(form: Form, lang: str, fill: Fill, status: int = 200) -> Response:
    """Return the form, with its stamp and number."""
    number = phone_numbers.shown(form.contact, form.sender) if form.contact else fill.number
    return _response(status, _form_page(form, lang, fill, number=number), form)


def specimen_page(form: Form, lang: str) -> Response:
    """Return the form of one contact without the number, for auditors; it cannot be sent."""
    page = _form_page(form, lang, Fill(), number="", is_specimen=True)
    return _response(200, page, form)


def done_page(form: Form, lang: str, submission: Submission) -> Response:
    """Return the page that says what was recorded."""
    t = words(lang)
    values = {
        "title": t("done"),
        "masked": phone_numbers.masked(submission.contact, form.sender),
        "agreed_at": timestamp(submission.captured_at),
        "agreed_on": _date(submission.captured_at, lang),
        "reference": submission.reference,
        "redirect_host": urlsplit(form.redirect_url).hostname or "",
        "sender": phone_numbers.shown(form.sender, form.sender),
    }
    return _response(200, render("done.html", _common(form, lang, t) | values), form)


def step_page(form: Form, lang: str, submission: Submission) -> Response:
    """Return the page that asks to answer a text, whether or not one was sent."""
    t = words(lang)
    values = {
        "title": t("step"),
        "masked": phone_numbers.masked(submission.contact, form.sender),
        "sender": phone_numbers.shown(form.sender, form.sender),
        "text": confirmation_text(form.profile, form.program, form.frequency, lang),
    }
    return _response(200, render("step.html", _common(form, lang, t) | values), form)


def submitted_page(form: Form, lang: str, submission: Submission) -> Response:
    """Return the page after a submission."""
    page = step_page if form.confirm is Confirm.SMS else done_page
    return page(form, lang, submission)


def message_page(
    status: int,
    lang: str,
    key: str,
    image: str,
    *,
    form: Form | None = None,
    message: str = "",
    again: Mapping[str, str] | None = None,
) -> Response:
    """Return a page with a message, of a brand if its form is known.

    `message` is the key of its text if it is not the usual one. `again` are the fields of a
    submission that a button sends again.
    """
    t = words(lang)
    values = {
        "title": t(key),
        "message": t(message or f"{key}_text"),
        "image": image,
        "mood": "bad" if image == "lock" or status >= 500 else "",
        "advice": t("closed_ask", brand=form.profile.brand) if form and key == "closed" else "",
        "again": again or {},
    }
    return _response(status, render("notice.html", _common(form, lang, t) | values), form)


def _form_page(
    form: Form, lang: str, fill: Fill, *, number: str, is_specimen: bool = False
) -> bytes:
    t = words(lang)
    example = phone_numbers.example(form.sender)
    headline = form.headline or t("headline", brand=form.profile.brand)
    has_errors = bool(fill.problems)
    values = {
        "title": t("error_title", title=headline) if has_errors else headline,
        "headline": headline,
        "other_lang": languages.other(lang),
        "other_language": dictionary(languages.other(lang))["language"],
        "example": example,
        "number": number,
        "stamp": fill.stamp,
        "problems": {name: t(key, example=example) for name, key in fill.problems.items()},
        "reads_again": fill.reads_again,
        "is_specimen": is_specimen,
    }
    return render("form.html", _common(form, lang, t) | values)


def _common(form: Form | None, lang: str, t: Words) -> dict[str, Any]:
    initial = form.profile.brand[:1].upper() if form else ""
    return {
        "form": form,
        "lang": lang,
        "t": t,
        "style": style(),
        "brand_style": _brand_style(form),
        "initial": initial,
    }


def _response(status: int, page: bytes, form: Form | None) -> Response:
    styles = " ".join(f"'{_style_hash(each)}'" for each in (style(), _brand_style(form)) if each)
    return Response(
        status, page, {"Content-Security-Policy": _POLICY.format(styles=styles)}, final=False
    )


def _style_hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _brand_style(form: Form | None) -> Markup:
    """Return the brand's colours as a style sheet: of hex digits, whatever the profile has."""
    if form is None:
        return Markup()
    colours = palette(form.profile.accent)
    light = _variables(
        brand=colours.light_text,
        edge=colours.light_edge,
        page=colours.light_page,
        tint=colours.light_tint,
    )
    dark = _variables(
        brand=colours.dark_text,
        edge=colours.dark_edge,
        page=colours.dark_page,
        tint=colours.dark_tint,
    )
    fill = _variables(fill=colours.fill) + f"--on-fill:{colours.on_fill};"
    return Markup(  # noqa: S704 - computed numbers
        f":root{{{fill}{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    )


def _variables(**colours: str) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())


def _date(at: datetime, lang: str) -> str:
    text = dictionary(lang)
    utc = at.astimezone(UTC)
    return str(text["date"]).format(
        month=text["months"][utc.month - 1],
        day=utc.day,
        year=utc.year,
        hour=f"{utc.hour:02}",
        minute=f"{utc.minute:02}",
    )
