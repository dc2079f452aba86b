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
    directory=directory,
    scope="consent:write",
    max_bytes=attested.MAX_BATCH_BYTES,
)
def handler(request: Request) -> Answer:
    """Capture each record by itself; a bad one never sinks the rest."""
    org_id = request.organization.org_id
    records = attested.parse_batch(request.body, request.content_type)
    senders = directory.senders(org_id, attested.phone_number_ids(records))
    reading = attested.Reading(request.receipt.received_at, senders)
    outcomes = capture(
        [attested.read(record, reading) for record in records],
        org_id,
        ledger,
        receipt=request.receipt,
        time_left=request.time_left,
    )
    return attested.render_batch(outcomes)
