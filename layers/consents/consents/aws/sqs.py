"""SQS: send messages, and process the batch of an event message by message."""

from collections.abc import Callable, Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from consents.aws import metrics
from consents.aws.errors import error_code, frames

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_sqs import SQSClient

MESSAGES_PER_CALL = 10
"""Limit of one SendMessageBatch."""

MAX_DELAY_SECONDS = 900
"""Limit of SQS for the delay of a message."""

log = Logger()


class Queue:
    """Sends messages to one queue."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def send(self, bodies: Sequence[bytes], *, group: str = "", delay: int = 0) -> None:
        """Send all messages, or raise.

        Args:
            group: the tenant for SQS fair queues: a backlog of one delays no other.
            delay: whole seconds, at most `MAX_DELAY_SECONDS`.
        """
        extra = ({"MessageGroupId": group} if group else {}) | (
            {"DelaySeconds": delay} if delay else {}
        )
        for batch in batched(bodies, MESSAGES_PER_CALL, strict=False):
            entries: Any = [
                {"Id": str(number), "MessageBody": body.decode(), **extra}
                for number, body in enumerate(batch)
            ]
            response = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            if response.get("Failed"):
                raise RuntimeError("SQS rejected messages of a batch")


def process_batch(
    event: Mapping[str, Any], context: "LambdaContext", process: Callable[[bytes], None]
) -> Any:
    """Process each message of an SQS event; only failed messages return to the queue."""
    # Half of an import, which a function that only sends does without.
    from aws_lambda_powertools.utilities.batch import (
        BatchProcessor,
        EventType,
        process_partial_response,
    )

    def handle(record: Any) -> None:
        try:
            process(record.body.encode())
        except Exception as error:
            log.error(
                "message.failed",
                error=error_code(error),
                frames=frames(error),
                message_id=record.message_id,
            )
            metrics.write({"MessagesFailed": 1})
            raise

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(
        event=dict(event), record_handler=handle, processor=processor, context=context
    )
