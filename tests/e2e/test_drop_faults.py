"""Dropped files under faults, on the deployed stack: bad files, killed processes, lost objects."""

import gzip
import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from consents.domain.drop import Drop, Import
from consents.wires.rows import MAX_ROW_BYTES
from consents_cli.stack import Stack, connect_local

from tests.e2e.conftest import CONSENTS, LocalStack, eventually
from tests.e2e.test_drops import (
    ATTESTED,
    BULK,
    Row,
    as_csv,
    attested_row,
    bulk_row,
    dropped_as,
    post,
    report,
    state,
)

MANY = 100_000
PLANNER, WORKER = "PlanImportFunction", "ImportPartFunction"
TOO_LONG = b"x" * MAX_ROW_BYTES + b"\n"

FAULTS: Sequence[tuple[Mapping[str, str], str]] = [
    ({"contact_id": "+19"}, "INVALID_CONTACT_ID"),
    ({"status": "maybe"}, "INVALID_STATUS"),
    ({"date_of_consent": "2026-04-26", "source": ""}, "INVALID_SOURCE; INVALID_DATE_OF_CONSENT"),
]


@pytest.fixture
def deployed(stack: LocalStack) -> Stack:
    return connect_local(stack.state["aws_endpoint_url"])


def client(stack: LocalStack, service: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=stack.state["aws_endpoint_url"],
        region_name=stack.state["region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


class Queues:
    """The deployed queues, by their names in the template."""

    def __init__(self, stack: LocalStack) -> None:
        self.sqs = client(stack, "sqs")
        self.mappings = client(stack, "lambda")
        self.urls: list[str] = self.sqs.list_queues()["QueueUrls"]

    def url(self, name: str) -> str:
        (url,) = [url for url in self.urls if f"-{name}-" in url]
        return url

    def receive(self, name: str) -> list[str]:
        """Take some of what a queue holds."""
        url = self.url(name)
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in found]

    def attributes(self, name: str, *wanted: str) -> dict[str, str]:
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url(name), AttributeNames=wanted)
        return dict(answer["Attributes"])

    @contextmanager
    def changed(self, name: str, **attributes: str) -> Iterator[None]:
        before = self.attributes(name, "VisibilityTimeout", "RedrivePolicy")
        url = self.url(name)
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
        try:
            yield
        finally:
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes=before)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Let a queue's function have no message of it for a while."""
        arn = self.attributes(name, "QueueArn")["QueueArn"]
        found = self.mappings.list_event_source_mappings(EventSourceArn=arn)
        (mapping,) = found["EventSourceMappings"]
        self.mappings.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            self.mappings.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


@pytest.fixture
def queues(stack: LocalStack) -> Queues:
    return Queues(stack)


type Drops = Callable[[str, bytes], Drop]
type Summary = Callable[..., dict[str, Any]]


@pytest.fixture
def put(stack: LocalStack, deployed: Stack) -> Drops:
    """Drop a file of the demo organization by S3 alone."""

    def put(name: str, content: bytes) -> Drop:
        key = f"drops/{stack.organization['org_id']}/{name}"
        deployed.s3().put_object(Bucket=stack.state["drops_bucket"], Key=key, Body=content)
        return dropped_as(stack, key)

    return put


@pytest.fixture
def summary(deployed: Stack) -> Summary:
    """Return the summary of an import once it is there."""
    s3: Any = deployed.s3()

    def summary(dropped: Drop, on_the_way: Callable[[], None] = lambda: None) -> dict[str, Any]:
        found = {"Bucket": dropped.bucket, "Key": dropped.report_key("summary.json")}

        def is_there() -> bool:
            on_the_way()
            try:
                s3.head_object(**found)
            except s3.exceptions.ClientError:
                return False
            return True

        assert eventually(is_there, seconds=400)
        return dict(json.loads(s3.get_object(**found)["Body"].read()))

    return summary


def totals(told: Mapping[str, Any]) -> tuple[str, int, int, int]:
    return told["state"], told["accepted"], told["duplicates"], told["rejected"]


def jsonl(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


# Files


COLUMNS = "row 1, the header, must name one of correlation_id, sender_id, contact_id, status, "
UNREADABLE = {
    "empty": ("1.csv", b"", COLUMNS),
    "other columns": ("2.csv", b"name,mail\r\nA,a@example.com\r\n", COLUMNS),
    "latin-1 header": ("3.csv", b"status,Stra\xdfe\r\n", "the header must be UTF-8"),
    "utf-16": ("4.jsonl", jsonl({}).decode().encode("utf-16"), "must be UTF-8, and none of "),
    "truncated": ("5.jsonl.gz", gzip.compress(jsonl({}))[:-1], "must be gzip, and whole: "),
    "bomb without rows": (
        "6.csv.gz",
        gzip.compress(bytes(2**27)),
        "the header must end in LF or CRLF, ",
    ),
}


@pytest.mark.parametrize(("name", "content", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_file_that_cannot_be_read_fails_and_says_why(
    put: Drops, summary: Summary, name: str, content: bytes, reason: str
) -> None:
    told = summary(put(f"{BULK}/unreadable {name}", content))
    assert totals(told) == ("failed", 0, 0, 0)
    assert told["reason"].startswith(reason)


def test_file_without_rows_is_imported(put: Drops, summary: Summary) -> None:
    for name, content in [("empty.jsonl", b""), ("header.csv", b"status,contact_id\r\n")]:
        assert totals(summary(put(f"{BULK}/{name}", content))) == ("completed", 0, 0, 0)


def test_rows_of_the_other_wire_are_refused(
    stack: LocalStack, put: Drops, summary: Summary
) -> None:
    attested = attested_row(stack, "+15555559001")
    assert totals(summary(put(f"{BULK}/other.jsonl", jsonl(attested)))) == ("completed", 0, 0, 1)
    bulk = jsonl(bulk_row(1, "+15555559001"))
    assert totals(summary(put(f"{ATTESTED}/other.jsonl", bulk))) == ("completed", 0, 0, 1)


def test_thousand_identical_rows_are_one_record(put: Drops, summary: Summary) -> None:
    content = as_csv([bulk_row(1, "+15555559002")] * 1000)
    assert totals(summary(put(f"{BULK}/same.csv", content))) == ("completed", 1, 999, 0)


def test_row_that_nobody_can_read_leaves_the_others_alone(
    stack: LocalStack, put: Drops, summary: Summary
) -> None:
    good = [jsonl(bulk_row(number, f"+155555592{number:02}")) for number in range(3)]
    content = b"".join([good[0], b'{"a": "\xff"}\n', TOO_LONG * 3, good[1], b"[1,\n", good[2]])
    dropped = put(f"{BULK}/some.jsonl", content)
    assert totals(summary(dropped)) == ("completed", 3, 0, 5)
    lines = report(stack, dropped, "rejected.jsonl").splitlines()
    assert [json.loads(line)["row"] for line in lines] == [2, 3, 4, 5, 7]


# Commands that are interrupted


def test_interrupted_command_leaves_the_import_to_go_on(
    stack: LocalStack, deployed: Stack, queues: Queues, summary: Summary, tmp_path: Path
) -> None:
    file = tmp_path / "interrupted.jsonl"
    file.write_bytes(jsonl(bulk_row(1, "+15555559301")))
    key = f"drops/{stack.organization['org_id']}/{BULK}/{file.name}"
    found = {"Bucket": stack.state["drops_bucket"], "Prefix": key}
    with queues.held("PartQueue"), dropping(stack, file) as command:
        assert eventually(lambda: "Contents" in deployed.s3().list_objects_v2(**found))
        dropped = dropped_as(stack, key)
        assert eventually(lambda: state(deployed, dropped.import_id) == "importing")
        command.send_signal(signal.SIGINT)
        _, told = command.communicate(timeout=60)
    assert (command.returncode, told.count("\n")) == (130, 1)
    assert f"the import goes on: `consents import show {dropped.import_id}`" in told
    assert totals(summary(dropped)) == ("completed", 1, 0, 0)


@contextmanager
def dropping(stack: LocalStack, file: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the command that drops a file, and stop it at the latest when the test is over."""
    org_id = stack.organization["org_id"]
    process = subprocess.Popen(
        [CONSENTS, "drop", str(file), "--org", org_id, "--wire", BULK],
        env=os.environ | {"CONSENTS_LOCAL_DIR": str(stack.folder)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


# Objects that change meanwhile


def test_object_deleted_before_it_is_read_fails(
    deployed: Stack, queues: Queues, put: Drops, summary: Summary
) -> None:
    with queues.held("PlanQueue"):
        dropped = put(f"{BULK}/deleted.jsonl", jsonl({}))
        deployed.s3().delete_object(
            Bucket=dropped.bucket, Key=dropped.key, VersionId=dropped.version
        )
    told = summary(dropped)
    assert (totals(told), told["reason"]) == (("failed", 0, 0, 0), "the object is gone")


def test_object_overwritten_while_it_is_imported_is_two_imports(
    queues: Queues, put: Drops, summary: Summary
) -> None:
    name, rows = f"{BULK}/twice.jsonl", [bulk_row(n, f"+155555594{n:02}") for n in range(5)]
    with queues.held("PartQueue"):
        first, second = put(name, jsonl(*rows[:2])), put(name, jsonl(*rows[1:], 7))
    assert totals(summary(first))[0] == totals(summary(second))[0] == "completed"
    told = [totals(summary(dropped)) for dropped in (first, second)]
    # The row that both have belongs to whichever was first to store it.
    assert told in (
        [("completed", 2, 0, 0), ("completed", 3, 1, 1)],
        [("completed", 1, 1, 0), ("completed", 4, 0, 1)],
    )


# Messages


def parts_of(queues: Queues, count: int) -> list[str]:
    """Take the parts of a file off their queue, which is held meanwhile."""
    bodies: list[str] = []

    def are_all() -> bool:
        bodies.extend(queues.receive("PartQueue"))
        return len(bodies) == count

    assert eventually(are_all)
    return sorted(bodies, key=lambda body: json.loads(body)["place"]["part"])


def test_parts_delivered_five_times_at_once_are_counted_once(
    queues: Queues, put: Drops, summary: Summary
) -> None:
    rows = [bulk_row(n, f"+1555556{n:04}") for n in range(1200)]
    with queues.held("PartQueue"):
        dropped = put(f"{BULK}/five.csv", as_csv([*rows, bulk_row(0, "+19"), *rows[:100]]))
        parts = parts_of(queues, 2)
        for body in [*parts * 3, *parts[::-1] * 2]:
            queues.sqs.send_message(QueueUrl=queues.url("PartQueue"), MessageBody=body)
    assert totals(summary(dropped)) == ("completed", 1200, 100, 1)
    assert eventually(lambda: is_empty(queues, "PartQueue"))
    assert totals(summary(dropped)) == ("completed", 1200, 100, 1)


def is_empty(queues: Queues, name: str) -> bool:
    counts = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
    return set(queues.attributes(name, *counts).values()) == {"0"}


def test_part_that_cannot_be_stored_fails_its_import_and_its_message_is_kept(
    deployed: Stack, queues: Queues, put: Drops, summary: Summary
) -> None:
    rows = [bulk_row(n, f"+155555595{n:02}") for n in range(4)]
    content = jsonl(*rows[:3], 7) + TOO_LONG + jsonl(rows[3])
    with queues.changed("PartQueue", VisibilityTimeout="5"):
        with queues.held("PartQueue"):
            dropped = put(f"{BULK}/poisoned.jsonl.gz", gzip.compress(content))
            parts = parts_of(queues, 3)
            deployed.s3().delete_object(Bucket=dropped.bucket, Key=dropped.part_key(3))
            for body in parts:
                queues.sqs.send_message(QueueUrl=queues.url("PartQueue"), MessageBody=body)
        told = summary(dropped)
    assert totals(told) == ("failed", 3, 0, 2)
    assert told["reason"] == "part 3 could not be stored"
    kept: list[str] = []

    def is_kept() -> bool:
        kept.extend(queues.receive("DeadLetterQueue"))
        return parts[2] in kept

    assert eventually(is_kept)


# Killed processes


class Killer:
    """Kills processes of the deployed functions, each time an import has come so far.

    Bound to progress and not to time, it strikes as often on a slow machine as on a fast one.
    """

    def __init__(self, stack: LocalStack, chance: random.Random) -> None:
        self._leader = (stack.folder / "engine.lock").read_text().strip()
        self._chance = chance
        self._due = {
            PLANNER: sorted(chance.sample(range(10, 60), 3)),
            WORKER: sorted(chance.sample(range(2, 95), 7)),
        }

    def strike(self, reached: Import) -> None:
        if reached.parts is None:
            self._at(PLANNER, reached.place.part)
        self._at(WORKER, reached.parts_done)

    def _at(self, function: str, part: int) -> None:
        due, running = self._due[function], self._running(function)
        if due and part > due[0] and running:
            del due[0]
            for process in self._chance.sample(running, self._chance.randint(1, len(running))):
                os.kill(process, signal.SIGKILL)

    def _running(self, function: str) -> list[int]:
        """Return the processes of a function, which the engine starts with its name."""
        search = ["pgrep", "-g", self._leader, "-f", function]
        return [int(found) for found in subprocess.run(search, capture_output=True).stdout.split()]


def many_rows() -> tuple[list[Row], dict[int, str]]:
    """Return the rows of a long CSV, and for one in a hundred the reason why it is refused."""
    reasons = {}
    rows = [bulk_row(n, f"+1556{4_000_000 + n}", note="") for n in range(MANY)]
    for index in random.Random(7).sample(range(MANY), MANY // 100):
        fault, reason = FAULTS[index % len(FAULTS)]
        rows[index] |= fault
        reasons[index + 2] = reason
    return rows, reasons


def stored_rows(stack: Stack, dropped: Drop) -> list[tuple[int, str]]:
    """Return the row and the contact of each record that came of a file."""
    pages = stack.dynamodb.get_paginator("scan").paginate(
        TableName=stack.output("LedgerTable"),
        FilterExpression="begins_with(request_id, :import_id)",
        ExpressionAttributeValues={":import_id": {"S": dropped.import_id}},
    )
    found = [item for page in pages for item in page["Items"]]
    return sorted(
        (int(item["request_id"]["S"].split("/")[1]), item["pk"]["S"].split("#")[1])
        for item in found
    )


def test_killed_planners_and_workers_change_nothing_and_every_call_is_answered(
    stack: LocalStack, deployed: Stack, queues: Queues, put: Drops, summary: Summary
) -> None:
    rows, reasons = many_rows()
    killer = Killer(stack, random.Random(11))
    # As deployed, a message comes again after more time than a function may run, and five times.
    often = json.dumps(patient(queues))
    with ExitStack() as meanwhile:
        for name, seconds in (("PlanQueue", "15"), ("PartQueue", "30")):
            changes = {"VisibilityTimeout": seconds, "RedrivePolicy": often}
            meanwhile.enter_context(queues.changed(name, **changes))
        caller = meanwhile.enter_context(ThreadPoolExecutor(1))
        dropped = put(f"{BULK}/many.csv.gz", gzip.compress(as_csv(rows), 1))
        calls = [caller.submit(post, stack)]

        def strike_and_call() -> None:
            if calls[-1].done():
                calls.append(caller.submit(post, stack))
            reached = deployed.progress.find(dropped.import_id)
            if isinstance(reached, Import):
                killer.strike(reached)

        told = summary(dropped, strike_and_call)

    assert totals(told) == ("completed", MANY - len(reasons), 0, len(reasons))
    lines = map(json.loads, report(stack, dropped, "rejected.jsonl").splitlines())
    assert [(line["row"], line["reason"]) for line in lines] == sorted(reasons.items())
    assert stored_rows(deployed, dropped) == [
        (number, row["contact_id"]) for number, row in enumerate(rows, 2) if number not in reasons
    ]
    assert {call.result() for call in calls} == {200}
    assert broken_off(stack) == {PLANNER, WORKER}


def patient(queues: Queues) -> dict[str, Any]:
    """Return a redrive policy of a queue that does not give up."""
    policy = json.loads(queues.attributes("PartQueue", "RedrivePolicy")["RedrivePolicy"])
    return dict(policy | {"maxReceiveCount": 1000})


def broken_off(stack: LocalStack) -> set[str]:
    """Return the functions of which the engine lost a process in the midst of a message."""
    log = (stack.folder / "ministack.log").read_text()
    lost = re.findall(r"Lambda \S+?-(\w+)-\w+ failed .*Worker process died", log)
    return set(lost)
