"""GET /v1/consent/{consent_id}: one consent as it is now."""

from consents.decisions import api
from consents.decisions import wiring as decision_wiring
from consents.decisions.search import get_consent
from consents.domain.organization import Scope
from consents.http.request import Request
from consents.http.response import Response

reader = decision_wiring.reader()
renderer = decision_wiring.consent_renderer()


@decision_wiring.route(Scope.READ)
def handler(request: Request) -> Response:
    """Return the consent; one without a record is not found."""
    caller = request.organization
    api.check_no_query(request)
    request.spend(1)
    pair = renderer.pair(caller.org_id, request.path("consent_id"))
    records = reader.records(caller.org_id, pair.contact, request.time_left)
    found = get_consent(records, pair, caller.rules, request.receipt.received_at)
    return renderer.consent(caller.org_id, found)
