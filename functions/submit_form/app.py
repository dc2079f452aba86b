"""POST /f/{token}: what a visitor submits on a hosted form."""

from dataclasses import replace

from consents import wiring
from consents.domain.outcome import Stored
from consents.forms import page_wiring
from consents.forms.form_post import post_of
from consents.forms.pages import submitted_page
from consents.forms.visit import ShownForm, visit_of
from consents.http.page_endpoint import PageRequest, page_endpoint
from consents.http.response import Response
from consents.opt_in import wiring as opt_in_wiring
from consents.pages import languages
from consents.pages.post import read_fields

submissions = page_wiring.submissions(opt_in_wiring.asker().ask_visitor)


@page_endpoint(page_wiring.error_pages(), configured_url=wiring.public_url())
def handler(request: PageRequest[ShownForm]) -> Response:
    """Record what was agreed to, and say so; a repeat gets the same page."""
    post = post_of(read_fields(request))
    form, before = submissions.open(request.path("token"), post.stamp)
    lang = languages.choose(post.lang, form.locale, request.header("accept-language"))
    visit = visit_of(request, form, lang, post, before)
    page = submitted_page(form, lang, submissions.submit(visit))
    return replace(page, outcomes=[Stored.ACCEPTED])
