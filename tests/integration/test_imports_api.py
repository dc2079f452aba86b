"""Bucket without AWS credentials: announced, uploaded by a link, followed to their reports."""

import gzip
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import boto3
import httpx
import pytest
from consents.accounts.directory import listing_key
from consents.aws.dynamodb import Table, encode_item
from consents.imports import wiring as import_wiring
from consents.imports.drop import parse_key
from consents.imports.limits import MAX_OPEN_UPLOADS, MAX_RUNNING
from consents.imports.table import KEPT_UNUSED, ImportTable

from tests.factories import NOW, item_json, jsonl
from tests.integration.callers import ledger_items
from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.drops import DROPS_BUCKET, TOO_LONG, Drops, created, csv_of, run, sqs_event
from tests.integration.invocation import event_of
from tests.integration.test_import_limits import fill
from tests.integration.uploads import CONTENT, Api, put, uploaded
from tests.integration.watched import Watched

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def api(invoke: Invoke, tenant: Tenant) -> Api:
    return Api(invoke, tenant)


def signed_headers(announced: dict[str, Any]) -> set[str]:
    query = parse_qs(urlsplit(announced["upload"]["url"]).query)
    return set(query["X-Amz-SignedHeaders"][0].split(";"))


def test_a_file_is_announced_uploaded_imported_and_reported(api: Api, drops: Drops) -> None:
    announced = api.announce(sha256=sha256(CONTENT).hexdigest())
    import_id = announced["import_id"]
    assert api.shown(import_id)["state"] == announced["state"] == "awaiting_upload"

    drops.send("PLAN_QUEUE", created(uploaded(announced)))
    drops.plan()
    assert api.shown(import_id)["state"] == "importing"
    drops.finish()

    shown = api.shown(import_id)
    counts = [shown[name] for name in ("rows", "accepted", "duplicates", "rejected")]
    assert (shown["state"], counts) == ("completed", [3, 2, 0, 1])
    summary = httpx.get(shown["reports"]["summary"]).json()
    assert (summary["import_id"], summary["rows"]) == (import_id, 3)
    (refused,) = httpx.get(shown["reports"]["rejected"]).text.splitlines()
    assert json.loads(refused)["row"] == 2


def test_a_link_is_bound_to_what_was_announced(api: Api) -> None:
    announced = api.announce(format="csv.gz", size=12, sha256="ab" * 32)

    assert announced["upload"]["headers"] == {
        "Content-Length": "12",
        "Content-Type": "application/gzip",
        "If-None-Match": "*",
        "x-amz-checksum-sha256": b64encode(b"\xab" * 32).decode(),
    }
    assert signed_headers(announced) == {
        "host",
        *(name.lower() for name in announced["upload"]["headers"]),
    }


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        ("csv", "text/csv"),
        ("jsonl", "application/x-ndjson"),
        ("csv.gz", "application/gzip"),
        ("jsonl.gz", "application/gzip"),
    ],
)
def test_a_link_leads_to_the_callers_folder_of_the_wire(
    api: Api, form: str, content_type: str
) -> None:
    announced = api.announce(format=form)
    path = urlsplit(announced["upload"]["url"]).path

    folder = f"/{DROPS_BUCKET}/drops/{api.tenant.org_id}/bulk-consents/uploads/"
    assert path.startswith(folder)
    assert path.endswith("." + form)
    assert announced["upload"]["headers"]["Content-Type"] == content_type
    assert signed_headers(announced) == {"content-length", "content-type", "host", "if-none-match"}


def test_a_link_expires_when_the_answer_says(api: Api) -> None:
    before = datetime.now(UTC)
    upload = api.announce()["upload"]

    seconds = int(parse_qs(urlsplit(upload["url"]).query)["X-Amz-Expires"][0])
    expires_at = datetime.fromisoformat(upload["expires_at"])
    assert abs((expires_at - before).total_seconds() - seconds) < 30


def test_content_with_another_digest_is_rejected(api: Api) -> None:
    announced = api.announce(sha256=sha256(CONTENT).hexdigest())

    assert put(announced, CONTENT.upper()).status_code == 400
    assert api.shown(announced["import_id"])["state"] == "awaiting_upload"


def test_a_link_takes_one_file(api: Api) -> None:
    announced = api.announce()
    uploaded(announced)

    assert put(announced).status_code == 412


def test_a_second_version_of_an_upload_is_not_imported(api: Api, drops: Drops) -> None:
    announced = api.announce()
    first = uploaded(announced)
    boto3.client("s3").put_object(Bucket=DROPS_BUCKET, Key=first.key, Body=jsonl(item_json(3)))
    second = parse_key(first.bucket, first.key, drops.version(first))
    assert second is not None

    for drop in (first, second):
        drops.send("PLAN_QUEUE", created(drop))
    drops.finish()
    shown = api.shown(announced["import_id"])
    assert (shown["source"]["version"], shown["rows"]) == (first.version, 3)


def test_an_event_that_comes_first_and_again_changes_nothing(api: Api, drops: Drops) -> None:
    announced = api.announce()
    event = sqs_event(created(uploaded(announced)))

    assert [run("plan_import", event) for _ in range(3)] == [[], [], []]
    drops.finish()
    assert api.shown(announced["import_id"])["accepted"] == 2


def test_an_upload_after_its_announcement_expired_is_imported(
    api: Api, drops: Drops, dynamodb: "DynamoDBClient"
) -> None:
    announced = api.announce()
    key = {"import_id": {"S": announced["import_id"]}, "item": {"S": "IMPORT"}}
    dynamodb.delete_item(TableName="ImportsTable", Key=key)
    assert api.get(announced["import_id"]).status == 404

    drops.send("PLAN_QUEUE", created(uploaded(announced)))
    drops.finish()
    assert api.shown(announced["import_id"])["state"] == "completed"


def test_only_an_announcement_without_a_file_is_forgotten(
    api: Api, drops: Drops, dynamodb: "DynamoDBClient"
) -> None:
    announced = api.announce()
    key = {"import_id": {"S": announced["import_id"]}, "item": {"S": "IMPORT"}}

    waiting = dynamodb.get_item(TableName="ImportsTable", Key=key)["Item"]
    expires_at = datetime.fromisoformat(announced["upload"]["expires_at"]).timestamp()
    assert int(waiting["expiration"]["N"]) - int(expires_at) == KEPT_UNUSED.total_seconds()
    drops.send("PLAN_QUEUE", created(uploaded(announced)))
    drops.finish()
    assert "expiration" not in dynamodb.get_item(TableName="ImportsTable", Key=key)["Item"]


def test_an_announcement_whose_answer_was_lost_is_kept_once(api: Api, tables: Watched) -> None:
    progress = ImportTable(Table(tables, "ImportsTable"))
    found = progress.find_any(api.announce()["import_id"])
    assert found is not None
    progress.announce(found)  # type: ignore[arg-type]

    assert progress.find_any(found.drop.import_id) == found


def test_an_ended_import_stays_ended_without_its_reports(api: Api, drops: Drops) -> None:
    drop = drops.import_file(api.tenant.org_id, "bulk-consents/a.jsonl", CONTENT)
    before = api.shown(drop.import_id)
    assert before["state"] == "completed"

    boto3.client("s3").delete_object(Bucket=DROPS_BUCKET, Key=drop.report_key("summary.json"))
    after = api.shown(drop.import_id)
    assert before | {"reports": None} == after | {"reports": None}
    assert api.page()["imports"][0]["state"] == "completed"


def test_a_dropped_file_is_shown_like_an_upload(api: Api, drops: Drops) -> None:
    drop = drops.import_file(api.tenant.org_id, "bulk-consents/a.csv", b"\xff")

    shown = api.shown(drop.import_id)
    assert (shown["state"], shown["reason"]) == ("failed", "the header must be UTF-8")
    assert shown["reports"].keys() == {"summary", "rejected", "expires_at"}


# --- whose ---


def test_another_organizations_import_is_not_found(
    api: Api, drops: Drops, invoke: Invoke, new_tenant: NewTenant
) -> None:
    drop = drops.import_file(api.tenant.org_id, "bulk-consents/a.jsonl", CONTENT)
    waiting = api.announce()["import_id"]
    stranger = Api(invoke, new_tenant())

    answers = [stranger.get(each) for each in (drop.import_id, waiting, uuid4().hex)]
    for answer in answers:
        assert answer.json["error"].pop("request_id")
    assert {answer.status for answer in answers} == {404}
    assert len({answer.body.split("request_id")[0] for answer in answers}) == 1
    assert stranger.page() == {"imports": [], "next_cursor": None}


def test_anothers_cursor_leads_to_ones_own_imports(
    api: Api, invoke: Invoke, new_tenant: NewTenant
) -> None:
    stranger = Api(invoke, new_tenant())
    theirs = [stranger.announce()["import_id"] for _ in range(2)]
    for _ in range(2):
        api.announce()
    cursor = api.page(limit="1")["next_cursor"]

    listed = [each["import_id"] for each in stranger.page(cursor=cursor)["imports"]]
    assert set(listed) <= set(theirs)


@pytest.mark.parametrize(
    "event", ["create_import.csv", "get_import.unknown", "list_imports.first_page"]
)
def test_a_caller_who_may_not_write_may_not_read_imports(
    event: str, invoke: Invoke, new_tenant: NewTenant
) -> None:
    answers = [
        invoke(event, tenant.bearer)
        for tenant in (new_tenant(scope="consent:read"), new_tenant(plan="starter"))
    ]
    codes = [(answer.status, answer.json["error"]["code"]) for answer in answers]

    assert codes == [(403, "FORBIDDEN"), (403, "PLAN_REQUIRED")]
    assert invoke(event, {"Authorization": "Bearer x"}).status == 401


# --- the list ---


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
def test_a_list_has_every_import_once_newest_first(api: Api, limit: int) -> None:
    ids = [api.announce()["import_id"] for _ in range(5)]

    pages = list(api.pages(limit))
    assert [each for page in pages for each in page] == ids[::-1]
    assert {len(page) for page in pages[:-1]} <= {limit}
    assert pages[-1]


def test_an_import_keeps_its_place_when_its_file_comes(api: Api, drops: Drops) -> None:
    first, second = api.announce(), api.announce()
    drops.send("PLAN_QUEUE", created(uploaded(first)))
    drops.finish()

    listed = [(each["import_id"], each["state"]) for each in api.page()["imports"]]
    assert listed == [
        (second["import_id"], "awaiting_upload"),
        (first["import_id"], "completed"),
    ]


def test_an_invalid_query_is_rejected(api: Api, invoke: Invoke) -> None:
    query = {"limit": "0", "cursor": "x"}
    answer = invoke("list_imports.first_page", api.tenant.bearer, queryStringParameters=query)

    assert answer.status == 422
    assert set(answer.json["error"]["details"]) == {"limit", "cursor"}


def test_files_spend_nothing_of_the_rate_limit(invoke: Invoke, new_tenant: NewTenant) -> None:
    tenant = new_tenant(per_minute=1)
    event = "list_imports.first_page"
    answers = [invoke(event, tenant.bearer) for _ in range(3)]

    assert [answer.headers["RateLimit"] for answer in answers] == ['"records";r=1;t=0'] * 3


# --- open announcements ---


def test_the_hundred_and_first_open_announcement_is_a_429(
    api: Api, dynamodb: "DynamoDBClient"
) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=100)
    fill(dynamodb, api.tenant.org_id, MAX_OPEN_UPLOADS - 1, expires_at)
    api.announce()

    response = api.post()
    assert (response.status, response.json["error"]["code"]) == (429, "RATE_LIMITED")
    assert 90 <= int(response.headers["Retry-After"]) <= 100
    assert response.json["error"]["message"].startswith("100 announced uploads are open: ")
    assert len(api.page()["imports"]) == 1


def test_an_announcement_is_open_until_its_import_begins(
    api: Api, drops: Drops, dynamodb: "DynamoDBClient"
) -> None:
    fill(dynamodb, api.tenant.org_id, MAX_OPEN_UPLOADS - 1, datetime.now(UTC) + timedelta(hours=1))
    announced = api.announce()
    drop = uploaded(announced)
    assert api.post().status == 429

    drops.send("PLAN_QUEUE", created(drop))
    drops.plan()
    assert [api.post().status for _ in range(2)] == [201, 429]


def test_an_announcement_is_open_until_its_link_expires(
    api: Api, dynamodb: "DynamoDBClient"
) -> None:
    fill(dynamodb, api.tenant.org_id, MAX_OPEN_UPLOADS, datetime.now(UTC))

    assert api.post().status == 201


# --- expired, or uploaded in time ---


def expire(dynamodb: "DynamoDBClient", import_id: str) -> None:
    """Let the link of an announcement have expired."""
    dynamodb.update_item(
        TableName="ImportsTable",
        Key={"import_id": {"S": import_id}, "item": {"S": "IMPORT"}},
        UpdateExpression="SET expires_at = :past",
        ExpressionAttributeValues={":past": {"S": "2026-01-01T00:00:00.000000Z"}},
    )


def test_an_announcement_is_expired_only_without_its_object(
    api: Api, drops: Drops, dynamodb: "DynamoDBClient"
) -> None:
    missing, late, waiting = (api.announce() for _ in range(3))
    drop = uploaded(late)  # and S3 has not sent its event yet
    for announced in (missing, late):
        expire(dynamodb, announced["import_id"])

    states = {
        missing["import_id"]: "expired",
        late["import_id"]: "queued",
        waiting["import_id"]: "awaiting_upload",
    }
    assert {import_id: api.shown(import_id)["state"] for import_id in states} == states
    assert {one["import_id"]: one["state"] for one in api.page()["imports"]} == states
    drops.send("PLAN_QUEUE", created(drop))
    drops.finish()
    assert api.shown(late["import_id"])["state"] == "completed"


def test_an_object_whose_key_only_begins_alike_does_not_count(
    api: Api, drops: Drops, dynamodb: "DynamoDBClient"
) -> None:
    announced = api.announce()
    expire(dynamodb, announced["import_id"])
    key = urlsplit(announced["upload"]["url"]).path.removeprefix(f"/{DROPS_BUCKET}/")
    drops.s3.put_object(Bucket=DROPS_BUCKET, Key=f"{key}.bak", Body=b"")

    assert api.shown(announced["import_id"])["state"] == "expired"


# --- credentials that end before the import starts ---


def change_key(dynamodb: "DynamoDBClient", tenant: Tenant, name: str, at: str) -> None:
    """Set when the key that a tenant announces with is revoked or expires."""
    dynamodb.update_item(
        TableName="DirectoryTable",
        Key=encode_item(listing_key(tenant.org_id, tenant.key_id)),
        UpdateExpression=f"SET {name} = :at",
        ExpressionAttributeValues={":at": {"S": at}},
    )


@pytest.mark.parametrize("ended", ["revoked_at", "expires_at"])
@pytest.mark.parametrize("form", ["jsonl", "csv.gz"])
def test_an_upload_of_an_ended_key_stores_nothing_and_fails(
    api: Api, drops: Drops, dynamodb: "DynamoDBClient", ended: str, form: str
) -> None:
    content = CONTENT if form == "jsonl" else gzip.compress(csv_of([item_json(1)]))
    announced = api.announce(content, format=form)
    drops.send("PLAN_QUEUE", created(uploaded(announced, content)))
    change_key(dynamodb, api.tenant, ended, "2026-01-01T00:00:00.000000Z")
    drops.finish()

    shown = api.shown(announced["import_id"])
    assert (shown["state"], shown["rows"]) == ("failed", 0)
    assert shown["reason"] == "the key that announced the upload is revoked or expired"
    assert ledger_items(dynamodb, api.tenant.org_id) == []


def test_an_upload_of_a_deleted_key_fails(
    api: Api, drops: Drops, dynamodb: "DynamoDBClient"
) -> None:
    announced = api.announce()
    key = encode_item(listing_key(api.tenant.org_id, api.tenant.key_id))
    dynamodb.delete_item(TableName="DirectoryTable", Key=key)
    drops.send("PLAN_QUEUE", created(uploaded(announced)))
    drops.finish()

    assert api.shown(announced["import_id"])["state"] == "failed"


def test_a_key_revoked_while_its_import_waits_fails_it(
    api: Api, drops: Drops, dynamodb: "DynamoDBClient"
) -> None:
    limits, ids = import_wiring.limits(), [uuid4().hex for _ in range(MAX_RUNNING)]
    for import_id in ids:
        limits.start(api.tenant.org_id, import_id, NOW)
    announced = api.announce()
    drops.send("PLAN_QUEUE", created(uploaded(announced)))
    drops.finish()
    assert api.shown(announced["import_id"])["state"] == "queued"

    change_key(dynamodb, api.tenant, "revoked_at", "2026-01-01T00:00:00.000000Z")
    (following,) = limits.end(api.tenant.org_id, ids[0], NOW)
    drops.send("PLAN_QUEUE", json.dumps({"import_id": following}))
    drops.finish()
    assert api.shown(announced["import_id"])["state"] == "failed"
    assert ledger_items(dynamodb, api.tenant.org_id) == []


def test_a_key_revoked_after_its_import_started_changes_nothing(
    api: Api, drops: Drops, dynamodb: "DynamoDBClient"
) -> None:
    content = b"".join(jsonl(item_json(number)) + TOO_LONG for number in range(6))
    announced = api.announce(content)
    drops.send("PLAN_QUEUE", created(uploaded(announced, content)))
    assert drops.deliver("PLAN_QUEUE", "plan_import", 30_000) == 1  # the first checkpoint
    change_key(dynamodb, api.tenant, "revoked_at", "2026-01-01T00:00:00.000000Z")
    drops.finish()

    assert api.shown(announced["import_id"])["accepted"] == 6


def test_a_plan_message_continues_an_import(drops: Drops, tenant: Tenant) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", CONTENT)
    event = event_of("plan_import.next_slice")
    (message,) = event["Records"]
    assert run("plan_import", event) == [message["messageId"]]  # no such import

    import_wiring.imports().begin(drop, NOW)
    message["body"] = json.dumps(json.loads(message["body"]) | {"import_id": drop.import_id})
    assert run("plan_import", event) == []
    drops.finish()
    assert drops.totals(drop) == ("completed", 2, 0, 1)
