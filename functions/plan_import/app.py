"""Plan imports: cut dropped files into parts, and release the parts to the workers."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from consents import wiring  # noqa: F401 - first: it prepares the process
from consents.aws.sqs import process_batch
from consents.http.request import Context
from consents.imports import wiring as import_wiring
from consents.imports.messages import PlanMessage, S3Event, parse

MIN_SECONDS = 60
"""A planner that has less left sends the rest of its file back to the queue."""

imports = import_wiring.imports()
planner = import_wiring.planner()
queues = import_wiring.queues()
now = partial(datetime.now, UTC)


def handler(event: dict[str, Any], context: Context) -> Any:
    """Plan each import a bit further."""

    def has_time() -> bool:
        return context.get_remaining_time_in_millis() > MIN_SECONDS * 1000

    def plan(body: bytes) -> None:
        match parse(body):
            case PlanMessage(import_id):
                planner.plan(imports.get(import_id).drop, now, has_time)
            case S3Event([_, _, *_]) as several:
                queues.plan_each(several)  # so that one file never fails with another
            case S3Event(_, drops):
                for drop in drops:
                    planner.plan(drop, now, has_time)

    return process_batch(event, context, plan)
