"""POST /v1/consent/double-opt-in: ask a contact by text message."""

from consents import wiring
from consents.capture import attested
from consents.domain.organization import Scope
from consents.http import json_api
from consents.http.endpoint import endpoint
from consents.http.request import Request
from consents.http.response import Response
from consents.opt_in import api
from consents.opt_in import wiring as opt_in_wiring

stores = wiring.stores()
asker = opt_in_wiring.asker()
can_send = wiring.can_send()
configured_url = wiring.public_url()


@endpoint(json_api, stores=stores, scope=Scope.WRITE, max_bytes=api.MAX_BYTES, needs_capture=False)
def handler(request: Request) -> Response:
    """Ask the contact, unless the contact was asked or has decided already."""
    organization = request.organization
    sent = json_api.parse_object(request.body, request.content_type)
    with request.claim() as claim:
        request.spend(1)
        owned = stores.directory.senders(organization.org_id, attested.phone_number_ids([sent]))
        public_url = request.public_url(configured_url)
        question = api.parse_question(sent, owned, can_send=can_send, public_url=public_url)
        profile = stores.directory.profile(organization, question.phone_number_id)
        opened = asker.ask(question, organization.org_id, profile, request.receipt)
        return claim.keep(api.render_opened(opened))
