"""POST /c/{token}: what a contact answers on the page of a link."""

from dataclasses import replace

from consents import wiring
from consents.domain.errors import NotFound
from consents.domain.outcome import Stored
from consents.http.page_endpoint import PageRequest, page_endpoint
from consents.http.response import Response
from consents.opt_in import page_wiring
from consents.opt_in.answer_post import post_of
from consents.opt_in.link_pages import answered_page
from consents.opt_in.link_visit import ShownQuestion, visit_of
from consents.opt_in.links import is_secret
from consents.pages import languages
from consents.pages.post import read_fields

answers = page_wiring.answers()


@page_endpoint(page_wiring.error_pages(), configured_url=wiring.public_url())
def handler(request: PageRequest[ShownQuestion]) -> Response:
    """Record the answer, and say so; a repeat gets the same page."""
    sent = read_fields(request)
    if not is_secret(request.path("token")):
        raise NotFound  # also a specimen, which cannot be answered
    question = answers.open(request.path("token"))
    post, accepted = post_of(sent), request.header("accept-language")
    lang = languages.choose(post.lang, question.link.locale, accepted)
    visit = visit_of(request, question, lang, post)
    page = answered_page(question, lang, answers.answer(visit))
    return replace(page, outcomes=[Stored.ACCEPTED])
