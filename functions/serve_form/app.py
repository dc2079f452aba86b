"""GET and HEAD /f/{token}: the page on which people agree to messages. It changes nothing."""

from consents import wiring
from consents.domain.errors import NotFound
from consents.forms import page_wiring
from consents.forms import wiring as form_wiring
from consents.forms.error_pages import new_stamp
from consents.forms.form import State
from consents.forms.pages import Fill, form_page, specimen_page
from consents.forms.tokens import parse_token
from consents.forms.visit import ShownForm
from consents.http.page_endpoint import PageRequest, page_endpoint
from consents.http.response import Response
from consents.pages import languages
from consents.pages.errors import LinkClosed
from consents.pages.shown import Shown

forms = form_wiring.forms()


@page_endpoint(page_wiring.error_pages(), configured_url=wiring.public_url())
def handler(request: PageRequest[ShownForm]) -> Response:
    """Return the form, its specimen without the secret of the link, or why it is not open."""
    token = parse_token(request.path("token")) if request.reads_page else None
    form = forms.open(token.form_id) if token else None
    if token is None or form is None:
        raise NotFound
    lang = languages.choose(request.query("lang"), form.locale, request.header("accept-language"))
    request.shown = Shown(form, lang)
    now, keys = request.receipt.received_at, form_wiring.keys()
    if form.contact and not token.secret:
        return specimen_page(form, lang)
    if not keys.opens(token, form):
        raise NotFound
    if form.state(now) is not State.OPEN:
        raise LinkClosed
    return form_page(form, lang, Fill(new_stamp(keys, form, lang, now)))
