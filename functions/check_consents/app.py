"""POST /v1/consent/check: may this sender message these contacts now, and why."""

from consents import wiring
from consents.decisions import api
from consents.decisions import wiring as decision_wiring
from consents.decisions.check import Asker, check
from consents.domain.organization import Scope
from consents.http.request import Request
from consents.http.response import Response

directory = wiring.directory()
reader = decision_wiring.reader()
renderer = decision_wiring.renderer()


@decision_wiring.route(Scope.CHECK)
def handler(request: Request) -> Response:
    """Decide for each contact, from what the ledger holds now."""
    caller = request.organization
    question = api.parse_check(request)
    request.spend(len(question.contacts))
    sender = api.resolve(question.sender, caller.org_id, directory)
    asker = Asker(caller.org_id, sender.key, caller.rules)
    now = request.receipt.received_at
    answer = check(question.contacts, asker, reader, now=now, time_left=request.time_left)
    return renderer.check(answer, asker, sender)
