"""POST /v1/consent/bulk: capture up to 1000 attested consent records."""

from consents.aws import wiring
from consents.aws.http import Request, endpoint
from consents.capture import capture
from consents.wires import attested
from consents.wires.answer import Answer

directory = wiring.directory()
ledger = wiring.ledger()


@endpoint(
    attested,
    stores=wiring.stores(),
    scope="consent:write",
    max_bytes=attested.MAX_BATCH_BYTES,
)
def handler(request: Request) -> Answer:
    """Capture each record by itself; a bad one never sinks the rest."""
    caller = request.organization
    records = attested.parse_batch(request.body, request.content_type, caller.records_per_minute)

    def capture_records() -> Answer:
        request.spend(len(records))
        senders = directory.senders(caller.org_id, attested.phone_number_ids(records))
        reading = attested.Reading(request.receipt.received_at, senders)
        outcomes = capture(
            [attested.read(record, reading) for record in records],
            caller.org_id,
            ledger,
            receipt=request.receipt,
            time_left=request.time_left,
        )
        return attested.render_batch(outcomes)

    return request.once(capture_records)
