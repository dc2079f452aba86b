"""POST /v1/Consents/Bulk: record up to 1000 opt-ins and opt-outs, sent form-encoded."""

from consents.aws import wiring
from consents.aws.http import Request, endpoint
from consents.capture import capture
from consents.wires import bulk_consents
from consents.wires.answer import Answer

ledger = wiring.ledger()


@endpoint(
    bulk_consents,
    stores=wiring.stores(),
    scope="consent:write",
    max_bytes=bulk_consents.MAX_BATCH_BYTES,
    headers=bulk_consents.cors_headers(wiring.allowed_origin()),
)
def handler(request: Request) -> Answer:
    """Record each item by itself; a bad one never sinks the rest."""
    items = bulk_consents.parse_batch(request.body, request.organization.records_per_minute)

    def record_items() -> Answer:
        request.spend(len(items))
        outcomes = capture(
            bulk_consents.read_batch(items, request.receipt.received_at),
            request.organization.org_id,
            ledger,
            receipt=request.receipt,
            time_left=request.time_left,
        )
        return bulk_consents.render_batch(items, outcomes)

    return request.once(record_items)
