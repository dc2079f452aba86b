"""Files in all formats: every row is stored, found to be there, or reported by its number."""

import gzip
import os
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from consents import wiring
from consents.aws.s3 import PIECE
from consents.domain.record import Wire
from consents.imports import wiring as import_wiring
from consents.imports.bucket import gunzipped
from consents.imports.drop import parse_key
from consents.imports.rows import MAX_ROW_BYTES, UnreadableFile

from tests.factories import (
    BAD_ITEM,
    CHECKBOX,
    ITEM,
    RECEIPT,
    attested_json,
    bulk_record,
    item_json,
    jsonl,
)
from tests.integration.callers import ledger_items
from tests.integration.conftest import NewTenant, Tenant
from tests.integration.drops import DROPS_BUCKET, TOO_LONG, Drops, csv_of, run, sqs_event

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def record(tenant: Tenant, number: int) -> dict[str, Any]:
    """Return a valid attested record of an organization."""
    return attested_json(number, phone_number_id=tenant.phone_number_id)


def all_jsonl(records: Sequence[Any]) -> bytes:
    """Return records as a file of JSON lines."""
    return jsonl(*records)


def members(content: bytes) -> bytes:
    """Compress in two members, as some programs do that append."""
    half = len(content) // 2
    return gzip.compress(content[:half]) + gzip.compress(content[half:])


def same(content: bytes) -> bytes:
    """Return a file as it is."""
    return content


type Form = tuple[str, Callable[[Sequence[Any]], bytes], Callable[[bytes], bytes], int]

FORMS: list[Form] = [
    ("jsonl", all_jsonl, same, 1),
    ("csv", csv_of, same, 2),
    ("jsonl.gz", all_jsonl, gzip.compress, 1),
    ("csv.gz", csv_of, members, 2),
    ("CSV.GZ", csv_of, gzip.compress, 2),
]


@pytest.mark.parametrize("form", FORMS, ids=[form[0] for form in FORMS])
@pytest.mark.parametrize("wire", list(Wire))
def test_each_row_is_stored_or_a_duplicate_or_reported(
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
        rows = [
            item_json(1),
            BAD_ITEM,
            item_json(2),
            item_json(1),
            item_json(9) | {"status": "yes"},
        ]
        reported = [
            {"code": "30646", "reason": "INVALID_CONTACT_ID; INVALID_DATE_OF_CONSENT"},
            {"code": "30646", "reason": "INVALID_STATUS"},
        ]
        reported[0]["correlation_id"] = BAD_ITEM["correlation_id"]
        reported[1]["correlation_id"] = item_json(9)["correlation_id"]

    drop = drops.import_file(
        tenant.org_id, f"{wire}/\u00fcber 1+1 = \U0001f600 & co.{ending}", compress(write(rows))
    )

    assert drops.totals(drop) == ("completed", 2, 1, 2)
    numbers = (first + 1, first + 4)
    assert drops.rejected(drop) == [
        {"row": number} | shown for number, shown in zip(numbers, reported, strict=True)
    ]
    stored = [found for found in ledger_items(dynamodb, tenant.org_id) if "request_id" in found]
    assert sorted(found["request_id"]["S"] for found in stored) == [
        f"{drop.import_id}/{first}",
        f"{drop.import_id}/{first + 2}",
    ]


def test_a_summary_says_what_was_imported_when_and_how_it_ended(
    drops: Drops, tenant: Tenant
) -> None:
    drop = drops.import_file(tenant.org_id, "bulk-consents/may.jsonl", jsonl(item_json(1), 7))

    shown = drops.summary(drop)
    assert shown.pop("started_at") <= shown.pop("finished_at")
    assert shown == {
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
    wiring.ledger().append(tenant.org_id, [bulk_record(item_json(1))], RECEIPT, lambda: 60.0)

    drop = drops.import_file(
        tenant.org_id, "bulk-consents/a.jsonl", jsonl(item_json(1), item_json(2))
    )
    assert drops.totals(drop) == ("completed", 1, 1, 0)


def test_a_file_dropped_again_is_another_import_of_duplicates(drops: Drops, tenant: Tenant) -> None:
    content = jsonl(item_json(1), item_json(2))
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


def test_a_file_with_only_a_header_has_no_rows(drops: Drops, tenant: Tenant) -> None:
    header = csv_of([item_json(1)]).splitlines()[0]
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
    "utf-16": ("attested/a.jsonl", '{"a": 1}\n'.encode("utf-16"), "must be UTF-8"),
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
    "empty gzip": ("attested/a.csv.gz", b"", "must be gzip, and complete: it is truncated"),
    "no rows in gzip": (
        "attested/a.csv.gz",
        gzip.compress(b""),
        "row 1, the header, must name one of ",
    ),
    "truncated gzip": (
        "bulk-consents/a.jsonl.gz",
        gzip.compress(b"")[:-1],
        "must be gzip, and complete: it is truncated",
    ),
}


@pytest.mark.parametrize(("name", "content", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read_at_all_fails_and_says_why(
    drops: Drops, tenant: Tenant, name: str, content: bytes, reason: str
) -> None:
    assert drops.reason(drops.import_file(tenant.org_id, name, content)).startswith(reason)


def test_a_file_for_an_unknown_organization_fails(drops: Drops, org_id: str) -> None:
    drop = drops.import_file(org_id, "attested/a.jsonl", b"{}\n")

    assert drops.reason(drop) == "there is no such organization"


def test_a_file_for_a_plan_without_capture_fails(drops: Drops, new_tenant: NewTenant) -> None:
    drop = drops.import_file(new_tenant(plan="starter").org_id, "attested/a.jsonl", b"{}\n")

    assert drops.reason(drop) == "the plan does not include consent capture"


def test_a_version_that_is_deleted_before_it_is_read_fails(drops: Drops, tenant: Tenant) -> None:
    drop = drops.put(tenant.org_id, "attested/a.jsonl", b"{}\n")
    drops.s3.delete_object(Bucket=DROPS_BUCKET, Key=drop.key, VersionId=drop.version)
    drops.finish()

    assert drops.reason(drop) == "the object is gone"


def test_a_version_deleted_during_its_import_keeps_its_counts(drops: Drops, tenant: Tenant) -> None:
    content = jsonl(item_json(1), 7) + TOO_LONG + jsonl(item_json(2))
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", content)
    drops.plan()
    first, second, third = drops.parts()
    assert run("import_part", sqs_event(first)) == []
    drops.s3.delete_object(Bucket=DROPS_BUCKET, Key=drop.key, VersionId=drop.version)

    assert run("import_part", sqs_event(third, second)) == []
    assert drops.totals(drop) == ("failed", 1, 0, 1)
    assert drops.summary(drop)["reason"] == "the object is gone"


def test_an_overwritten_or_deleted_object_is_read_by_its_version(
    drops: Drops, tenant: Tenant
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(item_json(1), item_json(2)))
    drops.s3.put_object(Bucket=DROPS_BUCKET, Key=drop.key, Body=jsonl(item_json(3)))
    drops.plan()
    drops.s3.delete_object(Bucket=DROPS_BUCKET, Key=drop.key)
    drops.finish()

    assert drops.totals(drop) == ("completed", 2, 0, 0)


def test_rows_of_the_other_api_are_rejected_row_by_row(drops: Drops, tenant: Tenant) -> None:
    attested = drops.import_file(tenant.org_id, "attested/a.jsonl", jsonl(item_json(1)))
    bulk = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl", jsonl(CHECKBOX))

    assert drops.totals(attested) == drops.totals(bulk) == ("completed", 0, 0, 1)
    assert "phone_number_id: is required" in drops.rejected(attested)[0]["reason"]
    assert drops.rejected(bulk)[0]["reason"].startswith("INVALID_CORRELATION_ID; ")


@pytest.mark.parametrize("compress", [same, gzip.compress], ids=["plain", "gzip"])
def test_unreadable_rows_are_rejected_and_the_others_are_stored(
    drops: Drops, tenant: Tenant, compress: Callable[[bytes], bytes]
) -> None:
    good = jsonl(record(tenant, 1))
    content = [good, b"\n", b'{"a": "\xff"}\n', TOO_LONG * 3, b" \r\n", b"[1,\n", good.strip()]
    name = "attested/a.jsonl" + (".gz" if compress is gzip.compress else "")

    drop = drops.import_file(tenant.org_id, name, compress(b"".join(content)))
    assert drops.totals(drop) == ("completed", 1, 1, 5)
    too_long = f"must end in LF or CRLF, all quotes closed, within {MAX_ROW_BYTES} bytes"
    unread = "must be JSON in UTF-8"
    assert [(shown["row"], shown["reason"]) for shown in drops.rejected(drop)] == [
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
    assert [shown["row"] for shown in drops.rejected(drop)] == [4]


def test_a_line_of_three_megabytes_is_one_rejected_row(drops: Drops, tenant: Tenant) -> None:
    content = jsonl(item_json(1), item_json(2, note="x" * 3_000_000), item_json(3))
    drop = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl", content)

    assert drops.totals(drop) == ("completed", 2, 0, 1)
    assert [shown["row"] for shown in drops.rejected(drop)] == [2]


# Compressed files


def bomb(megabytes: int, end: bytes) -> bytes:
    compressor = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    zeros = bytes(PIECE)
    pieces = [compressor.compress(zeros) for _ in range(megabytes)]
    return b"".join([*pieces, compressor.compress(end), compressor.flush()])


def test_a_huge_row_in_a_small_gzip_file_takes_little_memory(drops: Drops, tenant: Tenant) -> None:
    content = bomb(256, b"\n" + jsonl(item_json(1)))
    assert len(content) < 10 * PIECE
    # Another file first, so that the modules of the functions are in memory already.
    drops.import_file(tenant.org_id, "bulk-consents/first.jsonl", jsonl(item_json(2)))
    tracemalloc.start()
    drop = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl.gz", content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert drops.totals(drop) == ("completed", 1, 0, 1)
    assert peak < 16 * PIECE


def test_gzip_over_the_limit_is_not_read_further() -> None:
    given = 0

    def pieces() -> Iterator[bytes]:
        nonlocal given
        for piece in batched(bomb(64, b""), 4096, strict=False):
            given += 1
            yield bytes(piece)

    with pytest.raises(UnreadableFile, match="must have at most 8388608 bytes"):
        list(gunzipped(pieces(), 8 * PIECE))
    assert given < 16


def test_gzip_is_the_same_in_pieces_of_any_size() -> None:
    text = os.urandom(300) + bytes(5000)
    packed = gzip.compress(text[:2000]) + gzip.compress(b"") + gzip.compress(text[2000:])

    for size in (1, 2, 7, 100, len(packed)):
        pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
        assert b"".join(gunzipped(pieces)) == text


def test_a_gzip_file_that_is_padded_is_read_to_its_end(drops: Drops, tenant: Tenant) -> None:
    content = gzip.compress(jsonl(item_json(1))) + bytes(512)
    drop = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl.gz", content)

    assert drops.totals(drop) == ("completed", 1, 0, 0)


def test_gzip_that_is_cut_off_anywhere_is_unreadable() -> None:
    packed = gzip.compress(b"some rows\n" * 9)

    for end in range(len(packed)):
        with pytest.raises(UnreadableFile):
            list(gunzipped([packed[:end]]))


def test_a_truncated_gzip_file_fails_with_what_was_counted(drops: Drops, tenant: Tenant) -> None:
    packed = gzip.compress(b"".join(jsonl(item_json(number)) + TOO_LONG for number in range(11)))
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl.gz", packed[:-9])
    drops.plan()
    parts = drops.parts()

    assert drops.reason(drop) == "must be gzip, and complete: it is truncated"
    assert len(parts) == 20  # two checkpoints
    assert all(run("import_part", sqs_event(part)) == [] for part in parts)
    assert drops.reason(drop) == "must be gzip, and complete: it is truncated"


@pytest.mark.parametrize("small", [True, False])
def test_a_long_report_is_written_in_little_memory(
    drops: Drops, tenant: Tenant, *, small: bool
) -> None:
    drop = parse_key(DROPS_BUCKET, f"drops/{tenant.org_id}/attested/a.csv", "v1")
    assert drop is not None
    line = b"x" * 700_000
    for part in range(1, 49):
        drops.s3.put_object(Bucket=DROPS_BUCKET, Key=drop.rejected_key(part), Body=line)
    calls: list[str] = []
    events = import_wiring.bucket()._objects._client.meta.events

    def count(model: Any, **_: Any) -> None:
        calls.append(model.name)

    events.register("before-call.s3", count)
    keys = map(drop.rejected_key, range(1, 49))
    import_wiring.bucket().join(keys, drop.report_key("rejected.jsonl"), small=small)
    events.unregister("before-call.s3", count)

    assert drops.report(drop, "rejected.jsonl") == line * 48
    assert Counter(calls) == {
        "GetObject": 48,
        "CreateMultipartUpload": 1,
        "UploadPart": 5,  # of 8 MiB, the last one less
        "CompleteMultipartUpload": 1,
    }
