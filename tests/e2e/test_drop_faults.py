"""Files under faults on the deployed stack: bad content, lost objects, repeated messages."""

import gzip
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from consents.imports.drop import Drop
from consents.imports.import_state import Import
from consents.imports.rows import MAX_ROW_BYTES
from consents_cli.stack import Stack

from tests.e2e.files import (
    ATTESTED,
    BULK,
    Put,
    Queues,
    Summary,
    as_csv,
    attested_row,
    bulk_row,
    dropped_as,
    jsonl,
    report,
    state,
    totals,
)
from tests.e2e.local_stack import CONSENTS, LocalStack, eventually

TOO_LONG = b"x" * MAX_ROW_BYTES + b"\n"

# Content


COLUMNS = "row 1, the header, must name one of correlation_id, sender_id, contact_id, status, "
UNREADABLE = {
    "empty": ("1.csv", b"", COLUMNS),
    "other columns": ("2.csv", b"name,mail\r\nA,a@example.com\r\n", COLUMNS),
    "latin-1 header": ("3.csv", b"status,Stra\xdfe\r\n", "the header must be UTF-8"),
    "utf-16": ("4.jsonl", jsonl({}).decode().encode("utf-16"), "must be UTF-8, and none of "),
    "truncated": ("5.jsonl.gz", gzip.compress(jsonl({}))[:-1], "must be gzip, and complete: "),
    "bomb without rows": (
        "6.csv.gz",
        gzip.compress(bytes(2**27)),
        "the header must end in LF or CRLF, ",
    ),
}


@pytest.mark.parametrize(("name", "content", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_file_fails_with_a_reason(
    put: Put, summary: Summary, name: str, content: bytes, reason: str
) -> None:
    shown = summary(put(f"{BULK}/unreadable {name}", content))
    assert totals(shown) == ("failed", 0, 0, 0)
    assert shown["reason"].startswith(reason)


def test_file_without_rows_is_imported(put: Put, summary: Summary) -> None:
    for name, content in [("empty.jsonl", b""), ("header.csv", b"status,contact_id\r\n")]:
        assert totals(summary(put(f"{BULK}/{name}", content))) == ("completed", 0, 0, 0)


def test_rows_of_the_other_api_are_rejected(stack: LocalStack, put: Put, summary: Summary) -> None:
    attested = attested_row(stack, "+15555559001")
    assert totals(summary(put(f"{BULK}/other.jsonl", jsonl(attested)))) == ("completed", 0, 0, 1)
    bulk = jsonl(bulk_row(1, "+15555559001"))
    assert totals(summary(put(f"{ATTESTED}/other.jsonl", bulk))) == ("completed", 0, 0, 1)


def test_thousand_identical_rows_are_one_record(put: Put, summary: Summary) -> None:
    content = as_csv([bulk_row(1, "+15555559002")] * 1000)
    assert totals(summary(put(f"{BULK}/same.csv", content))) == ("completed", 1, 999, 0)


def test_unreadable_row_does_not_affect_the_others(
    stack: LocalStack, put: Put, summary: Summary
) -> None:
    good = [jsonl(bulk_row(number, f"+155555592{number:02}")) for number in range(3)]
    content = b"".join([good[0], b'{"a": "\xff"}\n', TOO_LONG * 3, good[1], b"[1,\n", good[2]])
    dropped = put(f"{BULK}/some.jsonl", content)
    assert totals(summary(dropped)) == ("completed", 3, 0, 5)
    lines = report(stack, dropped, "rejected.jsonl").splitlines()
    assert [json.loads(line)["row"] for line in lines] == [2, 3, 4, 5, 7]


# Interrupted commands


def test_import_continues_after_its_command_is_interrupted(
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
        _, printed = command.communicate(timeout=60)
    assert (command.returncode, printed.count("\n")) == (130, 1)
    assert f"`consents import show {dropped.import_id}`" in printed
    assert totals(summary(dropped)) == ("completed", 1, 0, 0)


@contextmanager
def dropping(stack: LocalStack, file: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the command that drops a file, until the test has ended."""
    org_id = stack.organization["org_id"]
    process = subprocess.Popen(
        [CONSENTS, "drop", str(file), "--org", org_id, "--wire", BULK],
        env=os.environ | {"CONSENTS_LOCAL_DIR": str(stack.folder)},
        stderr=subprocess.PIPE,
        text=True,
        # A runner in the background ignores Ctrl-C, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


# Changed objects


def test_object_deleted_before_it_is_read_fails(
    deployed: Stack, queues: Queues, put: Put, summary: Summary
) -> None:
    with queues.held("PlanQueue"):
        dropped = put(f"{BULK}/deleted.jsonl", jsonl({}))
        deployed.s3().delete_object(
            Bucket=dropped.bucket, Key=dropped.key, VersionId=dropped.version
        )
    shown = summary(dropped)
    assert (totals(shown), shown["reason"]) == (("failed", 0, 0, 0), "the object is gone")


def test_object_overwritten_during_its_import_is_two_imports(
    queues: Queues, put: Put, summary: Summary
) -> None:
    name, rows = f"{BULK}/twice.jsonl", [bulk_row(n, f"+155555594{n:02}") for n in range(5)]
    with queues.held("PartQueue"):
        first, second = put(name, jsonl(*rows[:2])), put(name, jsonl(*rows[1:], 7))
    assert totals(summary(first))[0] == totals(summary(second))[0] == "completed"
    counts = [totals(summary(dropped)) for dropped in (first, second)]
    # The row that both files have counts for the import that stored it first.
    assert counts in (
        [("completed", 2, 0, 0), ("completed", 3, 1, 1)],
        [("completed", 1, 1, 0), ("completed", 4, 0, 1)],
    )


# Messages


def parts_of(queues: Queues, count: int) -> list[str]:
    """Take the parts of a file off their queue, which is held."""
    bodies: list[str] = []

    def are_all() -> bool:
        bodies.extend(queues.receive("PartQueue"))
        return len(bodies) == count

    assert eventually(are_all)
    return sorted(bodies, key=lambda body: json.loads(body)["place"]["part"])


def parts_done(deployed: Stack, dropped: Drop) -> int:
    """Return how many parts of an import are done."""
    found = deployed.imports.find_any(dropped.import_id)
    return found.parts_done if isinstance(found, Import) else 0


def test_parts_delivered_five_times_are_counted_once(
    queues: Queues, put: Put, summary: Summary
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


def test_lost_part_fails_its_import_and_keeps_its_message(
    deployed: Stack, queues: Queues, put: Put, summary: Summary
) -> None:
    rows = [bulk_row(n, f"+155555595{n:02}") for n in range(4)]
    content = jsonl(*rows[:3], 7) + TOO_LONG + jsonl(rows[3])
    with queues.held("PartQueue"):
        dropped = put(f"{BULK}/poisoned.jsonl.gz", gzip.compress(content))
        parts = parts_of(queues, 3)
        deployed.s3().delete_object(Bucket=dropped.bucket, Key=dropped.part_key(3))
    for body in parts[:2]:
        queues.sqs.send_message(QueueUrl=queues.url("PartQueue"), MessageBody=body)
    assert eventually(lambda: parts_done(deployed, dropped) == 2)
    # Only for the lost part, which fails at once: a slow worker would receive another one again.
    with queues.changed("PartQueue", VisibilityTimeout="1"):
        queues.sqs.send_message(QueueUrl=queues.url("PartQueue"), MessageBody=parts[2])
        shown = summary(dropped)
    assert totals(shown) == ("failed", 3, 0, 2)
    assert shown["reason"] == "part 3 could not be stored"
    kept: list[str] = []

    def is_kept() -> bool:
        kept.extend(queues.receive("DeadLetterQueue"))
        return parts[2] in kept

    assert eventually(is_kept)
