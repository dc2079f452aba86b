"""POST /v1/consent/check/verify: is a decision genuine, and does the ledger still agree."""

from consents import wiring
from consents.decisions import api, check_api
from consents.decisions import wiring as decision_wiring
from consents.decisions.decide import Question
from consents.decisions.decision_ids import Circumstances
from consents.decisions.verify import replay
from consents.domain.organization import Scope
from consents.http.request import Request
from consents.http.response import Response

decision_ids = decision_wiring.decision_ids()
directory = wiring.directory()
reader = decision_wiring.reader()


@decision_wiring.route(Scope.CHECK)
def handler(request: Request) -> Response:
    """Compare the decision's id, and take a genuine decision again."""
    org_id = request.organization.org_id
    sent = api.parse_verify(request)
    request.spend(1)
    sender = api.resolve(sent.sender, org_id, directory)
    said = Circumstances(org_id, sent.asked_at, sender.sender_id, sent.rules_version)
    if not decision_ids.is_genuine(said, sent.result):
        return check_api.render_verified(None)
    contact = sent.result["contact_number"]
    rules = directory.rules(org_id, sent.rules_version)
    records = reader.records(org_id, contact, request.time_left)
    replayed = replay(records, Question(sender.key, contact, sent.at, rules), sent.result)
    return check_api.render_verified(replayed)
