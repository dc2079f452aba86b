"""Import parts of dropped files: store their rows, and report the rejected ones."""

from datetime import UTC, datetime
from typing import Any

from consents.aws.sqs import process_batch
from consents.http.request import Context
from consents.imports import wiring
from consents.imports.messages import PartMessage, parse

worker = wiring.worker()


def handler(event: dict[str, Any], context: Context) -> Any:
    """Import each part; one that could not be stored returns to the queue."""

    def time_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    def import_part(body: bytes) -> None:
        match parse(body):
            case PartMessage(import_id, part):
                worker.import_part(import_id, part, datetime.now(UTC), time_left)

    return process_batch(event, context, import_part)
