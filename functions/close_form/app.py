"""DELETE /v1/consent/hosted/{form_id}: close a form's link."""

from consents import wiring
from consents.domain.errors import NotFound
from consents.domain.organization import Scope
from consents.forms import api
from consents.forms import wiring as form_wiring
from consents.http import json_api
from consents.http.endpoint import endpoint
from consents.http.request import Request
from consents.http.response import Response

forms = form_wiring.forms()


@endpoint(json_api, stores=wiring.stores(), scope=Scope.WRITE, max_bytes=0, needs_capture=False)
def handler(request: Request) -> Response:
    """Close a form of the caller's organization; another's is not found."""
    form_id = api.parse_id(request.path("form_id"))
    if not forms.close(request.organization.org_id, form_id, request.receipt.received_at):
        raise NotFound
    return api.render_closed()
