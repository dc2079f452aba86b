"""Messages of the two queues: texts to send, and texts that contacts sent."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

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


class Inbound:
    """Keeps what contacts text until it is in the ledger."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def enqueue(self, reply: Reply) -> None:
        """Keep a text; one that is kept twice is taken once."""
        content = asdict(reply) | {"at": reply.at.isoformat()}
        self._queue.send([json.dumps(content).encode()])  # ASCII: SQS rejects some characters


def parse_outbound(body: bytes) -> tuple[str, str]:
    """Return the ids of a challenge and its text."""
    content = orjson.loads(body)
    return content["challenge_id"], content["message_id"]


def parse_inbound(body: bytes) -> Reply:
    """Return a text that `Inbound` kept, or that AWS End User Messaging published."""
    content = orjson.loads(body)
    if "Message" in content:
        return _published(content)
    return Reply(**content | {"at": datetime.fromisoformat(content["at"])})


def _published(envelope: Mapping[str, Any]) -> Reply:
    """Return the text of an envelope of SNS.

    Only the envelope has the time; delivery is not raw for that reason.
    https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms-payload.html
    """
    payload = orjson.loads(envelope["Message"])
    return Reply(
        provider=AWS,
        message_id=payload["inboundMessageId"],
        sender=payload["destinationNumber"],
        contact=payload["originationNumber"],
        text=payload["messageBody"],
        at=datetime.fromisoformat(envelope["Timestamp"]),
    )
