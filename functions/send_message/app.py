"""Send the texts of challenges, each at most once."""

from datetime import UTC, datetime
from typing import Any

from consents.aws.sqs import process_batch
from consents.http.request import Context
from consents.opt_in import provider_wiring, wiring
from consents.opt_in.queues import parse_outbound
from consents.opt_in.sending import send

challenges = wiring.challenges()
keys = wiring.link_keys()
provider = provider_wiring.provider


def handler(event: dict[str, Any], context: Context) -> Any:
    """Send each text; one that was surely not sent returns to the queue."""

    def send_one(body: bytes) -> None:
        challenge_id, message_id = parse_outbound(body)
        now = datetime.now(UTC)
        send(challenge_id, message_id, challenges, provider(), now, complete=keys.complete)

    return process_batch(event, context, send_one)
