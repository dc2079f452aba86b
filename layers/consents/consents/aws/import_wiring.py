"""The composition root of file drops, apart from the other: no API function loads what it needs."""

import os
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, cast

from consents.aws.files import CONFIG, Files
from consents.aws.progress import Progress
from consents.aws.queues import Queue, part_message
from consents.aws.wiring import directory, dynamodb, ledger, session
from consents.domain.drop import Drop
from consents.imports import Part, Planner, Worker

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@cache
def files() -> Files:
    """Return the objects of imports; boto3 knows how to upload what is longer than memory."""
    import boto3  # not for who needs no files

    client = boto3.Session(botocore_session=session()).client("s3", config=CONFIG)
    return Files(client, os.environ["DROPS_BUCKET"])


@cache
def progress() -> Progress:
    """Return how far imports are."""
    return Progress(dynamodb(), os.environ["IMPORTS_TABLE"])


@cache
def planner() -> Planner:
    """Return the planner of this process."""
    parts = Queue(_sqs(), os.environ["PART_QUEUE"])

    def send(drop: Drop, some: Sequence[Part]) -> None:
        parts.send([part_message(drop, part) for part in some])

    return Planner(files(), progress(), send, lambda drop: directory().capture_refusal(drop.org_id))


@cache
def worker() -> Worker:
    """Return the worker of this process."""
    return Worker(files(), progress(), ledger(), directory().senders)


@cache
def plan_queue() -> Queue:
    """Return the queue of files to plan."""
    return Queue(_sqs(), os.environ["PLAN_QUEUE"])


@cache
def dead_letter_queue() -> Queue:
    """Return the queue of what a person must look at."""
    return Queue(_sqs(), os.environ["DEAD_LETTER_QUEUE"])


@cache
def _sqs() -> "SQSClient":
    return cast("SQSClient", session().create_client("sqs"))
