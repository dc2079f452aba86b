"""A part of a dropped file: store its rows and report those that are refused."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from consents.aws import import_wiring, telemetry
from consents.aws.http import Context
from consents.aws.queues import Told, each_message, part_of

worker = import_wiring.worker()


def handler(event: dict[str, Any], context: Context) -> Any:
    """Import each part; one that could not be stored comes again."""

    def time_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    def import_part(message: bytes) -> Iterator[Told]:
        told = part_of(message)
        if told is None:
            return
        import_id, part = told
        counts = worker.import_part(import_id, part, datetime.now(UTC), time_left)
        if counts is not None:
            telemetry.count_rows(counts)
        became = {"rows": part.rows} if counts is None else {"rows": counts.rows} | asdict(counts)
        yield "imported", {"import_id": import_id, "part": part.place.part, **became}

    return each_message(event, context, import_part)
