"""GET and HEAD /f/{form_id}/poster and /f/{form_id}/qr.svg: an open form's link, to print."""

from consents import wiring
from consents.domain.errors import NotFound
from consents.forms import page_wiring, qr_codes
from consents.forms import wiring as form_wiring
from consents.forms.form import State
from consents.forms.poster import poster_page
from consents.forms.tokens import is_form_id
from consents.forms.visit import ShownForm
from consents.http.page_endpoint import PageRequest, page_endpoint
from consents.http.response import Response
from consents.pages import languages

forms = form_wiring.forms()


@page_endpoint(page_wiring.error_pages(), configured_url=wiring.public_url())
def handler(request: PageRequest[ShownForm]) -> Response:
    """Return the poster or the QR code of a form that anybody may open and that is open."""
    form_id = request.path("token")
    is_read = request.method in {"GET", "HEAD"} and is_form_id(form_id)
    form = forms.open(form_id) if is_read else None
    now = request.receipt.received_at
    if form is None or not form.is_open_to_all or form.state(now) is not State.OPEN:
        raise NotFound
    url = f"{request.public_url}/f/{form_id}"
    if request.last_segment == "qr.svg":
        return qr_codes.image(url)
    lang = languages.choose(request.query("lang"), form.locale, request.header("accept-language"))
    return poster_page(form, lang, url)
