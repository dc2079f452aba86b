"""DELETE /v1/consent/{consent_id}: revoke one consent."""

from functools import partial

from consents import wiring
from consents.decisions import api, revoke_api
from consents.decisions import wiring as decision_wiring
from consents.decisions.revoke import Revocation, Revoker
from consents.decisions.search import get_consent
from consents.domain.organization import Bucket, Scope
from consents.http.request import Request
from consents.http.response import Response

ledger = wiring.ledger()
reader = decision_wiring.reader()
renderer = decision_wiring.consent_renderer()


@decision_wiring.route(Scope.WRITE, Bucket.REVOCATIONS)
def handler(request: Request) -> Response:
    """Store an opt-out, and return the consent as it is afterwards."""
    org_id, rules = request.organization.org_id, request.organization.rules
    api.check_no_query(request)
    pair_of = partial(renderer.pair, org_id, request.path("consent_id"))
    with revoke_api.names_restored(pair_of), request.claim() as claim:
        request.spend(1)
        sender, contact = pair = pair_of()
        now = request.receipt.received_at
        before = reader.records(org_id, contact, request.time_left)
        get_consent(before, pair, rules, now)  # one without a record is not found
        revoker = Revoker(org_id, ledger, reader, request.receipt, request.time_left)
        revoker.revoke({contact: before}, Revocation(sender, None, {"method": "api"}))
        after = reader.records(org_id, contact, request.time_left)
        response = renderer.consent(org_id, get_consent(after, pair, rules, now))
        claim.keep(revoke_api.without_names(response))
        return response
