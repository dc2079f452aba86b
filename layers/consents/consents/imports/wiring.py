"""The composition root of imports: no other API function loads what they need."""

import os
from functools import cache
from typing import TYPE_CHECKING, cast

from consents import wiring
from consents.aws import session
from consents.aws.s3 import CONFIG, Objects
from consents.aws.sqs import Queue
from consents.imports.bucket import Bucket
from consents.imports.limits import Limits
from consents.imports.messages import Queues
from consents.imports.planner import Planner
from consents.imports.reporter import Reporter
from consents.imports.table import ImportTable
from consents.imports.worker import Worker

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient


@cache
def bucket() -> Bucket:
    """Return the objects of imports."""
    client = cast("S3Client", session.session().create_client("s3", config=CONFIG))
    return Bucket(Objects(client, os.environ["DROPS_BUCKET"]))


@cache
def imports() -> ImportTable:
    """Return the progress of imports."""
    return ImportTable(wiring.table("IMPORTS_TABLE"))


@cache
def limits() -> Limits:
    """Return the limits of each organization's imports."""
    return Limits(wiring.table("IMPORTS_TABLE"))


@cache
def planner() -> Planner:
    """Return the planner of this process."""
    return Planner(
        bucket(),
        imports(),
        limits(),
        wiring.directory(),
        queues(),
        reporter(),
        window=int(os.environ["PARTS_AHEAD"]),
    )


@cache
def worker() -> Worker:
    """Return the worker of this process."""
    return Worker(bucket(), imports(), wiring.ledger(), reporter(), wiring.directory().senders)


@cache
def reporter() -> Reporter:
    """Return the reporter of this process."""
    return Reporter(bucket(), imports(), limits(), queues())


@cache
def queues() -> Queues:
    """Return the queues of imports."""
    return Queues(_queue("PLAN_QUEUE"), _queue("PART_QUEUE"))


@cache
def dead_letter_queue() -> Queue:
    """Return the queue of messages that a person must look at."""
    return _queue("DEAD_LETTER_QUEUE")


def _queue(name: str) -> Queue:
    """Return a queue by the environment variable that holds its URL; empty where it is not set."""
    return Queue(_sqs(), os.environ.get(name, ""))


@cache
def _sqs() -> "SQSClient":
    return cast("SQSClient", session.boto_client("sqs"))
