"""Take the texts that contacts send: a STOP is an opt-out in the ledger."""

from datetime import UTC, datetime
from typing import Any

from consents.aws.sqs import process_batch
from consents.domain.record import Receipt
from consents.http.request import Context
from consents.opt_in import inbound_wiring, wiring
from consents.opt_in.queues import parse_inbound

challenges = wiring.challenges()
inbox = inbound_wiring.inbox()


def handler(event: dict[str, Any], context: Context) -> Any:
    """Act on each text; one whose record could not be stored returns to the queue."""

    def time_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    def take(body: bytes) -> None:
        reply, received_at = challenges.receive(parse_inbound(body), datetime.now(UTC))
        inbox.take(reply, Receipt(received_at, context.aws_request_id), time_left)

    return process_batch(event, context, take)
