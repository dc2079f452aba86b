"""GET /v1/consent/{consent_id}/history: the records of a consent with their evidence."""

from consents import wiring
from consents.decisions import api
from consents.decisions import wiring as decision_wiring
from consents.decisions.search import find_history, page_after
from consents.domain.errors import NotFound
from consents.domain.organization import Scope
from consents.http.request import Request
from consents.http.response import Response

ledger = wiring.ledger()
reader = decision_wiring.reader()
renderer = decision_wiring.consent_renderer()


@decision_wiring.route(Scope.READ)
def handler(request: Request) -> Response:
    """Return a page of the records, newest first: the first of all is the one that decides."""
    caller = request.organization
    limit, position = api.parse_page(request)
    request.spend(1)
    pair = renderer.pair(caller.org_id, request.path("consent_id"))
    records = reader.records(caller.org_id, pair.contact, request.time_left)
    events = find_history(records, pair.sender, caller.rules)
    if not events:
        raise NotFound
    following = page_after(events, position)
    return renderer.history(caller.org_id, following, limit, ledger.agreement_texts)
