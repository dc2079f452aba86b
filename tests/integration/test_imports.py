"""File drops against a real engine: messages delivered as the queues would, faults and all."""

import csv
import gzip
import io
import json
import os
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import import_module
from itertools import batched
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus
from uuid import uuid4

import boto3
import pytest
from consents import imports
from consents.aws import import_wiring, wiring
from consents.aws.files import PIECE, gunzipped
from consents.aws.progress import Progress
from consents.domain.drop import Counts, Drop, drop_of
from consents.domain.errors import Unavailable
from consents.domain.record import Receipt, Wire
from consents.wires.imports import describe
from consents.wires.rows import MAX_ROW_BYTES, UnreadableFile

from tests.integration.conftest import (
    DROPS_BUCKET,
    ROOT,
    BreakCall,
    Invocation,
    NewTenant,
    Tenant,
)
from tests.integration.test_ledger import items
from tests.unit.examples import BAD_ITEM, CHECKBOX, ITEM, NOW, bulk_record, with_field

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Event = dict[str, Any]

RECEIVES = 5
"""After how many a queue gives up, as template.yaml says."""

PLENTY = 800_000
TOO_LONG = b"x" * MAX_ROW_BYTES + b"\n"


def event_of(name: str) -> Event:
    return dict(json.loads((ROOT / "events" / f"{name}.json").read_text()))


def sqs_event(*bodies: str) -> Event:
    """Return an SQS event of messages, their ids being m0, m1 and so on."""
    (record,) = event_of("plan_import.object_created")["Records"]
    return {
        "Records": [record | {"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]
    }


def created(drop: Drop) -> str:
    """Return what S3 says of a new object."""
    told: dict[str, Any] = json.loads(event_of("plan_import.object_created")["Records"][0]["body"])
    thing = told["Records"][0]["s3"]
    thing["bucket"]["name"] = drop.bucket
    thing["object"] |= {"key": quote_plus(drop.key, safe="/"), "versionId": drop.version}
    return json.dumps(told)


def run(function: str, event: Event, milliseconds: int = PLENTY) -> list[str]:
    """Return the ids of the messages that are to come again."""
    answer = import_module(f"functions.{function}.app").handler(event, Invocation(milliseconds))
    assert list(answer) == ["batchItemFailures"]
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


class Drops:
    """Drops files, delivers what the queues hold, and reads the reports."""

    def __init__(self) -> None:
        self.s3 = boto3.client("s3")
        self.sqs = boto3.client("sqs")
        self.sent: list[str] = []
        for queue in ("PLAN_QUEUE", "PART_QUEUE", "DEAD_LETTER_QUEUE"):
            self.sqs.purge_queue(QueueUrl=os.environ[queue])

    def put(self, org_id: str, name: str, content: bytes) -> Drop:
        """Put an object; S3 tells of it at once."""
        key = f"drops/{org_id}/{name}"
        answer = self.s3.put_object(Bucket=DROPS_BUCKET, Key=key, Body=content)
        drop = drop_of(DROPS_BUCKET, key, answer["VersionId"])
        assert drop is not None
        self.tell("PLAN_QUEUE", created(drop))
        return drop

    def tell(self, queue: str, body: str) -> None:
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

    def deliver(self, queue: str, function: str, milliseconds: int = PLENTY) -> int:
        """Deliver what a queue holds, again what fails, and give up as queues do.

        Returns:
            How many messages came.
        """
        bodies = list(self.receive(queue))
        for body in bodies:
            event = sqs_event(body)
            if all(run(function, event, milliseconds) for _ in range(RECEIVES)):
                assert run("fail_import", event) == []
        return len(bodies)

    def plan(self, milliseconds: int = PLENTY) -> None:
        while self.deliver("PLAN_QUEUE", "plan_import", milliseconds):
            pass

    def finish(self) -> None:
        """Deliver all messages until there are none."""
        self.plan()
        while self.deliver("PART_QUEUE", "import_part"):
            pass

    def import_file(self, org_id: str, name: str, content: bytes) -> Drop:
        drop = self.put(org_id, name, content)
        self.finish()
        return drop

    def version(self, drop: Drop) -> str:
        """Return the newest version of a drop's object."""
        return self.s3.head_object(Bucket=drop.bucket, Key=drop.key)["VersionId"]

    def report(self, drop: Drop, name: str) -> bytes:
        key = drop.report_key(name)
        return self.s3.get_object(Bucket=DROPS_BUCKET, Key=key)["Body"].read()

    def summary(self, drop: Drop) -> dict[str, Any]:
        return dict(json.loads(self.report(drop, "summary.json")))

    def rejected(self, drop: Drop) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.report(drop, "rejected.jsonl").splitlines()]

    def totals(self, drop: Drop) -> tuple[str, int, int, int]:
        told = self.summary(drop)
        assert told["rows"] == told["accepted"] + told["duplicates"] + told["rejected"]
        assert told["rejected"] == sum(told["rejected_by_code"].values())
        assert told["rejected"] == len(self.rejected(drop))
        return told["state"], told["accepted"], told["duplicates"], told["rejected"]

    def reason(self, drop: Drop) -> str:
        assert self.totals(drop) == ("failed", 0, 0, 0)
        return str(self.summary(drop)["reason"])


@pytest.fixture
def drops(engine: None) -> Drops:  # noqa: ARG001 - it has to run
    return Drops()


def contact(number: int) -> str:
    return f"+1555444{number:04}"


def item(number: int) -> dict[str, Any]:
    return ITEM | {"contact_id": contact(number), "correlation_id": f"{number:032x}"}


def record(tenant: Tenant, number: int) -> dict[str, Any]:
    return with_field(CHECKBOX, "contact_number", contact(number)) | {
        "phone_number_id": tenant.phone_number_id
    }


def flat(nested: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flattened: dict[str, Any] = {}
    for name, value in nested.items():
        inner = isinstance(value, dict)
        flattened |= flat(value, f"{path}{name}.") if inner else {f"{path}{name}": value}
    return flattened


def csv_of(records: Sequence[Mapping[str, Any]]) -> bytes:
    table = [flat(sent) for sent in records]
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, table[0])
    writer.writeheader()
    writer.writerows(table)
    return file.getvalue().encode()


def jsonl_of(records: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(sent).encode() + b"\n" for sent in records)


def members(content: bytes) -> bytes:
    """Compress in two members, as some programs do that append."""
    half = len(content) // 2
    return gzip.compress(content[:half]) + gzip.compress(content[half:])


def same(content: bytes) -> bytes:
    return content


type Form = tuple[str, Callable[[Sequence[Any]], bytes], Callable[[bytes], bytes], int]

FORMS: list[Form] = [
    ("jsonl", jsonl_of, same, 1),
    ("csv", csv_of, same, 2),
    ("jsonl.gz", jsonl_of, gzip.compress, 1),
    ("csv.gz", csv_of, members, 2),
    ("CSV.GZ", csv_of, gzip.compress, 2),
]


@pytest.mark.parametrize("form", FORMS, ids=[form[0] for form in FORMS])
@pytest.mark.parametrize("wire", list(Wire))
def test_each_row_is_stored_found_to_be_there_or_reported_by_its_number(
    drops: Drops, dynamodb: "DynamoDBClient", tenant: Tenant, wire: Wire, form: Form
) -> None:
    ending, write, compress, first = form
    if wire is Wire.ATTESTED:
        bad = record(tenant, 9) | {"contact_number": "+19"}
        other = record(tenant, 9) | {"phone_number_id": str(uuid4())}
        rows = [record(tenant, 1), bad, record(tenant, 2), record(tenant, 1), other]
        reported = [
            {"code": "VALIDATION_FAILED", "reason": "contact_number: must be E.164"},
            {"code": "NOT_FOUND", "reason": "phone_number_id: not found"},
        ]
    else:
        rows = [item(1), BAD_ITEM, item(2), item(1), item(9) | {"status": "yes"}]
        reported = [
            {"code": "30646", "reason": "INVALID_CONTACT_ID; INVALID_DATE_OF_CONSENT"},
            {"code": "30646", "reason": "INVALID_STATUS"},
        ]
        reported[0]["correlation_id"] = BAD_ITEM["correlation_id"]
        reported[1]["correlation_id"] = item(9)["correlation_id"]

    drop = drops.import_file(
        tenant.org_id, f"{wire}/\u00fcber 1+1 = \U0001f600 & co.{ending}", compress(write(rows))
    )

    assert drops.totals(drop) == ("completed", 2, 1, 2)
    numbers = (first + 1, first + 4)
    assert drops.rejected(drop) == [
        {"row": number} | told for number, told in zip(numbers, reported, strict=True)
    ]
    stored = [found for found in items(dynamodb, tenant.org_id) if "request_id" in found]
    assert sorted(found["request_id"]["S"] for found in stored) == [
        f"{drop.import_id}/{first}",
        f"{drop.import_id}/{first + 2}",
    ]


def test_a_summary_says_what_was_imported_when_and_how_it_ended(
    drops: Drops, tenant: Tenant
) -> None:
    drop = drops.import_file(tenant.org_id, "bulk-consents/may.jsonl", jsonl_of([item(1), 7]))

    told = drops.summary(drop)
    assert told.pop("started_at") <= told.pop("finished_at")
    assert told == {
        "import_id": drop.import_id,
        "state": "completed",
        "rows": 2,
        "accepted": 1,
        "duplicates": 0,
        "rejected": 1,
        "rejected_by_code": {"30646": 1},
        "source": {"bucket": DROPS_BUCKET, "key": drop.key, "version": drop.version},
    }


def test_a_record_that_was_there_before_is_a_duplicate(drops: Drops, tenant: Tenant) -> None:
    receipt = Receipt(NOW, "01JTBQH2FZ8K1RXC0WJ4Z9P3VM")
    wiring.ledger().append(tenant.org_id, [bulk_record(item(1))], receipt, lambda: 60.0)

    drop = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of([item(1), item(2)]))
    assert drops.totals(drop) == ("completed", 1, 1, 0)


def test_the_same_file_dropped_again_is_another_import_of_duplicates(
    drops: Drops, tenant: Tenant
) -> None:
    content = jsonl_of([item(1), item(2)])
    first = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl", content)
    second = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl", content)

    assert drops.totals(first) == ("completed", 2, 0, 0)
    assert drops.totals(second) == ("completed", 0, 2, 0)


def test_a_thousand_identical_rows_are_one_record(drops: Drops, tenant: Tenant) -> None:
    drop = drops.import_file(tenant.org_id, "attested/a.csv", csv_of([record(tenant, 1)] * 1000))

    assert drops.totals(drop) == ("completed", 1, 999, 0)


@pytest.mark.parametrize("name", ["bulk-consents/a.jsonl", "attested/a.jsonl"])
def test_an_empty_file_of_json_lines_has_no_rows(drops: Drops, tenant: Tenant, name: str) -> None:
    assert drops.totals(drops.import_file(tenant.org_id, name, b"")) == ("completed", 0, 0, 0)


def test_a_header_alone_has_no_rows(drops: Drops, tenant: Tenant) -> None:
    header = csv_of([item(1)]).splitlines()[0]
    drop = drops.import_file(tenant.org_id, "bulk-consents/a.csv", header)

    assert drops.totals(drop) == ("completed", 0, 0, 0)


UNREADABLE = {
    "empty csv": ("attested/a.csv", b"", "row 1, the header, must name one of phone_number_id, "),
    "blank header": (
        "attested/a.csv",
        b"\n\n",
        "row 1, the header, must name one of phone_number_id, ",
    ),
    "unknown columns": (
        "bulk-consents/a.csv",
        b"a,b\n1,2\n",
        "row 1, the header, must name one of ",
    ),
    "utf-16": ("attested/a.jsonl", '{"a": 1}\n'.encode("utf-16"), "must be UTF-8, and none of "),
    "a spreadsheet": ("attested/a.jsonl.gz", gzip.compress(b"PK\3\4\0\0"), "must be UTF-8"),
    "not utf-8": ("attested/a.csv", b"\xff\xfeopted_in\n", "the header must be UTF-8"),
    "twice": ("attested/a.csv", b"opted_in,opted_in\n", "the header must name opted_in once"),
    "wide header": (
        "attested/a.csv",
        b"opted_in," + b"note," * 100_000 + b"\n",
        "the header must have at most 1000 columns",
    ),
    "long header": (
        "attested/a.csv",
        TOO_LONG,
        "the header must end in LF or CRLF, all quotes closed, within",
    ),
    "not gzip": ("attested/a.csv.gz", csv_of([ITEM]), "must be gzip"),
    "empty gzip": ("attested/a.csv.gz", b"", "must be gzip, and whole: its end is missing"),
    "no rows in gzip": (
        "attested/a.csv.gz",
        gzip.compress(b""),
        "row 1, the header, must name one of ",
    ),
    "truncated gzip": (
        "bulk-consents/a.jsonl.gz",
        gzip.compress(b"")[:-1],
        "must be gzip, and whole: its end is missing",
    ),
}


@pytest.mark.parametrize(("name", "content", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read_at_all_fails_and_says_why(
    drops: Drops, tenant: Tenant, name: str, content: bytes, reason: str
) -> None:
    assert drops.reason(drops.import_file(tenant.org_id, name, content)).startswith(reason)


def test_a_file_for_nobody_fails(drops: Drops, org_id: str) -> None:
    drop = drops.import_file(org_id, "attested/a.jsonl", b"{}\n")

    assert drops.reason(drop) == "there is no such organization"


def test_a_file_for_an_organization_whose_plan_has_no_capture_fails(
    drops: Drops, new_tenant: NewTenant
) -> None:
    drop = drops.import_file(new_tenant(plan="starter").org_id, "attested/a.jsonl", b"{}\n")

    assert drops.reason(drop) == "the plan does not include consent capture"


def test_a_version_that_is_deleted_before_it_is_read_fails(drops: Drops, tenant: Tenant) -> None:
    drop = drops.put(tenant.org_id, "attested/a.jsonl", b"{}\n")
    drops.s3.delete_object(Bucket=DROPS_BUCKET, Key=drop.key, VersionId=drop.version)
    drops.finish()

    assert drops.reason(drop) == "the object is gone"


def test_a_version_that_is_deleted_while_it_is_imported_fails_with_what_was_counted(
    drops: Drops, tenant: Tenant
) -> None:
    content = jsonl_of([item(1), 7]) + TOO_LONG + jsonl_of([item(2)])
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", content)
    drops.plan()
    first, second, third = parts_of(drops)
    assert run("import_part", sqs_event(first)) == []
    drops.s3.delete_object(Bucket=DROPS_BUCKET, Key=drop.key, VersionId=drop.version)

    assert run("import_part", sqs_event(third, second)) == []
    assert drops.totals(drop) == ("failed", 1, 0, 1)
    assert drops.summary(drop)["reason"] == "the object is gone"


def test_a_version_is_read_to_its_end_though_the_object_is_overwritten_and_deleted(
    drops: Drops, tenant: Tenant
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of([item(1), item(2)]))
    drops.s3.put_object(Bucket=DROPS_BUCKET, Key=drop.key, Body=jsonl_of([item(3)]))
    drops.plan()
    drops.s3.delete_object(Bucket=DROPS_BUCKET, Key=drop.key)
    drops.finish()

    assert drops.totals(drop) == ("completed", 2, 0, 0)


def test_rows_of_the_other_wire_are_refused_row_by_row(drops: Drops, tenant: Tenant) -> None:
    attested = drops.import_file(tenant.org_id, "attested/a.jsonl", jsonl_of([item(1)]))
    bulk = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of([CHECKBOX]))

    assert drops.totals(attested) == drops.totals(bulk) == ("completed", 0, 0, 1)
    assert "phone_number_id: is required" in drops.rejected(attested)[0]["reason"]
    assert drops.rejected(bulk)[0]["reason"].startswith("INVALID_CORRELATION_ID; ")


@pytest.mark.parametrize("compress", [same, gzip.compress], ids=["plain", "gzip"])
def test_rows_that_nobody_can_read_are_refused_and_the_others_are_stored(
    drops: Drops, tenant: Tenant, compress: Callable[[bytes], bytes]
) -> None:
    good = jsonl_of([record(tenant, 1)])
    content = [good, b"\n", b'{"a": "\xff"}\n', TOO_LONG * 3, b" \r\n", b"[1,\n", good.strip()]
    name = "attested/a.jsonl" + (".gz" if compress is gzip.compress else "")

    drop = drops.import_file(tenant.org_id, name, compress(b"".join(content)))
    assert drops.totals(drop) == ("completed", 1, 1, 5)
    too_long = f"must end in LF or CRLF, all quotes closed, within {MAX_ROW_BYTES} bytes"
    unread = "must be JSON in UTF-8"
    assert [(told["row"], told["reason"]) for told in drops.rejected(drop)] == [
        (3, unread),
        *((row, too_long) for row in (4, 5, 6)),
        (8, unread),
    ]


def test_a_row_of_a_csv_has_its_number_whatever_lines_it_spans(
    drops: Drops, tenant: Tenant
) -> None:
    content = csv_of([record(tenant, 1)]).replace(b"Mozilla/5.0", b'"two\r\nlines"')
    bad = csv_of([record(tenant, 2) | {"contact_number": "+19"}]).splitlines()[1]

    drop = drops.import_file(tenant.org_id, "attested/a.csv", content + b"\r\n" + bad)
    assert drops.totals(drop) == ("completed", 1, 0, 1)
    assert [told["row"] for told in drops.rejected(drop)] == [4]


def test_a_line_of_three_megabytes_is_one_refused_row(drops: Drops, tenant: Tenant) -> None:
    content = jsonl_of([item(1), item(2) | {"note": "x" * 3_000_000}, item(3)])
    drop = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl", content)

    assert drops.totals(drop) == ("completed", 2, 0, 1)
    assert [told["row"] for told in drops.rejected(drop)] == [2]


# Compressed files


def bomb(megabytes: int, end: bytes) -> bytes:
    compressor = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    zeros = bytes(PIECE)
    pieces = [compressor.compress(zeros) for _ in range(megabytes)]
    return b"".join([*pieces, compressor.compress(end), compressor.flush()])


def test_a_row_of_two_gigabytes_in_a_small_file_is_refused_in_little_memory(
    drops: Drops, tenant: Tenant
) -> None:
    content = bomb(2048, b"\n" + jsonl_of([item(1)]))
    assert len(content) < 10 * PIECE
    tracemalloc.start()
    drop = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl.gz", content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert drops.totals(drop) == ("completed", 1, 0, 1)
    assert peak < 16 * PIECE


def test_gzip_that_holds_more_than_it_may_is_read_no_further() -> None:
    given = 0

    def pieces() -> Iterator[bytes]:
        nonlocal given
        for piece in batched(bomb(64, b""), 4096, strict=False):
            given += 1
            yield bytes(piece)

    with pytest.raises(UnreadableFile, match="must hold at most 8388608 bytes"):
        list(gunzipped(pieces(), 8 * PIECE))
    assert given < 16


def test_gzip_is_the_same_in_pieces_of_any_size() -> None:
    text = os.urandom(300) + bytes(5000)
    packed = gzip.compress(text[:2000]) + gzip.compress(b"") + gzip.compress(text[2000:])

    for size in (1, 2, 7, 100, len(packed)):
        pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
        assert b"".join(gunzipped(pieces)) == text


def test_a_gzip_file_that_is_padded_is_read_to_its_end(drops: Drops, tenant: Tenant) -> None:
    content = gzip.compress(jsonl_of([item(1)])) + bytes(512)
    drop = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl.gz", content)

    assert drops.totals(drop) == ("completed", 1, 0, 0)


def test_gzip_that_is_cut_off_anywhere_is_unreadable() -> None:
    packed = gzip.compress(b"some rows\n" * 9)

    for end in range(len(packed)):
        with pytest.raises(UnreadableFile):
            list(gunzipped([packed[:end]]))


def test_a_gzip_file_cut_off_fails_with_the_rows_that_were_counted_by_then(
    drops: Drops, tenant: Tenant
) -> None:
    packed = gzip.compress(b"".join(jsonl_of([item(number)]) + TOO_LONG for number in range(11)))
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl.gz", packed[:-9])
    drops.plan()
    parts = parts_of(drops)

    assert drops.reason(drop) == "must be gzip, and whole: its end is missing"
    assert len(parts) == 20  # two checkpoints
    assert all(run("import_part", sqs_event(part)) == [] for part in parts)
    assert drops.reason(drop) == "must be gzip, and whole: its end is missing"


@pytest.mark.parametrize("small", [True, False])
def test_a_long_report_is_written_in_little_memory(
    drops: Drops, tenant: Tenant, *, small: bool
) -> None:
    drop = drop_of(DROPS_BUCKET, f"drops/{tenant.org_id}/attested/a.csv", "v1")
    assert drop is not None
    line = b"x" * 700_000
    for part in range(1, 49):
        drops.s3.put_object(Bucket=DROPS_BUCKET, Key=drop.rejected_key(part), Body=line)
    calls: list[str] = []
    events = import_wiring.files()._client.meta.events

    def count(model: Any, **_: Any) -> None:
        calls.append(model.name)

    events.register("before-call.s3", count)
    keys = map(drop.rejected_key, range(1, 49))
    import_wiring.files().join(keys, drop.report_key("rejected.jsonl"), small=small)
    events.unregister("before-call.s3", count)

    assert drops.report(drop, "rejected.jsonl") == line * 48
    assert Counter(calls) == {
        "GetObject": 48,
        "CreateMultipartUpload": 1,
        "UploadPart": 5,  # of 8 MiB, the last one less
        "CompleteMultipartUpload": 1,
    }


# Messages twice, half, late


def parts_of(drops: Drops) -> list[str]:
    return list(drops.receive("PART_QUEUE"))


def test_all_messages_delivered_again_change_nothing(
    drops: Drops, dynamodb: "DynamoDBClient", tenant: Tenant
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of([item(1), item(1), 7]))
    planned = created(drop)
    drops.plan()
    parts = parts_of(drops)
    everything = [("plan_import", planned), *(("import_part", part) for part in parts)]
    for function, body in everything:
        assert run(function, sqs_event(body)) == []
    before = drops.summary(drop), drops.rejected(drop), items(dynamodb, tenant.org_id)

    for function, body in everything[::-1] * 2:
        assert run(function, sqs_event(body)) == []
    assert drops.totals(drop) == ("completed", 1, 1, 1)
    assert (drops.summary(drop), drops.rejected(drop), items(dynamodb, tenant.org_id)) == before
    assert parts_of(drops) == []


@pytest.mark.parametrize("name", ["bulk-consents/a.jsonl", "bulk-consents/a.jsonl.gz"])
def test_parts_delivered_five_times_at_once_in_any_order_are_counted_once(
    drops: Drops, tenant: Tenant, name: str
) -> None:
    rows = [*map(item, range(500)), *map(item, range(400)), *[7] * 300]
    content = jsonl_of(rows) + TOO_LONG + jsonl_of(rows)
    drop = drops.put(tenant.org_id, name, gzip.compress(content) if "gz" in name else content)
    drops.plan()
    parts = parts_of(drops)
    assert len(parts) == 5

    with ThreadPoolExecutor(8) as threads:
        tasks = [parts, parts[::-1], parts[2:] + parts[:2], parts, parts]
        bodies = [body for some in zip(*tasks, strict=True) for body in some]
        failed = list(threads.map(lambda body: run("import_part", sqs_event(body)), bodies))
    again = [body for body, ids in zip(bodies, failed, strict=True) if ids]
    assert all(run("import_part", sqs_event(body)) == [] for body in again)
    assert drops.totals(drop) == ("completed", 500, 1300, 601)
    assert [told["row"] for told in drops.rejected(drop)] == [
        *range(901, 1202),
        *range(2102, 2402),
    ]


def test_only_the_message_that_fails_comes_again(drops: Drops, tenant: Tenant) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of([item(1)]) + TOO_LONG)
    drops.plan()
    first, second = parts_of(drops)
    (unknown,) = event_of("import_part.unknown_import")["Records"]

    assert run("import_part", sqs_event(first, unknown["body"], second, "not JSON")) == ["m1", "m3"]
    assert drops.totals(drop) == ("completed", 1, 0, 1)


@pytest.mark.parametrize("function", ["plan_import", "import_part"])
def test_a_message_of_another_kind_is_passed_over(drops: Drops, function: str) -> None:
    assert run(function, event_of("plan_import.test_event")) == []
    assert run(function, sqs_event("{}")) == []
    assert parts_of(drops) == []


def test_an_object_that_is_no_drop_is_passed_over(drops: Drops) -> None:
    event = event_of("plan_import.object_created")
    body = event["Records"][0]["body"].replace(".csv", ".txt")

    assert run("plan_import", sqs_event(body)) == []
    assert parts_of(drops) == []


def test_the_published_event_names_a_key_with_space_plus_and_umlaut(drops: Drops) -> None:
    assert run("plan_import", event_of("plan_import.object_created")) == []

    key = "drops/org_demo/bulk-consents/2026/may sales + \u00fcber.csv"
    drop = drop_of(DROPS_BUCKET, key, "096fKKXTRTtl3on89fVO.nfljtsv6qko")
    assert drop is not None
    assert drops.reason(drop) == "there is no such organization"


# Faults


class Http:
    """The status line of an answer given in the engine's place."""

    def __init__(self, status: int) -> None:
        self.status_code = status


def refusal(status: int, code: str) -> Callable[..., Any]:
    answer = {
        "Error": {"Code": code, "Message": "-"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return lambda **_: (Http(status), answer)


def killed(**_: Any) -> None:
    raise KeyboardInterrupt


def breaker(client: Any, service: str) -> Iterator[BreakCall]:
    broken: list[tuple[str, Any]] = []

    def break_call(name: str, fault: Any) -> None:
        broken.append((f"before-call.{service}.{name}", fault))
        client.meta.events.register(*broken[-1])

    yield break_call
    for name, fault in broken:
        client.meta.events.unregister(name, fault)


@pytest.fixture
def break_s3(engine: None) -> Iterator[BreakCall]:  # noqa: ARG001 - it has to run
    """Let a fault answer the functions' S3 calls of one name in the engine's place."""
    yield from breaker(import_wiring.files()._client, "s3")


@pytest.fixture
def break_sqs(engine: None) -> Iterator[BreakCall]:  # noqa: ARG001 - it has to run
    """Let a fault answer the functions' SQS calls of one name in the engine's place."""
    yield from breaker(import_wiring.plan_queue()._client, "sqs")


def some_times(count: int, fault: Callable[..., Any]) -> Callable[..., Any]:
    left = iter(range(count))
    return lambda **told: fault(**told) if next(left, None) is not None else None


KILLED_BEFORE = ["BatchExecuteStatement", "TransactWriteItems", "UpdateItem", "GetItem"]


@pytest.mark.parametrize("call", KILLED_BEFORE)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_worker_killed_before_any_call_leaves_its_part_to_the_next(
    drops: Drops, tenant: Tenant, break_call: BreakCall, call: str, nth: int
) -> None:
    rows = [*map(item, range(60)), item(1), 7]
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of(rows))
    drops.plan()
    (part,) = parts_of(drops)
    numbers = iter(range(1, 1000))
    break_call(call, lambda **told: killed(**told) if next(numbers) == nth else None)
    try:
        run("import_part", sqs_event(part))
    except KeyboardInterrupt:
        assert run("import_part", sqs_event(part)) == []

    assert drops.totals(drop) == ("completed", 60, 1, 1)


def test_what_a_killed_worker_stored_counts_as_accepted_though_not_what_others_stored(
    drops: Drops, tenant: Tenant, break_call: BreakCall
) -> None:
    receipt = Receipt(NOW, "01JTBQH2FZ8K1RXC0WJ4Z9P3VM")
    wiring.ledger().append(tenant.org_id, [bulk_record(item(1))], receipt, lambda: 60.0)
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of([*map(item, range(30))]))
    drops.plan()
    (part,) = parts_of(drops)
    break_call("TransactWriteItems", some_times(1, killed))
    with pytest.raises(KeyboardInterrupt):
        run("import_part", sqs_event(part))

    assert run("import_part", sqs_event(part)) == []
    assert drops.totals(drop) == ("completed", 29, 1, 0)


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_a_planner_without_time_leaves_the_rest_to_the_next(
    drops: Drops, tenant: Tenant, ending: str
) -> None:
    content = b"".join(jsonl_of([item(number)]) + TOO_LONG for number in range(11))
    content = gzip.compress(content, 1) if ending == "jsonl.gz" else content
    drop = drops.put(tenant.org_id, f"bulk-consents/a.{ending}", content)

    assert drops.deliver("PLAN_QUEUE", "plan_import", 30_000) == 1
    parts = parts_of(drops)
    assert len(parts) == 10  # a checkpoint
    assert drops.deliver("PLAN_QUEUE", "plan_import", 30_000) == 1
    assert drops.deliver("PLAN_QUEUE", "plan_import", PLENTY) == 1
    parts += parts_of(drops)
    assert len(parts) == 22
    for part in parts:
        assert run("import_part", sqs_event(part)) == []
    assert drops.totals(drop) == ("completed", 11, 0, 11)


def told_together(*drops: Drop) -> str:
    """Return what S3 says of new objects where it says it at once."""
    return json.dumps({"Records": [json.loads(created(drop))["Records"][0] for drop in drops]})


def test_files_told_of_together_are_planned_each_by_itself(drops: Drops, tenant: Tenant) -> None:
    content = b"".join(jsonl_of([item(number)]) + TOO_LONG for number in range(11))
    first, second = (
        drops.put(tenant.org_id, f"bulk-consents/{name}.jsonl", content) for name in "ab"
    )
    list(drops.receive("PLAN_QUEUE"))
    drops.tell("PLAN_QUEUE", told_together(first, second))

    came = [drops.deliver("PLAN_QUEUE", "plan_import", 30_000) for _ in range(6)]
    assert came == [1, 2, 2, 2, 2, 0]
    drops.finish()
    assert drops.totals(first) == ("completed", 11, 0, 11)
    assert drops.totals(second) == ("completed", 0, 11, 11)


def test_a_file_that_cannot_be_planned_does_not_fail_the_one_that_was_told_of_with_it(
    drops: Drops, tenant: Tenant, break_s3: BreakCall
) -> None:
    bad, sound = (
        drops.put(tenant.org_id, f"bulk-consents/{name}.jsonl", jsonl_of([item(1)]))
        for name in ("bad", "sound")
    )
    list(drops.receive("PLAN_QUEUE"))
    denied = refusal(403, "AccessDenied")
    break_s3("GetObject", lambda params, **told: denied(**told) if "bad" in params["url"] else None)
    drops.tell("PLAN_QUEUE", told_together(bad, sound))
    drops.finish()

    assert drops.totals(sound) == ("completed", 1, 0, 0)
    assert drops.summary(bad)["reason"] == "the file could not be read to its end"
    assert [json.loads(body) for body in drops.receive("DEAD_LETTER_QUEUE")] == [
        json.loads(told_together(bad))
    ]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_blank_lines_without_end_are_cut_by_one_planner_after_another_and_make_no_part(
    drops: Drops, tenant: Tenant, ending: str
) -> None:
    content = b"\n" * 25_000 + jsonl_of([item(1), 7])
    content = gzip.compress(content) if ending == "jsonl.gz" else content
    drop = drops.put(tenant.org_id, f"bulk-consents/a.{ending}", content)

    for row in (10_001, 20_001, 25_003):
        assert drops.deliver("PLAN_QUEUE", "plan_import", 30_000) == 1
        assert import_wiring.progress().get(drop.import_id).place.row == row
    drops.finish()
    assert drops.totals(drop) == ("completed", 1, 0, 1)
    assert import_wiring.progress().get(drop.import_id).parts == 1


def test_a_file_of_blank_lines_alone_has_no_rows(drops: Drops, tenant: Tenant) -> None:
    content = gzip.compress(b"\n" * PIECE)
    drop = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl.gz", content)

    assert drops.totals(drop) == ("completed", 0, 0, 0)


@pytest.mark.parametrize("call", ["PutObject", "GetObject"])
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_a_store_that_refuses_for_a_while_delays_a_file_and_nothing_else(
    drops: Drops, tenant: Tenant, break_s3: BreakCall, ending: str, call: str
) -> None:
    content = jsonl_of([item(1), 7]) + TOO_LONG + jsonl_of([item(2), item(1)])
    content = gzip.compress(content, 1) if ending == "jsonl.gz" else content
    drop = drops.put(tenant.org_id, f"bulk-consents/a.{ending}", content)
    break_s3(call, some_times(4, refusal(503, "SlowDown")))
    drops.finish()

    assert drops.totals(drop) == ("completed", 2, 1, 2)


def test_an_import_is_at_its_end_once_its_reports_are_written_which_is_done_once(
    drops: Drops, tenant: Tenant, break_s3: BreakCall
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of([item(1)]))
    drops.plan()
    (part,) = parts_of(drops)
    break_s3("PutObject", some_times(1, refusal(503, "SlowDown")))

    def state() -> Any:
        found = import_wiring.progress().get(drop.import_id)
        return describe(found, datetime.now(UTC))["state"]

    assert run("import_part", sqs_event(part)) == ["m0"]
    assert state() == "importing"
    assert run("import_part", sqs_event(part)) == []
    assert state() == "completed"

    assert run("import_part", sqs_event(part)) == []
    assert run("plan_import", sqs_event(created(drop))) == []
    prefix = drop.report_key("")
    versions = drops.s3.list_object_versions(Bucket=DROPS_BUCKET, Prefix=prefix)["Versions"]
    assert len(versions) == 2


def test_parts_that_the_queue_does_not_take_are_sent_again(
    drops: Drops, tenant: Tenant, break_sqs: BreakCall
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of([item(1)]) + TOO_LONG)
    refused = {"Id": "1", "SenderFault": False, "Code": "InternalError"}
    break_sqs("SendMessageBatch", some_times(1, lambda **_: (Http(200), {"Failed": [refused]})))

    assert run("plan_import", sqs_event(created(drop))) == ["m0"]
    drops.finish()
    assert drops.totals(drop) == ("completed", 1, 0, 1)


FAULTS = [(400, "ThrottlingException"), (500, "InternalServerError"), (400, "ValidationException")]


@pytest.mark.parametrize(("status", "code"), FAULTS)
def test_a_part_that_cannot_be_stored_comes_again_and_is_then_exact(
    drops: Drops, tenant: Tenant, break_call: BreakCall, status: int, code: str
) -> None:
    rows = [*map(item, range(60)), item(1), 7]
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of(rows))
    drops.plan()
    (part,) = parts_of(drops)
    calls = iter(range(1000))
    broken = [True]
    refused = refusal(status, code)

    def break_all_but_one(**told: Any) -> Any:
        return refused(**told) if broken[0] and next(calls) else None

    break_call("BatchExecuteStatement", break_all_but_one)
    assert run("import_part", sqs_event(part), 9_100) == ["m0"]
    broken[0] = False
    assert run("import_part", sqs_event(part)) == []
    assert drops.totals(drop) == ("completed", 60, 1, 1)


@pytest.mark.parametrize("call", ["UpdateItem", "TransactWriteItems"])
def test_a_count_that_another_count_gets_in_the_way_of_is_written_again(
    drops: Drops, tenant: Tenant, break_call: BreakCall, call: str
) -> None:
    conflict = refusal(400, "TransactionConflictException")
    if call == "TransactWriteItems":
        reasons = {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]}
        error = {"Code": "TransactionCanceledException", "Message": "-"}
        conflict = lambda **_: (Http(400), {"Error": error} | reasons)  # noqa: E731
    break_call(call, some_times(3, conflict))
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of([item(1)]))

    assert run("plan_import", sqs_event(created(drop))) == []
    (part,) = parts_of(drops)
    assert run("import_part", sqs_event(part)) == []
    assert drops.totals(drop) == ("completed", 1, 0, 0)


def test_a_count_that_is_in_the_way_for_ever_is_given_up(
    dynamodb: "DynamoDBClient", tenant: Tenant
) -> None:
    waits: list[float] = []
    conflict = refusal(400, "TransactionConflictException")
    dynamodb.meta.events.register("before-call.dynamodb.UpdateItem", conflict)
    drop = drop_of(DROPS_BUCKET, f"drops/{tenant.org_id}/attested/a.csv", "v1")
    assert drop is not None

    with pytest.raises(Unavailable):
        Progress(dynamodb, "ImportsTable", sleep=waits.append).begin(drop, NOW)
    assert 10 < sum(waits) < 60


# Giving up


def test_an_import_of_which_a_part_is_given_up_fails_and_its_message_is_kept(
    drops: Drops, tenant: Tenant, break_call: BreakCall
) -> None:
    rows = jsonl_of([item(1), 7])
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", rows + TOO_LONG + jsonl_of([item(2)]))
    drops.plan()
    first, second, third = sorted(
        parts_of(drops), key=lambda body: json.loads(body)["place"]["part"]
    )
    assert run("import_part", sqs_event(first)) == []
    broken = [True]
    lost = refusal(400, "ValidationException")
    break_call("BatchExecuteStatement", lambda **told: lost(**told) if broken[0] else None)
    drops.tell("PART_QUEUE", third)
    drops.deliver("PART_QUEUE", "import_part")

    broken[0] = False
    assert list(drops.receive("DEAD_LETTER_QUEUE")) == [third]
    assert drops.totals(drop) == ("failed", 1, 0, 1)
    told = drops.summary(drop)
    assert told["reason"] == "part 3 could not be stored"
    for late in (second, third, first):  # no later part changes it
        assert run("import_part", sqs_event(late)) == []
    assert drops.summary(drop) == told


def test_a_file_that_cannot_be_planned_is_given_up_and_fails(
    drops: Drops, tenant: Tenant, break_s3: BreakCall
) -> None:
    broken = [True]
    denied = refusal(403, "AccessDenied")
    break_s3("GetObject", lambda **told: denied(**told) if broken[0] else None)
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of([item(1)]))
    drops.plan()

    broken[0] = False
    assert list(drops.receive("DEAD_LETTER_QUEUE")) == [created(drop)]
    assert drops.reason(drop) == "the file could not be read to its end"
    assert run("plan_import", sqs_event(created(drop))) == []  # no later plan changes it
    assert drops.reason(drop) == "the file could not be read to its end"
    assert parts_of(drops) == []


def test_a_part_that_is_under_way_when_its_import_ends_is_not_counted(
    drops: Drops, tenant: Tenant
) -> None:
    progress = import_wiring.progress()
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", b"")
    import_id = progress.begin(drop, NOW).drop.import_id
    counts = Counts(1, 2, {"30646": 3})
    assert [progress.add(import_id, 1, counts) for _ in range(2)] == [True, False]
    progress.keep_reported(import_id)
    assert not progress.get(import_id).is_reported  # it has not ended
    ended = progress.end(import_id, "failed", "given up", NOW)

    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(lambda part: progress.add(import_id, part, counts), range(2, 10)))
    assert added == [False] * 8
    assert progress.get(import_id) == ended
    assert (ended.counts, list(progress.refused_parts(import_id))) == (counts, [1])
    assert not progress.is_done(import_id, 2)
    for pieces in (2, 1):
        progress.keep_joined(import_id, pieces)
    assert progress.get(import_id).pieces_joined == 2


def test_a_report_in_pieces_goes_on_where_a_store_that_refuses_has_stopped_it(
    drops: Drops, tenant: Tenant, break_s3: BreakCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "PARTS_PER_PIECE", 2)
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", (jsonl_of([7]) + TOO_LONG) * 4)
    drops.plan()
    *others, last = parts_of(drops)
    for part in others:
        assert run("import_part", sqs_event(part)) == []
    written: list[str] = []

    def refuse_the_fourth(params: Mapping[str, Any], **told: Any) -> Any:
        if "/rejected/" in params["url"]:
            return None
        written.append(params["url"].rpartition("/")[2])
        return refusal(503, "SlowDown")(**told) if len(written) == 4 else None

    break_s3("PutObject", refuse_the_fourth)
    assert run("import_part", sqs_event(last)) == ["m0"]
    assert run("import_part", sqs_event(last)) == []
    pieces = [f"{number:08}.jsonl" for number in (1, 2, 3, 4)]
    assert written == [*pieces, pieces[3], "rejected.jsonl", "summary.json"]
    assert drops.totals(drop) == ("completed", 0, 0, 8)
    assert [told["row"] for told in drops.rejected(drop)] == list(range(1, 9))


def test_the_published_event_of_a_file_that_was_given_up_fails_its_import(drops: Drops) -> None:
    event = event_of("fail_import.file_given_up")

    assert run("fail_import", event) == []
    drop = drop_of(
        DROPS_BUCKET,
        "drops/org_demo/attested/2026/may sales.jsonl.gz",
        "3HL4kqtJvjVBH40Nrjfkd.zgdXcqbHpN",
    )
    assert drop is not None
    assert drops.reason(drop) == "the file could not be read to its end"
    assert list(drops.receive("DEAD_LETTER_QUEUE")) == [event["Records"][0]["body"]]


def test_giving_up_on_a_part_of_no_import_makes_none(drops: Drops) -> None:
    event = event_of("import_part.unknown_import")
    import_id = json.loads(event["Records"][0]["body"])["import_id"]

    assert run("fail_import", event) == [event["Records"][0]["messageId"]]
    assert import_wiring.progress().find(import_id) is None
    assert list(drops.receive("DEAD_LETTER_QUEUE")) == []


def test_a_message_that_fails_is_logged_with_the_places_it_came_from_and_nothing_of_its_text(
    logged: io.StringIO,
) -> None:
    assert run("import_part", sqs_event('{"import_id": "secret", "place": 1}')) == ["m0"]

    (line,) = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert (line["message"], line["error"], line["message_id"]) == (
        "message failed",
        "TypeError",
        "m0",
    )
    assert any("queues.py" in frame and "part_of" in frame for frame in line["frames"])
    assert "secret" not in logged.getvalue()


def test_giving_up_on_a_message_of_an_import_that_has_ended_changes_nothing(
    drops: Drops, tenant: Tenant
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl_of([item(1)]))
    drops.plan()
    (part,) = parts_of(drops)
    assert run("import_part", sqs_event(part)) == []
    told = drops.summary(drop)

    assert run("fail_import", sqs_event(part, created(drop))) == []
    assert drops.summary(drop) == told
    assert sorted(drops.receive("DEAD_LETTER_QUEUE")) == sorted([part, created(drop)])


def test_a_message_of_no_known_kind_is_kept_too(drops: Drops) -> None:
    assert run("fail_import", sqs_event("{}")) == []
    assert list(drops.receive("DEAD_LETTER_QUEUE")) == ["{}"]
