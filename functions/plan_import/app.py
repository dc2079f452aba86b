"""A file was dropped: cut it into parts for the workers."""

from datetime import UTC, datetime
from typing import Any

from consents.aws import import_wiring
from consents.aws.http import Context
from consents.aws.queues import drops_of, each_message

SECONDS_TO_STOP = 60
"""A planner that has less left hands the rest of its file to the next one."""

planner = import_wiring.planner()
queue = import_wiring.plan_queue()


def handler(event: dict[str, Any], context: Context) -> Any:
    """Plan each dropped file, from where it was left."""

    def time_left() -> bool:
        return context.get_remaining_time_in_millis() > SECONDS_TO_STOP * 1000

    def plan(message: bytes) -> None:
        for drop in drops_of(message):
            if not planner.plan(drop, datetime.now(UTC), time_left):
                queue.send([message])

    return each_message(event, context, plan)
