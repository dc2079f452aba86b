"""GET and HEAD /c/{token}: the question that a text message links to. It changes nothing."""

from consents import wiring
from consents.domain import fields
from consents.domain.errors import NotFound
from consents.http.page_endpoint import PageRequest, page_endpoint
from consents.http.response import Response
from consents.opt_in import page_wiring
from consents.opt_in import wiring as opt_in_wiring
from consents.opt_in.challenge import State
from consents.opt_in.link_error_pages import new_stamp
from consents.opt_in.link_pages import question_page, specimen_page
from consents.opt_in.link_visit import Shown
from consents.pages import languages
from consents.pages.errors import LinkClosed

answers = page_wiring.answers()
keys = opt_in_wiring.link_keys()


@page_endpoint(page_wiring.error_pages(), configured_url=wiring.public_url())
def handler(request: PageRequest[Shown]) -> Response:
    """Return the question, its specimen by the challenge's id, or why it is not open."""
    if not request.reads_page:
        raise NotFound
    token = request.path("token")
    link, challenge = answers.open(token)
    lang = languages.choose(request.query("lang"), link.locale, request.header("accept-language"))
    shown = request.shown = Shown(link, challenge, lang)
    if fields.is_uuid(token):
        return specimen_page(link, challenge, lang)
    now = request.receipt.received_at
    if challenge.state(now) is not State.PENDING:
        raise LinkClosed
    return question_page(link, challenge, lang, new_stamp(keys, shown, now))
