"""POST /v1/consent/revoke: revoke for up to 1000 contacts, for one sender or for all."""

from consents import wiring
from consents.decisions import api, revoke_api
from consents.decisions import wiring as decision_wiring
from consents.decisions.check import valid_contacts
from consents.decisions.revoke import Revocation, Revoker
from consents.domain.organization import Bucket, Scope
from consents.http.request import Request
from consents.http.response import Response

directory = wiring.directory()
ledger = wiring.ledger()
reader = decision_wiring.reader()
renderer = decision_wiring.revocation_renderer()


@decision_wiring.route(Scope.WRITE, Bucket.REVOCATIONS, takes_dry_run=True)
def handler(request: Request) -> Response:
    """Store an opt-out for each contact; one bad number never sinks the rest."""
    org_id = request.organization.org_id
    sent = revoke_api.parse_revoke(request)
    with request.claim() as claim:
        request.spend(len(sent.contacts))
        sender = api.resolve(sent.sender, org_id, directory).key
        found = reader.statements(org_id, valid_contacts(sent.contacts), request.time_left)
        revocation = Revocation(sender, sent.revoked_at, sent.evidence)
        revoker = Revoker(
            org_id, ledger, reader, request.receipt, request.time_left, request.is_dry_run
        )
        revoked = revoker.revoke(found, revocation)
        return claim.keep(renderer.revoked(org_id, sender, sent.contacts, revoked))
