"""GET and HEAD /c/{token}: the question that a text message links to. It changes nothing."""

from consents import wiring
from consents.domain import formats
from consents.domain.errors import NotFound
from consents.http.page_endpoint import PageRequest, page_endpoint
from consents.http.response import Response
from consents.opt_in import page_wiring
from consents.opt_in import wiring as opt_in_wiring
from consents.opt_in.challenge import State
from consents.opt_in.link_error_pages import new_stamp
from consents.opt_in.link_pages import question_page, specimen_page
from consents.opt_in.link_visit import ShownQuestion
from consents.pages import languages
from consents.pages.errors import LinkClosed
from consents.pages.shown import Shown

answers = page_wiring.answers()
keys = opt_in_wiring.link_keys()


@page_endpoint(page_wiring.error_pages(), configured_url=wiring.public_url())
def handler(request: PageRequest[ShownQuestion]) -> Response:
    """Return the question, its specimen by the challenge's id, or why it is not open."""
    if not request.reads_page:
        raise NotFound
    token = request.path("token")
    question = answers.open(token)
    asked, accepted = request.query("lang"), request.header("accept-language")
    lang = languages.choose(asked, question.link.locale, accepted)
    request.shown = Shown(question, lang)
    if formats.is_uuid(token):
        return specimen_page(question, lang)
    now = request.receipt.received_at
    if question.challenge.state(now) is not State.PENDING:
        raise LinkClosed
    return question_page(question, lang, new_stamp(keys, question, lang, now))
