"""Files dropped into the bucket, and their messages delivered as the queues do."""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any
from urllib.parse import quote_plus

import boto3
from consents.imports.drop import Drop, parse_key
from consents.imports.rows import MAX_ROW_BYTES

from tests.integration.invocation import Invocation, event_of

DROPS_BUCKET = "drops"

RECEIVES = 5
"""After how many a queue moves a message to the queue of failed ones, as template.yaml says."""

PLENTY = 800_000
"""Milliseconds of an invocation that runs out of no time."""

TOO_LONG = b"x" * MAX_ROW_BYTES + b"\n"
"""A row that is longer than any may be: a part that needs only a few calls to import."""

type Event = dict[str, Any]


def sqs_event(*bodies: str) -> Event:
    """Return an SQS event of messages, their ids being m0, m1 and so on."""
    (record,) = event_of("plan_import.object_created")["Records"]
    return {
        "Records": [record | {"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]
    }


def created(*drops: Drop) -> str:
    """Return the message of S3 about new objects."""
    message: dict[str, Any] = json.loads(
        event_of("plan_import.object_created")["Records"][0]["body"]
    )
    (record,) = message["Records"]
    return json.dumps({"Records": [_created(record, drop) for drop in drops]})


def _created(record: Mapping[str, Any], drop: Drop) -> dict[str, Any]:
    described = record["s3"]["object"] | {
        "key": quote_plus(drop.key, safe="/"),
        "versionId": drop.version,
    }
    bucket = record["s3"]["bucket"] | {"name": drop.bucket}
    return dict(record) | {"s3": record["s3"] | {"bucket": bucket, "object": described}}


def run(function: str, event: Event, milliseconds: int = PLENTY) -> list[str]:
    """Return the ids of the messages that return to the queue."""
    response = import_module(f"functions.{function}.app").handler(event, Invocation(milliseconds))
    assert list(response) == ["batchItemFailures"]
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


class Drops:
    """Drops files, delivers what the queues hold, and reads the reports.

    Messages are delivered at once. `delays` has the seconds that those of the functions asked for,
    `groups` their message groups.
    """

    def __init__(self) -> None:
        self.s3 = boto3.client("s3")
        self.sqs = boto3.client("sqs")
        self.delays: list[int] = []
        self.groups: list[str] = []
        for queue in ("PLAN_QUEUE", "PART_QUEUE", "DEAD_LETTER_QUEUE"):
            self.sqs.purge_queue(QueueUrl=os.environ[queue])

    def deliver_at_once(self, params: dict[str, Any], **_: Any) -> None:
        """Take the delay off messages that a function sends."""
        self.groups += [entry.get("MessageGroupId", "") for entry in params["Entries"]]
        self.delays += [entry.pop("DelaySeconds", 0) for entry in params["Entries"]]

    def put(self, org_id: str, name: str, content: bytes) -> Drop:
        """Put an object; S3 sends its event at once."""
        key = f"drops/{org_id}/{name}"
        response = self.s3.put_object(Bucket=DROPS_BUCKET, Key=key, Body=content)
        drop = parse_key(DROPS_BUCKET, key, response["VersionId"])
        assert drop is not None
        self.send("PLAN_QUEUE", created(drop))
        return drop

    def send(self, queue: str, body: str) -> None:
        """Send a message."""
        self.sqs.send_message(QueueUrl=os.environ[queue], MessageBody=body)

    def receive(self, queue: str) -> Iterator[str]:
        """Take all messages off a queue."""
        url = os.environ[queue]
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                yield message["Body"]

    def parts(self) -> list[str]:
        """Take the messages of all released parts off their queue."""
        return list(self.receive("PART_QUEUE"))

    def deliver(self, queue: str, function: str, milliseconds: int = PLENTY) -> int:
        """Deliver what a queue holds, again what fails, and fail what fails too often.

        Returns:
            The number of messages.
        """
        bodies = list(self.receive(queue))
        for body in bodies:
            event = sqs_event(body)
            if all(run(function, event, milliseconds) for _ in range(RECEIVES)):
                assert run("fail_import", event) == []
        return len(bodies)

    def plan(self, milliseconds: int = PLENTY) -> None:
        """Deliver the messages of planners until the queue is empty."""
        while self.deliver("PLAN_QUEUE", "plan_import", milliseconds):
            pass

    def finish(self) -> None:
        """Deliver all messages until the queue is empty."""
        self.plan()
        while self.deliver("PART_QUEUE", "import_part"):
            self.plan()

    def import_file(self, org_id: str, name: str, content: bytes) -> Drop:
        """Drop a file, and deliver all messages."""
        drop = self.put(org_id, name, content)
        self.finish()
        return drop

    def version(self, drop: Drop) -> str:
        """Return the newest version of a drop's object."""
        return self.s3.head_object(Bucket=drop.bucket, Key=drop.key)["VersionId"]

    def report(self, drop: Drop, name: str) -> bytes:
        """Return a report of an import."""
        key = drop.report_key(name)
        return self.s3.get_object(Bucket=DROPS_BUCKET, Key=key)["Body"].read()

    def summary(self, drop: Drop) -> dict[str, Any]:
        """Return the summary of an import."""
        return dict(json.loads(self.report(drop, "summary.json")))

    def rejected(self, drop: Drop) -> list[dict[str, Any]]:
        """Return the report of rejected rows."""
        return [json.loads(line) for line in self.report(drop, "rejected.jsonl").splitlines()]

    def totals(self, drop: Drop) -> tuple[str, int, int, int]:
        """Return the state of an ended import, and how many rows have each result."""
        ended = self.summary(drop)
        assert ended["rows"] == ended["accepted"] + ended["duplicates"] + ended["rejected"]
        assert ended["rejected"] == sum(ended["rejected_by_code"].values())
        assert ended["rejected"] == len(self.rejected(drop))
        return ended["state"], ended["accepted"], ended["duplicates"], ended["rejected"]

    def reason(self, drop: Drop) -> str:
        """Return why an import failed before any row was counted."""
        assert self.totals(drop) == ("failed", 0, 0, 0)
        return str(self.summary(drop)["reason"])


def csv_of(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Return records as a CSV file; the names of nested fields are dotted."""
    table = [_flat(record) for record in records]
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, table[0])
    writer.writeheader()
    writer.writerows(table)
    return file.getvalue().encode()


def _flat(nested: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flattened: dict[str, Any] = {}
    for name, value in nested.items():
        inner = isinstance(value, dict)
        flattened |= _flat(value, f"{path}{name}.") if inner else {f"{path}{name}": value}
    return flattened
