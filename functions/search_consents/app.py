"""POST /v1/consent/search: the consents of one contact, one per sender."""

from consents import wiring
from consents.decisions import api
from consents.decisions import wiring as decision_wiring
from consents.decisions.search import find_consents
from consents.domain.organization import Scope
from consents.http.request import Request
from consents.http.response import Response

directory = wiring.directory()
reader = decision_wiring.reader()
renderer = decision_wiring.consent_renderer()


@decision_wiring.route(Scope.READ)
def handler(request: Request) -> Response:
    """Return a page of the contact's consents; an unknown contact has none."""
    caller = request.organization
    question = api.parse_search(request)
    after = renderer.sender_after(caller.org_id, question.contact, question.cursor)
    request.spend(1)
    only = question.sender and api.resolve(question.sender, caller.org_id, directory).key
    records = reader.records(caller.org_id, question.contact, request.time_left)
    found = [
        consent
        for consent in find_consents(
            records, question.contact, caller.rules, request.receipt.received_at
        )
        if consent.pair.sender > after and only in {None, consent.pair.sender}
    ]
    return renderer.consents(caller.org_id, found, question.limit)
