"""POST /v1/consent: capture one attested consent record."""

from consents.aws import wiring
from consents.aws.http import Request, endpoint
from consents.capture import capture
from consents.domain.record import is_opt_in
from consents.wires import attested
from consents.wires.answer import Answer

directory = wiring.directory()
ledger = wiring.ledger()


@endpoint(
    attested,
    stores=wiring.stores(),
    scope="consent:write",
    max_bytes=attested.MAX_SINGLE_BYTES,
)
def handler(request: Request) -> Answer:
    """Capture the record, and tell whether the contact had opted in before."""
    org_id = request.organization.org_id
    sent = attested.parse_single(request.body, request.content_type)

    def capture_record() -> Answer:
        request.spend(1)
        senders = directory.senders(org_id, attested.phone_number_ids([sent]))
        record = attested.read_single(sent, attested.Reading(request.receipt.received_at, senders))
        before = ledger.current(org_id, record.sender, record.contact)
        capture([record], org_id, ledger, receipt=request.receipt, time_left=request.time_left)
        return attested.render_single(
            directory.consent_id(org_id, record.sender, record.contact),
            record,
            already_opted_in=is_opt_in(before),
        )

    return request.once(capture_record)
