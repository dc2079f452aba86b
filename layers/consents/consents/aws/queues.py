"""Messages of imports: S3's events in, parts out, and what a queue gave up on."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import batched
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from consents.aws import telemetry
from consents.aws.dynamodb import error_code, frames
from consents.domain.drop import Drop, Place, drop_of
from consents.imports import Part

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MESSAGES_PER_CALL = 10
"""The most that one SendMessageBatch takes."""

log = Logger()

type Told = tuple[str, Mapping[str, Any]]


class Queue:
    """Sends messages to one queue."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def send(self, bodies: Sequence[bytes]) -> None:
        """Send messages; all of them, or an exception."""
        for some in batched(bodies, MESSAGES_PER_CALL, strict=False):
            entries: Any = [
                {"Id": str(number), "MessageBody": body.decode()}
                for number, body in enumerate(some)
            ]
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            if answer.get("Failed"):
                raise RuntimeError("messages were not taken")


def part_message(drop: Drop, part: Part) -> bytes:
    """Return the message that hands a part to a worker; its content is in the file."""
    told = asdict(part) | {"import_id": drop.import_id}
    del told["content"]
    return orjson.dumps(told)


def part_of(message: bytes) -> tuple[str, Part] | None:
    """Return the import and the part that a message hands over, or None if it is none."""
    told: dict[str, Any] = orjson.loads(message)
    import_id = told.pop("import_id", None)
    if import_id is None:
        return None
    return import_id, Part(**told | {"place": Place(**told["place"])})


def drops_of(message: bytes) -> Iterator[Drop]:
    """Return the drops that an S3 event tells of; whatever else was created is none."""
    for told in orjson.loads(message).get("Records", []):
        thing = told["s3"]["object"]
        key = unquote_plus(thing["key"])
        drop = drop_of(told["s3"]["bucket"]["name"], key, thing.get("versionId", "null"))
        if drop is not None:
            yield drop


def split(message: bytes) -> list[bytes]:
    """Return a message for each of the objects that an S3 event of several tells of, else none."""
    records = orjson.loads(message).get("Records", [])
    return [orjson.dumps({"Records": [told]}) for told in records] if len(records) > 1 else []


def each_message(
    event: Mapping[str, Any], context: LambdaContext, handle: Callable[[bytes], Iterable[Told]]
) -> Any:
    """Handle each message of an SQS event by itself; only those that fail come again.

    What the handling tells is a line in the log each: its name, and facts without a word of what
    was dropped.
    """

    def handled(record: Any) -> None:
        started, new = time.perf_counter(), telemetry.is_cold_start()
        try:
            for name, facts in handle(record.body.encode()):
                passed = telemetry.milliseconds_since(started)
                log.info(name, **facts, cold_start=new, milliseconds=passed)
        except Exception as error:
            log.error(
                "message failed",
                error=error_code(error),
                frames=frames(error),
                message_id=record.message_id,
            )
            telemetry.count_failed_message()
            raise

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(
        event=dict(event), record_handler=handled, processor=processor, context=context
    )
