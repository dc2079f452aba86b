"""`consents log reconcile` and `backfill`: what the ledger has and the log has not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table
from consents.proof.anchors import anchor_name
from consents.proof.bucket import LogBucket
from consents.proof.lag import MERGE_DELAY
from consents.proof.reconcile import Found, IsBackfilled, MustBackfill, Reconciler
from consents.proof.records import Item
from consents.proof.seal import Sealer
from consents.proof.table import LogTable, PositionTaken

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.log_anchors import log_bucket
from consents_cli.options import AsJson, Region, StackName
from consents_cli.stack import Stack, open_stack


@dataclass(frozen=True, slots=True)
class LedgerAndLog:
    """The ledger and the log of a stack."""

    stack: Stack
    bucket: LogBucket
    reconciler: Reconciler

    @classmethod
    def of(cls, stack: Stack) -> "LedgerAndLog":
        """Return those of a stack.

        Raises:
            Failed: the log has no checkpoint yet.
        """
        bucket = log_bucket(stack)
        log = bucket.snapshot()
        if log is None:
            raise Failed("the log has no checkpoint yet: wait a minute, and run the command again")
        table = LogTable(Table(Boto3Client(lambda: stack.dynamodb), stack.output("LogTable")))
        return cls(stack, bucket, Reconciler(log, table, bucket.batches, Sealer(table, bucket)))

    def items(self) -> Iterator[Item]:
        """Return all items of the ledger."""
        pages = self.stack.dynamodb.get_paginator("scan").paginate(
            TableName=self.stack.output("LedgerTable"), ConsistentRead=True
        )
        return (item for page in pages for item in page["Items"])

    def began(self, latest: datetime) -> datetime:
        """Return when the log was anchored first, at the latest a time: what is newer may wait."""
        first = min(self.bucket.anchor_sizes(), default=None)
        if first is None:
            return latest
        found = self.stack.s3().head_object(
            Bucket=self.stack.output("LogBucket"), Key=anchor_name(first)
        )
        return min(found["LastModified"], latest)


Since = Annotated[
    datetime | None,
    typer.Option(metavar="TIME", help="Log only records received since, in UTC."),
]


def reconcile(
    since: Since = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Log records of the ledger that have no leaf, list leaves without record, repair the log.

    Reads the whole ledger and the whole log. Run it after the ledger's stream was off, and where
    the log halts because LogTable was restored or a batch is lost. A repeat changes nothing.
    """
    both, now = LedgerAndLog.of(open_stack(stack, region)), datetime.now(UTC)
    start = since.replace(tzinfo=UTC) if since else None
    before = now - MERGE_DELAY
    found = _run(lambda: both.reconciler.reconcile(both.items(), both.began(before), start, before))
    made: dict[str, Any] = {
        "checked": found.checked,
        "logged": found.logged,
        "without_leaf": found.without_leaf,
        "without_item": found.without_record,
    }
    output.show(made, as_json=as_json, people=lambda: output.details(made))


def backfill(stack: StackName = None, region: Region = None, as_json: AsJson = False) -> None:
    """Log the records that are older than the log, once, as what they are.

    Reads the whole ledger and the whole log. Interrupted, it can be run again.
    """
    both, now = LedgerAndLog.of(open_stack(stack, region)), datetime.now(UTC)
    found = _run(lambda: both.reconciler.backfill(both.items(), both.began(now - MERGE_DELAY), now))
    made = {"checked": found.checked, "logged": found.logged}
    output.show(made, as_json=as_json, people=lambda: output.details(made))


def _run(compare: Callable[[], Found]) -> Found:
    try:
        return compare()
    except MustBackfill as error:
        (old,) = error.args
        raise Failed(
            f"{old} records are older than the log: run `consents log backfill` first"
        ) from None
    except IsBackfilled:
        raise Failed(
            "the log is backfilled: `consents log reconcile` logs what is missing"
        ) from None
    except PositionTaken:
        raise Failed("another process writes the same positions: run the command again") from None
