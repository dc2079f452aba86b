"""GET /v1/consent/double-opt-in/{consent_pending_id}: the state of a challenge."""

from consents import wiring
from consents.domain.errors import NotFound
from consents.domain.organization import Scope
from consents.http import json_api
from consents.http.endpoint import endpoint
from consents.http.request import Request
from consents.http.response import Response
from consents.opt_in import api
from consents.opt_in import wiring as opt_in_wiring

challenges = opt_in_wiring.challenges()


@endpoint(json_api, stores=wiring.stores(), scope=Scope.WRITE, max_bytes=0, needs_capture=False)
def handler(request: Request) -> Response:
    """Return a challenge of the caller's organization; another's is not found."""
    found = challenges.find(api.parse_id(request.path("consent_pending_id")))
    if found is None or found.org_id != request.organization.org_id:
        raise NotFound
    messages = challenges.messages(found.challenge_id)
    return api.render_challenge(found, messages, request.receipt.received_at)
