"""A part of a dropped file: store its rows and report those that are refused."""

from datetime import UTC, datetime
from typing import Any

from consents.aws import import_wiring
from consents.aws.http import Context
from consents.aws.queues import each_message, part_of

worker = import_wiring.worker()


def handler(event: dict[str, Any], context: Context) -> Any:
    """Import each part; one that could not be stored comes again."""

    def time_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    def import_part(message: bytes) -> None:
        told = part_of(message)
        if told is not None:
            worker.import_part(*told, datetime.now(UTC), time_left)

    return each_message(event, context, import_part)
