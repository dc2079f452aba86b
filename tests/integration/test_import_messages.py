"""Messages of imports that come twice, in any order, late, or fail: each row is counted once."""

import gzip
import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from consents import wiring
from consents.aws.dynamodb import Table
from consents.aws.s3 import PIECE
from consents.domain.errors import Unavailable
from consents.imports import reporter
from consents.imports import wiring as import_wiring
from consents.imports.api import describe
from consents.imports.drop import parse_key
from consents.imports.import_state import Counts
from consents.imports.table import ImportTable

from tests.factories import NOW, RECEIPT, bulk_record, item_json, jsonl
from tests.integration.callers import ledger_items
from tests.integration.conftest import Tenant
from tests.integration.drops import (
    DROPS_BUCKET,
    PLENTY,
    TOO_LONG,
    Drops,
    created,
    run,
    sqs_event,
)
from tests.integration.faults import BreakCall, Http, error_response, killed, some_times
from tests.integration.invocation import event_of
from tests.integration.watched import Watched

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def test_all_messages_delivered_again_change_nothing(
    drops: Drops, dynamodb: "DynamoDBClient", tenant: Tenant
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(item_json(1), item_json(1), 7))
    planned = created(drop)
    drops.plan()
    parts = drops.parts()
    everything = [("plan_import", planned), *(("import_part", part) for part in parts)]
    for function, body in everything:
        assert run(function, sqs_event(body)) == []
    stored = ledger_items(dynamodb, tenant.org_id)
    before = drops.summary(drop), drops.rejected(drop)

    for function, body in everything[::-1] * 2:
        assert run(function, sqs_event(body)) == []
    assert drops.totals(drop) == ("completed", 1, 1, 1)
    assert (drops.summary(drop), drops.rejected(drop)) == before
    assert ledger_items(dynamodb, tenant.org_id) == stored
    assert drops.parts() == []


@pytest.mark.parametrize("name", ["bulk-consents/a.jsonl", "bulk-consents/a.jsonl.gz"])
def test_parts_delivered_concurrently_five_times_count_once(
    drops: Drops, tenant: Tenant, name: str
) -> None:
    rows = [*map(item_json, range(500)), *map(item_json, range(400)), *[7] * 300]
    content = jsonl(*rows) + TOO_LONG + jsonl(*rows)
    drop = drops.put(tenant.org_id, name, gzip.compress(content) if "gz" in name else content)
    drops.plan()
    parts = drops.parts()
    assert len(parts) == 5

    with ThreadPoolExecutor(8) as threads:
        tasks = [parts, parts[::-1], parts[2:] + parts[:2], parts, parts]
        bodies = [body for some in zip(*tasks, strict=True) for body in some]
        failed = list(threads.map(lambda body: run("import_part", sqs_event(body)), bodies))
    again = [body for body, ids in zip(bodies, failed, strict=True) if ids]
    assert all(run("import_part", sqs_event(body)) == [] for body in again)
    assert drops.totals(drop) == ("completed", 500, 1300, 601)
    assert [shown["row"] for shown in drops.rejected(drop)] == [
        *range(901, 1202),
        *range(2102, 2402),
    ]


def test_only_a_failed_message_returns_to_the_queue(drops: Drops, tenant: Tenant) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(item_json(1)) + TOO_LONG)
    drops.plan()
    first, second = drops.parts()
    (unknown,) = event_of("import_part.unknown_import")["Records"]

    assert run("import_part", sqs_event(first, unknown["body"], second, "not JSON")) == ["m1", "m3"]
    assert drops.totals(drop) == ("completed", 1, 0, 1)


@pytest.mark.parametrize("function", ["plan_import", "import_part"])
def test_a_message_of_another_kind_is_ignored(drops: Drops, function: str) -> None:
    assert run(function, event_of("plan_import.test_event")) == []
    assert run(function, sqs_event("{}")) == []
    assert drops.parts() == []


def test_an_object_that_is_not_a_drop_is_ignored(drops: Drops) -> None:
    event = event_of("plan_import.object_created")
    body = event["Records"][0]["body"].replace(".csv", ".txt")

    assert run("plan_import", sqs_event(body)) == []
    assert drops.parts() == []


def test_the_example_event_has_a_key_with_space_plus_and_umlaut(drops: Drops) -> None:
    assert run("plan_import", event_of("plan_import.object_created")) == []

    key = "drops/org_demo/bulk-consents/2026/may sales + \u00fcber.csv"
    drop = parse_key(DROPS_BUCKET, key, "096fKKXTRTtl3on89fVO.nfljtsv6qko")
    assert drop is not None
    assert drops.reason(drop) == "there is no such organization"


# Faults


KILLED_BEFORE = ["BatchExecuteStatement", "TransactWriteItems", "UpdateItem", "GetItem"]


@pytest.mark.parametrize("call", KILLED_BEFORE)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_worker_killed_before_any_call_loses_nothing(
    drops: Drops, tenant: Tenant, break_call: BreakCall, call: str, nth: int
) -> None:
    rows = [*map(item_json, range(60)), item_json(1), 7]
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(*rows))
    drops.plan()
    (part,) = drops.parts()
    numbers = iter(range(1, 1000))
    break_call(call, lambda **options: killed(**options) if next(numbers) == nth else None)
    try:
        run("import_part", sqs_event(part))
    except KeyboardInterrupt:
        assert run("import_part", sqs_event(part)) == []

    assert drops.totals(drop) == ("completed", 60, 1, 1)


def test_rows_that_a_killed_worker_stored_count_as_accepted(
    drops: Drops, tenant: Tenant, break_call: BreakCall
) -> None:
    wiring.ledger().append(tenant.org_id, [bulk_record(item_json(1))], RECEIPT, lambda: 60.0)
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(*map(item_json, range(30))))
    drops.plan()
    (part,) = drops.parts()
    break_call("TransactWriteItems", some_times(1, killed))
    with pytest.raises(KeyboardInterrupt):
        run("import_part", sqs_event(part))

    assert run("import_part", sqs_event(part)) == []
    assert drops.totals(drop) == ("completed", 29, 1, 0)


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_a_planner_without_time_leaves_the_rest_to_the_next(
    drops: Drops, tenant: Tenant, ending: str
) -> None:
    content = b"".join(jsonl(item_json(number)) + TOO_LONG for number in range(11))
    content = gzip.compress(content, 1) if ending == "jsonl.gz" else content
    drop = drops.put(tenant.org_id, f"bulk-consents/a.{ending}", content)

    assert drops.deliver("PLAN_QUEUE", "plan_import", 30_000) == 1
    parts = drops.parts()
    assert len(parts) == 10  # a checkpoint
    assert drops.deliver("PLAN_QUEUE", "plan_import", 30_000) == 1
    assert drops.deliver("PLAN_QUEUE", "plan_import", PLENTY) == 1
    parts += drops.parts()
    assert len(parts) == 22
    for part in parts:
        assert run("import_part", sqs_event(part)) == []
    assert drops.totals(drop) == ("completed", 11, 0, 11)


def test_files_in_one_event_are_planned_separately(drops: Drops, tenant: Tenant) -> None:
    content = b"".join(jsonl(item_json(number)) + TOO_LONG for number in range(11))
    first, second = (
        drops.put(tenant.org_id, f"bulk-consents/{name}.jsonl", content) for name in "ab"
    )
    list(drops.receive("PLAN_QUEUE"))
    drops.send("PLAN_QUEUE", created(first, second))

    came = [drops.deliver("PLAN_QUEUE", "plan_import", 30_000) for _ in range(6)]
    assert came == [1, 2, 2, 2, 2, 0]
    drops.finish()
    assert drops.totals(first) == ("completed", 11, 0, 11)
    assert drops.totals(second) == ("completed", 0, 11, 11)


def test_a_file_that_fails_does_not_fail_another_of_its_event(
    drops: Drops, tenant: Tenant, break_s3: BreakCall
) -> None:
    bad, sound = (
        drops.put(tenant.org_id, f"bulk-consents/{name}.jsonl", jsonl(item_json(1)))
        for name in ("bad", "sound")
    )
    list(drops.receive("PLAN_QUEUE"))
    denied = error_response(403, "AccessDenied")
    break_s3(
        "GetObject", lambda params, **options: denied(**options) if "bad" in params["url"] else None
    )
    drops.send("PLAN_QUEUE", created(bad, sound))
    drops.finish()

    assert drops.totals(sound) == ("completed", 1, 0, 0)
    assert drops.summary(bad)["reason"] == "the file could not be read"
    assert [json.loads(body) for body in drops.receive("DEAD_LETTER_QUEUE")] == [
        json.loads(created(bad))
    ]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_blank_lines_are_cut_by_several_planners_into_no_part(
    drops: Drops, tenant: Tenant, ending: str
) -> None:
    content = b"\n" * 25_000 + jsonl(item_json(1), 7)
    content = gzip.compress(content) if ending == "jsonl.gz" else content
    drop = drops.put(tenant.org_id, f"bulk-consents/a.{ending}", content)

    for row in (10_001, 20_001, 25_003):
        assert drops.deliver("PLAN_QUEUE", "plan_import", 30_000) == 1
        assert import_wiring.imports().get(drop.import_id).place.row == row
    drops.finish()
    assert drops.totals(drop) == ("completed", 1, 0, 1)
    assert import_wiring.imports().get(drop.import_id).parts == 1


def test_a_file_of_only_blank_lines_has_no_rows(drops: Drops, tenant: Tenant) -> None:
    content = gzip.compress(b"\n" * PIECE)
    drop = drops.import_file(tenant.org_id, "bulk-consents/a.jsonl.gz", content)

    assert drops.totals(drop) == ("completed", 0, 0, 0)


@pytest.mark.parametrize("call", ["PutObject", "GetObject"])
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_an_object_store_that_throttles_only_delays_a_file(
    drops: Drops, tenant: Tenant, break_s3: BreakCall, ending: str, call: str
) -> None:
    content = jsonl(item_json(1), 7) + TOO_LONG + jsonl(item_json(2), item_json(1))
    content = gzip.compress(content, 1) if ending == "jsonl.gz" else content
    drop = drops.put(tenant.org_id, f"bulk-consents/a.{ending}", content)
    break_s3(call, some_times(4, error_response(503, "SlowDown")))
    drops.finish()

    assert drops.totals(drop) == ("completed", 2, 1, 2)


def test_an_import_ends_when_its_reports_are_written_once(
    drops: Drops, tenant: Tenant, break_s3: BreakCall
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(item_json(1)))
    drops.plan()
    (part,) = drops.parts()
    break_s3("PutObject", some_times(1, error_response(503, "SlowDown")))

    def state() -> Any:
        found = import_wiring.imports().get(drop.import_id)
        return describe(found, datetime.now(UTC), [])["state"]

    assert run("import_part", sqs_event(part)) == ["m0"]
    assert state() == "importing"
    assert run("import_part", sqs_event(part)) == []
    assert state() == "completed"

    assert run("import_part", sqs_event(part)) == []
    assert run("plan_import", sqs_event(created(drop))) == []
    prefix = drop.report_key("")
    versions = drops.s3.list_object_versions(Bucket=DROPS_BUCKET, Prefix=prefix)["Versions"]
    assert len(versions) == 2


def test_parts_that_the_queue_rejects_are_sent_again(
    drops: Drops, tenant: Tenant, break_sqs: BreakCall
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(item_json(1)) + TOO_LONG)
    refused = {"Id": "1", "SenderFault": False, "Code": "InternalError"}
    break_sqs("SendMessageBatch", some_times(1, lambda **_: (Http(200), {"Failed": [refused]})))

    assert run("plan_import", sqs_event(created(drop))) == ["m0"]
    drops.finish()
    assert drops.totals(drop) == ("completed", 1, 0, 1)


FAULTS = [(400, "ThrottlingException"), (500, "InternalServerError"), (400, "ValidationException")]


@pytest.mark.parametrize(("status", "code"), FAULTS)
def test_a_part_that_could_not_be_stored_is_exact_after_a_retry(
    drops: Drops, tenant: Tenant, break_call: BreakCall, status: int, code: str
) -> None:
    rows = [*map(item_json, range(60)), item_json(1), 7]
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(*rows))
    drops.plan()
    (part,) = drops.parts()
    calls = iter(range(1000))
    broken = [True]
    refused = error_response(status, code)

    def break_all_but_one(**options: Any) -> Any:
        return refused(**options) if broken[0] and next(calls) else None

    break_call("BatchExecuteStatement", break_all_but_one)
    assert run("import_part", sqs_event(part), 9_100) == ["m0"]
    broken[0] = False
    assert run("import_part", sqs_event(part)) == []
    assert drops.totals(drop) == ("completed", 60, 1, 1)


@pytest.mark.parametrize("call", ["UpdateItem", "TransactWriteItems"])
def test_a_count_that_conflicts_with_another_is_written_again(
    drops: Drops, tenant: Tenant, break_call: BreakCall, call: str
) -> None:
    conflict = error_response(400, "TransactionConflictException")
    if call == "TransactWriteItems":
        reasons = {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]}
        error = {"Code": "TransactionCanceledException", "Message": "-"}
        conflict = lambda **_: (Http(400), {"Error": error} | reasons)  # noqa: E731
    break_call(call, some_times(3, conflict))
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(item_json(1)))

    assert run("plan_import", sqs_event(created(drop))) == []
    (part,) = drops.parts()
    assert run("import_part", sqs_event(part)) == []
    assert drops.totals(drop) == ("completed", 1, 0, 0)


def test_a_write_that_always_conflicts_raises_in_the_end(tables: Watched, tenant: Tenant) -> None:
    waits: list[float] = []
    tables.watchers.append(error_response(400, "TransactionConflictException"))
    drop = parse_key(DROPS_BUCKET, f"drops/{tenant.org_id}/attested/a.csv", "v1")
    assert drop is not None

    with pytest.raises(Unavailable):
        ImportTable(Table(tables, "ImportsTable", sleep=waits.append)).begin(drop, NOW)
    assert 0 < sum(waits) < 60


# Failed messages


def test_an_import_with_a_failed_part_fails_with_its_reason(
    drops: Drops, tenant: Tenant, break_call: BreakCall
) -> None:
    rows = jsonl(item_json(1), 7)
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", rows + TOO_LONG + jsonl(item_json(2)))
    drops.plan()
    first, second, third = sorted(drops.parts(), key=lambda body: json.loads(body)["place"]["part"])
    assert run("import_part", sqs_event(first)) == []
    broken = [True]
    lost = error_response(400, "ValidationException")
    break_call("BatchExecuteStatement", lambda **options: lost(**options) if broken[0] else None)
    drops.send("PART_QUEUE", third)
    drops.deliver("PART_QUEUE", "import_part")

    broken[0] = False
    assert list(drops.receive("DEAD_LETTER_QUEUE")) == [third]
    assert drops.totals(drop) == ("failed", 1, 0, 1)
    shown = drops.summary(drop)
    assert shown["reason"] == "part 3 could not be stored"
    for late in (second, third, first):  # no later part changes it
        assert run("import_part", sqs_event(late)) == []
    assert drops.summary(drop) == shown


def test_a_file_that_cannot_be_planned_fails(
    drops: Drops, tenant: Tenant, break_s3: BreakCall
) -> None:
    broken = [True]
    denied = error_response(403, "AccessDenied")
    break_s3("GetObject", lambda **options: denied(**options) if broken[0] else None)
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(item_json(1)))
    drops.plan()

    broken[0] = False
    assert list(drops.receive("DEAD_LETTER_QUEUE")) == [created(drop)]
    assert drops.reason(drop) == "the file could not be read"
    assert run("plan_import", sqs_event(created(drop))) == []  # no later plan changes it
    assert drops.reason(drop) == "the file could not be read"
    assert drops.parts() == []


def test_a_part_in_flight_when_its_import_ends_is_not_counted(drops: Drops, tenant: Tenant) -> None:
    progress = import_wiring.imports()
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", b"")
    import_id = progress.begin(drop, NOW).drop.import_id
    counts = Counts(1, 2, {"30646": 3})
    assert [progress.add(import_id, 1, counts) for _ in range(2)] == [True, False]
    progress.keep_reported(import_id)
    assert not progress.get(import_id).is_reported  # it has not ended
    ended = progress.end(import_id, "failed", "failed", NOW)

    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(lambda part: progress.add(import_id, part, counts), range(2, 10)))
    assert added == [False] * 8
    assert progress.get(import_id) == ended
    assert (ended.counts, list(progress.rejected_parts(import_id))) == (counts, [1])
    assert not progress.is_done(import_id, 2)
    for pieces in (2, 1):
        progress.keep_joined(import_id, pieces)
    assert progress.get(import_id).chunks_joined == 2


def test_a_report_in_chunks_continues_after_a_failed_write(
    drops: Drops, tenant: Tenant, break_s3: BreakCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "PARTS_PER_CHUNK", 2)
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", (jsonl(7) + TOO_LONG) * 4)
    drops.plan()
    *others, last = drops.parts()
    for part in others:
        assert run("import_part", sqs_event(part)) == []
    written: list[str] = []

    def refuse_the_fourth(params: Mapping[str, Any], **options: Any) -> Any:
        if "/rejected/" in params["url"]:
            return None
        written.append(params["url"].rpartition("/")[2])
        return error_response(503, "SlowDown")(**options) if len(written) == 4 else None

    break_s3("PutObject", refuse_the_fourth)
    assert run("import_part", sqs_event(last)) == ["m0"]
    assert run("import_part", sqs_event(last)) == []
    pieces = [f"{number:08}.jsonl" for number in (1, 2, 3, 4)]
    assert written == [*pieces, pieces[3], "rejected.jsonl", "summary.json"]
    assert drops.totals(drop) == ("completed", 0, 0, 8)
    assert [shown["row"] for shown in drops.rejected(drop)] == list(range(1, 9))


def test_the_example_event_of_a_failed_file_fails_its_import(drops: Drops) -> None:
    event = event_of("fail_import.failed_file")

    assert run("fail_import", event) == []
    drop = parse_key(
        DROPS_BUCKET,
        "drops/org_demo/attested/2026/may sales.jsonl.gz",
        "3HL4kqtJvjVBH40Nrjfkd.zgdXcqbHpN",
    )
    assert drop is not None
    assert drops.reason(drop) == "the file could not be read"
    assert list(drops.receive("DEAD_LETTER_QUEUE")) == [event["Records"][0]["body"]]


def test_a_failed_part_of_an_unknown_import_creates_none(drops: Drops) -> None:
    event = event_of("import_part.unknown_import")
    import_id = json.loads(event["Records"][0]["body"])["import_id"]

    assert run("fail_import", event) == [event["Records"][0]["messageId"]]
    assert import_wiring.imports().find_any(import_id) is None
    assert list(drops.receive("DEAD_LETTER_QUEUE")) == []


def test_a_failed_message_is_logged_without_its_text(
    logged: io.StringIO,
) -> None:
    assert run(
        "import_part", sqs_event('{"import_id": "a", "place": {"secret": 1}, "end": 1, "rows": 1}')
    ) == ["m0"]

    (line,) = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert (line["message"], line["error"], line["message_id"]) == (
        "message.failed",
        "TypeError",
        "m0",
    )
    assert any("messages.py" in frame and "parse" in frame for frame in line["frames"])
    assert "secret" not in logged.getvalue()


def test_a_failed_message_of_an_ended_import_changes_nothing(drops: Drops, tenant: Tenant) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(item_json(1)))
    drops.plan()
    (part,) = drops.parts()
    assert run("import_part", sqs_event(part)) == []
    shown = drops.summary(drop)

    assert run("fail_import", sqs_event(part, created(drop))) == []
    assert drops.summary(drop) == shown
    assert sorted(drops.receive("DEAD_LETTER_QUEUE")) == sorted([part, created(drop)])


def test_a_message_of_unknown_kind_is_kept_too(drops: Drops) -> None:
    assert run("fail_import", sqs_event("{}")) == []
    assert list(drops.receive("DEAD_LETTER_QUEUE")) == ["{}"]
