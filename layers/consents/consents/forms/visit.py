"""A visit to a form's page: what the visitor sent, and what the service sees of the visitor."""

from collections.abc import Callable
from dataclasses import dataclass

from consents.domain.record import Receipt
from consents.forms.form import Form
from consents.forms.form_post import Post
from consents.forms.submission import Submission
from consents.http.page_endpoint import PageRequest
from consents.pages.shown import Shown

ShownForm = Shown[Form, Post]


@dataclass(frozen=True, slots=True)
class Visit:
    """A form that a visitor sends. `before` is what was submitted with the same stamp before."""

    form: Form
    lang: str
    post: Post
    before: Submission | None
    receipt: Receipt
    ip_address: str
    user_agent: str
    form_url: str
    time_left: Callable[[], float]


def visit_of(
    request: PageRequest[ShownForm], form: Form, lang: str, post: Post, before: Submission | None
) -> Visit:
    """Return a visit, and let the pages of errors show its form."""
    request.shown = Shown(form, lang, post)
    return Visit(
        form,
        lang,
        post,
        before,
        request.receipt,
        ip_address=request.ip_address,
        user_agent=request.header("user-agent"),
        form_url=f"{request.public_url}/f/{form.form_id}",
        time_left=request.time_left,
    )
