"""Failed messages: end their imports, and keep the messages for a person."""

from datetime import UTC, datetime
from typing import Any

from consents.aws.sqs import process_batch
from consents.http.request import Context
from consents.imports import wiring
from consents.imports.messages import PartMessage, PlanMessage, S3Event, parse

imports = wiring.imports()
reporter = wiring.reporter()
dead_letters = wiring.dead_letter_queue()


def handler(event: dict[str, Any], context: Context) -> Any:
    """Fail the import of each message, and send the message to the dead-letter queue."""

    def fail(body: bytes) -> None:
        now = datetime.now(UTC)
        match parse(body):
            case PartMessage(import_id, part):
                reporter.fail(import_id, f"part {part.place.part} could not be stored", now)
            case PlanMessage(import_id):
                reporter.fail(import_id, "the file could not be read", now)
            case S3Event(_, drops):
                for drop in drops:
                    imports.begin(drop, now)
                    reporter.fail(drop.import_id, "the file could not be read", now)
        dead_letters.send([body])

    return process_batch(event, context, fail)
