"""POST /v1/consent/hosted: make a form on which people agree to messages."""

from consents import wiring
from consents.capture import attested
from consents.domain.organization import Scope
from consents.forms import api
from consents.forms import wiring as form_wiring
from consents.forms.orders import make_form
from consents.http import json_api
from consents.http.endpoint import endpoint
from consents.http.request import Request
from consents.http.response import Response

stores = wiring.stores()
forms = form_wiring.forms()
keys = form_wiring.keys()
configured_url = wiring.public_url()
can_send = wiring.can_send()


@endpoint(json_api, stores=stores, scope=Scope.WRITE, max_bytes=api.MAX_BYTES, needs_capture=False)
def handler(request: Request) -> Response:
    """Make the form, and return its link."""
    organization = request.organization
    sent = json_api.parse_object(request.body, request.content_type)
    with request.claim() as claim:
        request.spend(1)
        owned = stores.directory.senders(organization.org_id, attested.phone_number_ids([sent]))
        order = api.parse_order(sent, owned, can_send=can_send)
        profile = stores.directory.profile(organization, order.phone_number_id)
        api.check_textable(order, profile)
        now = request.receipt.received_at
        form, token = make_form(order, organization.org_id, profile, keys.secret_hash, now)
        forms.add(form)
        return claim.keep(api.render_created(form, token, request.public_url(configured_url)))
