"""Files without AWS credentials: announced, uploaded by a link, followed to their reports."""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import boto3
import httpx
import pytest
from consents.aws.progress import Progress
from consents.domain.drop import Drop, drop_of

from tests.integration.conftest import DROPS_BUCKET, Answer, Invoke, NewTenant, Tenant
from tests.integration.test_imports import Drops, created, item, jsonl_of, run, sqs_event

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROWS = [item(1), 7, item(2)]
CONTENT = jsonl_of(ROWS)


@pytest.fixture
def drops(engine: None) -> Drops:  # noqa: ARG001 - it has to run
    return Drops()


class Api:
    """Calls the routes as one organization."""

    def __init__(self, invoke: Invoke, tenant: Tenant) -> None:
        self._invoke = invoke
        self.tenant = tenant

    def announce(self, content: bytes = CONTENT, **changes: Any) -> dict[str, Any]:
        announced = {"wire": "bulk-consents", "format": "jsonl", "size": len(content)} | changes
        answer = self._invoke("create_import.csv", self.tenant.bearer, body=json.dumps(announced))
        assert answer.status == 201, answer.body
        return dict(answer.json)

    def get(self, import_id: str) -> Answer:
        path = {"import_id": import_id}
        return self._invoke("get_import.unknown", self.tenant.bearer, pathParameters=path)

    def told(self, import_id: str) -> dict[str, Any]:
        answer = self.get(import_id)
        assert answer.status == 200, answer.body
        return dict(answer.json)

    def page(self, **query: str) -> dict[str, Any]:
        answer = self._invoke(
            "list_imports.first_page", self.tenant.bearer, queryStringParameters=query or None
        )
        assert answer.status == 200, answer.body
        return dict(answer.json)

    def pages(self, limit: int) -> Iterator[list[str]]:
        cursor: dict[str, str] = {}
        while True:
            page = self.page(limit=str(limit), **cursor)
            yield [each["import_id"] for each in page["imports"]]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}


@pytest.fixture
def api(invoke: Invoke, tenant: Tenant) -> Api:
    return Api(invoke, tenant)


def put(announced: dict[str, Any], content: bytes = CONTENT, **headers: str) -> httpx.Response:
    """Upload as the answer says."""
    upload = announced["upload"]
    sent = upload["headers"] | headers
    return httpx.request(upload["method"], upload["url"], headers=sent, content=content)


def uploaded(announced: dict[str, Any], content: bytes = CONTENT) -> Drop:
    """Upload as the answer says, and return the drop that S3 then tells of."""
    answer = put(announced, content)
    assert answer.status_code == 200, answer.text
    key = urlsplit(announced["upload"]["url"]).path.removeprefix(f"/{DROPS_BUCKET}/")
    drop = drop_of(DROPS_BUCKET, key, answer.headers["x-amz-version-id"])
    assert drop is not None
    return drop


def signed_headers(announced: dict[str, Any]) -> set[str]:
    query = parse_qs(urlsplit(announced["upload"]["url"]).query)
    return set(query["X-Amz-SignedHeaders"][0].split(";"))


def test_a_file_is_announced_uploaded_imported_and_reported(api: Api, drops: Drops) -> None:
    announced = api.announce(sha256=sha256(CONTENT).hexdigest())
    import_id = announced["import_id"]
    assert api.told(import_id)["state"] == announced["state"] == "awaiting_upload"

    drops.tell("PLAN_QUEUE", created(uploaded(announced)))
    drops.plan()
    assert api.told(import_id)["state"] == "importing"
    drops.finish()

    told = api.told(import_id)
    counts = [told[name] for name in ("rows", "accepted", "duplicates", "rejected")]
    assert (told["state"], counts) == ("completed", [3, 2, 0, 1])
    summary = httpx.get(told["reports"]["summary"]).json()
    assert (summary["import_id"], summary["rows"]) == (import_id, 3)
    (refused,) = httpx.get(told["reports"]["rejected"]).text.splitlines()
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


def test_other_content_than_was_announced_is_refused_by_its_digest(api: Api) -> None:
    announced = api.announce(sha256=sha256(CONTENT).hexdigest())

    assert put(announced, CONTENT.upper()).status_code == 400
    assert api.told(announced["import_id"])["state"] == "awaiting_upload"


def test_a_link_takes_one_file(api: Api) -> None:
    announced = api.announce()
    uploaded(announced)

    assert put(announced).status_code == 412


def test_a_second_version_of_an_upload_is_not_imported(api: Api, drops: Drops) -> None:
    announced = api.announce()
    first = uploaded(announced)
    boto3.client("s3").put_object(Bucket=DROPS_BUCKET, Key=first.key, Body=jsonl_of([item(3)]))
    second = drop_of(first.bucket, first.key, drops.version(first))
    assert second is not None

    for drop in (first, second):
        drops.tell("PLAN_QUEUE", created(drop))
    drops.finish()
    told = api.told(announced["import_id"])
    assert (told["source"]["version"], told["rows"]) == (first.version, 3)


def test_an_event_that_comes_first_and_again_changes_nothing(api: Api, drops: Drops) -> None:
    announced = api.announce()
    event = sqs_event(created(uploaded(announced)))

    assert [run("plan_import", event) for _ in range(3)] == [[], [], []]
    drops.finish()
    assert api.told(announced["import_id"])["accepted"] == 2


def test_an_upload_that_comes_after_its_announcement_was_forgotten_is_imported(
    api: Api, drops: Drops, dynamodb: "DynamoDBClient"
) -> None:
    announced = api.announce()
    key = {"import_id": {"S": announced["import_id"]}, "item": {"S": "IMPORT"}}
    dynamodb.delete_item(TableName="ImportsTable", Key=key)
    assert api.get(announced["import_id"]).status == 404

    drops.tell("PLAN_QUEUE", created(uploaded(announced)))
    drops.finish()
    assert api.told(announced["import_id"])["state"] == "completed"


def test_only_an_announcement_without_a_file_is_forgotten(
    api: Api, drops: Drops, dynamodb: "DynamoDBClient"
) -> None:
    announced = api.announce()
    key = {"import_id": {"S": announced["import_id"]}, "item": {"S": "IMPORT"}}

    waiting = dynamodb.get_item(TableName="ImportsTable", Key=key)["Item"]
    expires_at = datetime.fromisoformat(announced["upload"]["expires_at"]).timestamp()
    assert int(waiting["expiration"]["N"]) - int(expires_at) == 24 * 60 * 60
    drops.tell("PLAN_QUEUE", created(uploaded(announced)))
    drops.finish()
    assert "expiration" not in dynamodb.get_item(TableName="ImportsTable", Key=key)["Item"]


def test_an_announcement_whose_answer_was_lost_is_kept_once(
    api: Api, dynamodb: "DynamoDBClient"
) -> None:
    progress = Progress(dynamodb, "ImportsTable")
    found = progress.find(api.announce()["import_id"])
    assert found is not None
    progress.announce(found)  # type: ignore[arg-type]

    assert progress.find(found.drop.import_id) == found


def test_an_import_stays_at_its_end_though_its_reports_are_deleted(api: Api, drops: Drops) -> None:
    drop = drops.import_file(api.tenant.org_id, "bulk-consents/a.jsonl", CONTENT)
    before = api.told(drop.import_id)
    assert before["state"] == "completed"

    boto3.client("s3").delete_object(Bucket=DROPS_BUCKET, Key=drop.report_key("summary.json"))
    after = api.told(drop.import_id)
    assert before | {"reports": None} == after | {"reports": None}
    assert api.page()["imports"][0]["state"] == "completed"


def test_a_file_that_was_dropped_is_told_of_too(api: Api, drops: Drops) -> None:
    drop = drops.import_file(api.tenant.org_id, "bulk-consents/a.csv", b"\xff")

    told = api.told(drop.import_id)
    assert (told["state"], told["reason"]) == ("failed", "the header must be UTF-8")
    assert told["reports"].keys() == {"summary", "rejected", "expires_at"}


# --- whose ---


def test_anothers_import_is_not_found_as_one_that_nobody_has(
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
def test_who_may_not_write_consent_may_not_ask(
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
    drops.tell("PLAN_QUEUE", created(uploaded(first)))
    drops.finish()

    listed = [(each["import_id"], each["state"]) for each in api.page()["imports"]]
    assert listed == [
        (second["import_id"], "awaiting_upload"),
        (first["import_id"], "completed"),
    ]


def test_a_query_that_breaks_a_rule_is_refused(api: Api, invoke: Invoke) -> None:
    query = {"limit": "0", "cursor": "x"}
    answer = invoke("list_imports.first_page", api.tenant.bearer, queryStringParameters=query)

    assert answer.status == 422
    assert set(answer.json["error"]["details"]) == {"limit", "cursor"}


def test_files_spend_nothing_of_the_rate_limit(invoke: Invoke, new_tenant: NewTenant) -> None:
    tenant = new_tenant(per_minute=1)
    event = "list_imports.first_page"
    answers = [invoke(event, tenant.bearer) for _ in range(3)]

    assert [answer.headers["RateLimit"] for answer in answers] == ['"records";r=1;t=0'] * 3
