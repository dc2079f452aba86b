"""What the queues gave up on: end its import, and keep the message for a person."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from consents.aws import import_wiring
from consents.aws.http import Context
from consents.aws.queues import Told, drops_of, each_message, part_of
from consents.imports import fail

files = import_wiring.files()
progress = import_wiring.progress()
dead_letters = import_wiring.dead_letter_queue()


def handler(event: dict[str, Any], context: Context) -> Any:
    """End the import of each message, and pass the message on."""

    def give_up(message: bytes) -> Iterator[Told]:
        now = datetime.now(UTC)
        told = part_of(message)
        if told is not None:
            import_id, part = told
            fail(import_id, f"part {part.place.part} could not be stored", progress, files, now)
            yield "given up", {"import_id": import_id, "part": part.place.part}
        for drop in drops_of(message):
            progress.begin(drop, now)
            fail(drop.import_id, "the file could not be read to its end", progress, files, now)
            yield "given up", {"import_id": drop.import_id}
        dead_letters.send([message])

    return each_message(event, context, give_up)
