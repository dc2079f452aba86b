"""POST /v1/consent/bulk: capture up to 1000 attested consent records."""

from consents import wiring
from consents.capture import attested
from consents.capture.capture import capture
from consents.domain.organization import Scope
from consents.http import json_api
from consents.http.endpoint import endpoint
from consents.http.request import Request
from consents.http.response import Response

directory = wiring.directory()
ledger = wiring.ledger()


@endpoint(
    json_api,
    stores=wiring.stores(),
    scope=Scope.WRITE,
    max_bytes=attested.MAX_BATCH_BYTES,
    takes_dry_run=True,
)
def handler(request: Request) -> Response:
    """Capture each record by itself: one bad record never sinks the rest."""
    caller = request.organization
    records = attested.parse_batch(request.body, request.content_type, request.allowance)
    with request.claim() as claim:
        request.spend(len(records))
        senders = directory.senders(caller.org_id, attested.phone_number_ids(records))
        context = attested.ReadContext(request.receipt.received_at, senders)
        outcomes = capture(
            [attested.read(record, context) for record in records],
            caller.org_id,
            ledger,
            receipt=request.receipt,
            time_left=request.time_left,
            is_dry_run=request.is_dry_run,
        )
        return claim.keep(attested.render_batch(outcomes))
