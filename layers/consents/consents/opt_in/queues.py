"""Messages of the two queues: texts to send, and texts that contacts sent."""

from datetime import datetime

import orjson

from consents.aws.sqs import Queue
from consents.opt_in.challenge import Message
from consents.opt_in.records import Reply

AWS = "aws"


class Outbound:
    """Lets texts be sent; a text that is enqueued twice is sent once."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def enqueue(self, org_id: str, message: Message) -> None:
        """Let a text be sent, grouped by organization (SQS fair queues)."""
        body = {"challenge_id": message.challenge_id, "message_id": message.message_id}
        self._queue.send([orjson.dumps(body)], group=org_id)


def parse_outbound(body: bytes) -> tuple[str, str]:
    """Return the ids of a challenge and its text."""
    content = orjson.loads(body)
    return content["challenge_id"], content["message_id"]


def parse_inbound(body: bytes) -> Reply:
    """Return the text that AWS End User Messaging published, from SNS's envelope.

    Only the envelope has the time; delivery is not raw for that reason.
    https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms-payload.html
    """
    envelope = orjson.loads(body)
    payload = orjson.loads(envelope["Message"])
    return Reply(
        provider=AWS,
        message_id=payload["inboundMessageId"],
        sender=payload["destinationNumber"],
        contact=payload["originationNumber"],
        text=payload["messageBody"],
        at=datetime.fromisoformat(envelope["Timestamp"]),
    )
