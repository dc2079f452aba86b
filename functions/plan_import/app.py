"""A file was dropped: cut it into parts for the workers."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from consents.aws import import_wiring
from consents.aws.http import Context
from consents.aws.queues import Told, drops_of, each_message, split
from consents.domain.drop import Import

SECONDS_TO_STOP = 60
"""A planner that has less left hands the rest of its file to the next one."""

planner = import_wiring.planner()
queue = import_wiring.plan_queue()


def handler(event: dict[str, Any], context: Context) -> Any:
    """Plan each dropped file, from where it was left."""

    def time_left() -> bool:
        return context.get_remaining_time_in_millis() > SECONDS_TO_STOP * 1000

    def plan(message: bytes) -> Iterator[Told]:
        if alone := split(message):
            queue.send(alone)  # so that no file is read again, or given up, for another's sake
            return
        for drop in drops_of(message):
            planned = planner.plan(drop, partial(datetime.now, UTC), time_left)
            if planned is None:
                queue.send([message])
            yield "planned", facts(drop.import_id, planned)

    return each_message(event, context, plan)


def facts(import_id: str, planned: Import | None) -> dict[str, Any]:
    """Return what is told of a file: into how many parts it was cut, and whether it failed."""
    if planned is None:
        return {"import_id": import_id, "whole": False}
    parts, outcome = planned.parts, planned.outcome
    return {"import_id": import_id, "whole": True, "parts": parts, "outcome": outcome}
