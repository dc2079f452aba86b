"""The pages of a form: the form itself, its specimen, and the page after a submission."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from consents.forms.form import Confirm, Form
from consents.forms.submission import Submission
from consents.http.response import Response
from consents.messages.texts import confirmation_text
from consents.pages import example_numbers, languages, phone_numbers
from consents.pages.done import Agreed, done_page
from consents.pages.page import content, response
from consents.pages.templating import dictionary, words


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


def form_page(form: Form, lang: str, fill: Fill, status: int = 200) -> Response:
    """Return the form, with its stamp and number."""
    number = phone_numbers.shown(form.contact, form.sender) if form.contact else fill.number
    return response(status, _form_page(form, lang, fill, number=number), form.profile)


def specimen_page(form: Form, lang: str) -> Response:
    """Return the form of one contact without the number, for auditors; it cannot be sent."""
    page = _form_page(form, lang, Fill(), number="", is_specimen=True)
    return response(200, page, form.profile)


def submitted_page(form: Form, lang: str, submission: Submission) -> Response:
    """Return the page after a submission."""
    if form.confirm is Confirm.SMS:
        return _step_page(form, lang, submission)
    agreed = Agreed(
        form.agreement_text,
        form.agreement_lang,
        submission.contact,
        form.sender,
        submission.captured_at,
        submission.nonce,
        form.redirect_url,
    )
    return done_page(lang, form.profile, agreed)


def _step_page(form: Form, lang: str, submission: Submission) -> Response:
    """Return the page that asks to answer a text, whether or not one was sent."""
    values = {
        "title": words(lang)("step"),
        "masked": phone_numbers.masked(submission.contact, form.sender),
        "sender": phone_numbers.shown(form.sender, form.sender),
        "text": confirmation_text(form.profile, form.program, form.frequency, lang),
    }
    return response(200, content("step.html", lang, form.profile, values), form.profile)


def _form_page(
    form: Form, lang: str, fill: Fill, *, number: str, is_specimen: bool = False
) -> bytes:
    t = words(lang)
    example = example_numbers.example(form.sender)
    headline = form.headline or t("headline", brand=form.profile.brand)
    has_errors = bool(fill.problems)
    values = {
        "form": form,
        "program": form.program,
        "frequency": form.frequency,
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
    return content("form.html", lang, form.profile, values)
