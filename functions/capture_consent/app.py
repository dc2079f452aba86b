"""POST /v1/consent: capture one attested consent record."""

from consents import wiring
from consents.capture import attested
from consents.capture.capture import capture
from consents.decisions.consent_ids import ConsentIds
from consents.domain.organization import Scope
from consents.domain.record import is_opt_in
from consents.http import json_api
from consents.http.endpoint import endpoint
from consents.http.request import Request
from consents.http.response import Response

directory = wiring.directory()
ledger = wiring.ledger()
consent_ids = ConsentIds(wiring.pepper)


@endpoint(
    json_api,
    stores=wiring.stores(),
    scope=Scope.WRITE,
    max_bytes=attested.MAX_SINGLE_BYTES,
    takes_dry_run=True,
)
def handler(request: Request) -> Response:
    """Capture the record, and return whether the contact had opted in before."""
    org_id = request.organization.org_id
    sent = json_api.parse_object(request.body, request.content_type)
    with request.claim() as claim:
        request.spend(1)
        senders = directory.senders(org_id, attested.phone_number_ids([sent]))
        context = attested.ReadContext(request.receipt.received_at, senders)
        record = attested.read_single(sent, context)
        before = ledger.current(org_id, record.sender, record.contact)
        if not request.is_dry_run:
            capture([record], org_id, ledger, receipt=request.receipt, time_left=request.time_left)
        consent_id = consent_ids.seal(org_id, record.sender, record.contact)
        rendered = attested.render_single(consent_id, record, already_opted_in=is_opt_in(before))
        return claim.keep(rendered)
