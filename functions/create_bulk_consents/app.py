"""POST /v1/Consents/Bulk: record up to 1000 opt-ins and opt-outs, sent form-encoded."""

from consents import wiring
from consents.capture import bulk_consents
from consents.capture.capture import capture
from consents.domain.organization import Scope
from consents.http.endpoint import endpoint
from consents.http.request import Request
from consents.http.response import Response

ledger = wiring.ledger()


@endpoint(
    bulk_consents,
    stores=wiring.stores(),
    scope=Scope.WRITE,
    max_bytes=bulk_consents.MAX_BATCH_BYTES,
    takes_dry_run=True,
    headers=bulk_consents.cors_headers(wiring.allowed_origin()),
)
def handler(request: Request) -> Response:
    """Record each item by itself: one bad item never sinks the rest."""
    items = bulk_consents.parse_batch(request.body, request.allowance)
    with request.claim() as claim:
        request.spend(len(items))
        outcomes = capture(
            bulk_consents.read_batch(items, request.receipt.received_at),
            request.organization.org_id,
            ledger,
            receipt=request.receipt,
            time_left=request.time_left,
            is_dry_run=request.is_dry_run,
        )
        return claim.keep(bulk_consents.render_batch(items, outcomes))
