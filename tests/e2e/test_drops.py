"""Dropped files, end to end: by the operator's command, by S3 and by the imports API."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from consents.imports.drop import parse_key
from consents_cli import credentials
from consents_cli.local_files import PROJECT
from consents_cli.stack import Stack

from tests.e2e import organizations
from tests.e2e.files import (
    ATTESTED,
    BULK,
    Row,
    as_csv,
    as_jsonl_gz,
    attested_row,
    bulk_row,
    dropped_as,
    nested,
    report,
    s3,
    state,
)
from tests.e2e.local_stack import LocalStack, eventually

type Rejections = list[dict[str, Any]]


def attested_rows(stack: LocalStack, block: int) -> tuple[list[Row], Rejections]:
    """Return five rows, and the rejected ones by index."""
    good = attested_row(stack, f"+1555{block}001")
    rows = [
        good,
        attested_row(stack, f"+1555{block}002", **{"evidence.ip_address": "somewhere"}),
        good,
        attested_row(
            stack, f"+1555{block}003", phone_number_id="00000000-0000-4000-8000-000000000000"
        ),
        attested_row(stack, "12", **{"evidence.captured_at": "yesterday"}),
    ]
    invalid = "VALIDATION_FAILED"
    address = "evidence.ip_address: must be a valid IP address"
    several = "contact_number: must be E.164; evidence.captured_at: must be an RFC 3339 timestamp"
    return rows, [
        {"row": 1, "code": invalid, "reason": address},
        {"row": 3, "code": "NOT_FOUND", "reason": "phone_number_id: not found"},
        {"row": 4, "code": invalid, "reason": several},
    ]


def bulk_rows(_stack: LocalStack, block: int) -> tuple[list[Row], Rejections]:
    """Return five rows, and the rejected ones by index."""
    good = bulk_row(block, f"+1555{block}001")
    rows = [
        good,
        bulk_row(2, "+19", date_of_consent="2026-04-26"),
        good,
        bulk_row(3, f"+1555{block}002", status="maybe"),
        bulk_row(4, f"+1555{block}003", correlation_id="x"),
    ]
    contact_and_date = "INVALID_CONTACT_ID; INVALID_DATE_OF_CONSENT"
    reported = [
        (1, contact_and_date, f"{2:032x}"),
        (3, "INVALID_STATUS", f"{3:032x}"),
        (4, "INVALID_CORRELATION_ID", "x"),
    ]
    return rows, [
        {"row": row, "code": "30646", "reason": reason, "correlation_id": sent}
        for row, reason, sent in reported
    ]


def drop(stack: LocalStack, file: Path, wire: str) -> tuple[int, dict[str, Any]]:
    """Drop a file by the command, and return its exit code and the printed summary."""
    org_id = stack.organization["org_id"]
    ran = stack.run("drop", str(file), "--org", org_id, "--wire", wire, "--json")
    assert ran.stderr == ""
    return ran.returncode, json.loads(ran.stdout)


def caller_of(stack: LocalStack, api_key: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {api_key}"}
    return httpx.Client(base_url=stack.api_url, headers=headers, timeout=60)


@pytest.mark.parametrize(
    ("wire", "make", "name", "write", "first_row", "block"),
    [
        (ATTESTED, attested_rows, "1.csv", as_csv, 2, 5551),
        (ATTESTED, attested_rows, "2.jsonl.gz", as_jsonl_gz, 1, 5552),
        (BULK, bulk_rows, "3.csv", as_csv, 2, 5553),
        (BULK, bulk_rows, "4.jsonl.gz", as_jsonl_gz, 1, 5554),
    ],
)
def test_each_row_of_a_file_is_stored_or_reported(
    stack: LocalStack,
    tmp_path: Path,
    wire: str,
    make: Callable[[LocalStack, int], tuple[list[Row], Rejections]],
    name: str,
    write: Callable[[Sequence[Row]], bytes],
    first_row: int,
    block: int,
) -> None:
    rows, rejected_rows = make(stack, block)
    file = tmp_path / name
    file.write_bytes(write(rows))
    exit_code, summary = drop(stack, file, wire)
    dropped = dropped_as(stack, f"drops/{stack.organization['org_id']}/{wire}/{name}")
    assert exit_code == 1
    assert summary.pop("started_at") < summary.pop("finished_at")
    assert summary == {
        "import_id": dropped.import_id,
        "state": "completed",
        "rows": 5,
        "accepted": 1,
        "duplicates": 1,
        "rejected": 3,
        "rejected_by_code": Counter(one["code"] for one in rejected_rows),
        "source": {"bucket": dropped.bucket, "key": dropped.key, "version": dropped.version},
    }
    lines = report(stack, dropped, "rejected.jsonl").splitlines()
    assert [json.loads(line) for line in lines] == [
        one | {"row": one["row"] + first_row} for one in rejected_rows
    ]


GUIDE = (PROJECT / "docs" / "guides" / "file-imports.md").read_text()


@pytest.mark.parametrize("name", sorted(path.name for path in (PROJECT / "examples").iterdir()))
def test_example_is_imported_as_documented(stack: LocalStack, name: str) -> None:
    exit_code, summary = drop(stack, PROJECT / "examples" / name, name.split(".")[0])
    rows, accepted, duplicates, rejected = (
        summary[count] for count in ("rows", "accepted", "duplicates", "rejected")
    )
    assert f"| `{name}` | {rows} | {accepted} | {rejected} |\n" in GUIDE
    assert (exit_code, duplicates) == (min(rejected, 1), 0)
    source = summary["source"]
    dropped = parse_key(source["bucket"], source["key"], source["version"])
    assert dropped is not None
    lines = report(stack, dropped, "rejected.jsonl").decode()
    assert lines.count("\n") == rejected
    assert f"```json\n{lines}```" in GUIDE or not lines


def test_every_row_of_a_repeated_file_is_a_duplicate(stack: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "again.csv"
    file.write_bytes(as_csv([bulk_row(n, f"+15555555{n:03}") for n in range(3)]))
    first, second = drop(stack, file, BULK), drop(stack, file, BULK)
    counted = [(code, one["accepted"], one["duplicates"]) for code, one in (first, second)]
    assert counted == [(0, 3, 0), (0, 0, 3)]
    assert first[1]["import_id"] != second[1]["import_id"]


def test_file_name_with_spaces_plus_and_unicode_is_imported(
    stack: LocalStack, tmp_path: Path
) -> None:
    file = tmp_path / "März + été 100%20 ☎.jsonl"
    file.write_text(json.dumps(nested(attested_row(stack, "+15555556001"))))
    exit_code, summary = drop(stack, file, ATTESTED)
    assert (exit_code, summary["accepted"]) == (0, 1)
    assert summary["source"]["key"].endswith(f"/{file.name}")


def test_file_is_imported_by_http_only(stack: LocalStack) -> None:
    content = (PROJECT / "examples" / "attested.csv").read_bytes()
    digest = sha256(content).hexdigest()
    with caller_of(stack, stack.organization["api_key"]) as caller:
        announced = caller.post(
            "/v1/imports",
            json={"wire": ATTESTED, "format": "csv", "size": len(content), "sha256": digest},
        ).json()
        upload = announced["upload"]
        put = httpx.request(
            upload["method"], upload["url"], headers=upload["headers"], content=content, timeout=60
        )
        assert (announced["state"], put.status_code) == ("awaiting_upload", 200)
        route = f"/v1/imports/{announced['import_id']}"
        assert eventually(lambda: caller.get(route).json()["state"] == "completed")
        reached = caller.get(route).json()
        newest = caller.get("/v1/imports?limit=1").json()["imports"][0]

    assert (reached["rows"], reached["rejected"]) == (3, 2)
    assert newest["import_id"] == announced["import_id"]
    rejected = httpx.get(reached["reports"]["rejected"]).text
    assert rejected
    assert rejected in GUIDE


@pytest.fixture
def stranger(stack: LocalStack) -> Iterator[httpx.Client]:
    """A caller of another organization."""
    with caller_of(stack, organizations.create(stack)["api_key"]) as caller:
        yield caller


VALID = {"wire": ATTESTED, "format": "csv", "size": 10}


def test_import_of_another_organization_is_not_found(
    stack: LocalStack, stranger: httpx.Client
) -> None:
    with caller_of(stack, stack.organization["api_key"]) as owner:
        import_id = owner.post("/v1/imports", json=VALID).json()["import_id"]
        assert owner.get(f"/v1/imports/{import_id}").status_code == 200
    anothers, nobodys = (stranger.get(f"/v1/imports/{each}") for each in (import_id, "0" * 32))

    without_ids = [
        (response.status_code, response.text.replace(response.headers["X-Request-Id"], ""))
        for response in (anothers, nobodys)
    ]
    assert without_ids[0] == without_ids[1]
    assert (anothers.status_code, anothers.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert anothers.headers.keys() == nobodys.headers.keys()


def test_imports_are_listed_page_by_page(stranger: httpx.Client) -> None:
    announced = [stranger.post("/v1/imports", json=VALID).json()["import_id"] for _ in range(5)]
    pages: list[list[str]] = []
    query = {"limit": "2"}
    while True:
        page = stranger.get("/v1/imports", params=query).json()
        pages.append([one["import_id"] for one in page["imports"]])
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one for page in pages for one in page] == announced[::-1]


def test_the_hundred_and_first_open_announcement_is_a_429(stranger: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(stranger.post, "/v1/imports", json=VALID) for _ in range(100)]
        assert {call.result().status_code for call in calls} == {201}

    refused = stranger.post("/v1/imports", json=VALID)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
    assert 0 < int(refused.headers["Retry-After"]) <= 3600


def test_a_link_of_a_revoked_key_stores_nothing(stack: LocalStack, deployed: Stack) -> None:
    tenant = organizations.create(stack)
    first, second = (
        credentials.add_api_key(deployed, tenant["org_id"], [credentials.CAPTURE]) for _ in range(2)
    )
    content = json.dumps(bulk_row(1, "+15555557001")).encode()
    sent = {"wire": BULK, "format": "jsonl", "size": len(content)}
    with caller_of(stack, first["api_key"]) as caller:
        announced = caller.post("/v1/imports", json=sent).json()
    deployed.entries.revoke(first["key_id"], datetime.now(UTC))

    upload = announced["upload"]
    httpx.put(upload["url"], headers=upload["headers"], content=content).raise_for_status()
    with caller_of(stack, second["api_key"]) as caller:
        route = f"/v1/imports/{announced['import_id']}"
        assert eventually(lambda: caller.get(route).json()["state"] == "failed")
        reached = caller.get(route).json()
    assert reached["reason"] == "the key that announced the upload is revoked or expired"
    assert deployed.ledger.history(tenant["org_id"], "+15555557001") == []


def test_an_announcement_expires_without_its_upload(
    stranger: httpx.Client, deployed: Stack
) -> None:
    import_id = stranger.post("/v1/imports", json=VALID).json()["import_id"]
    route = f"/v1/imports/{import_id}"
    assert stranger.get(route).json()["state"] == "awaiting_upload"
    deployed.dynamodb.update_item(
        TableName=deployed.tables["imports"],
        Key={"import_id": {"S": import_id}, "item": {"S": "IMPORT"}},
        UpdateExpression="SET expires_at = :past",
        ExpressionAttributeValues={":past": {"S": "2026-04-26T12:00:00.000000Z"}},
    )
    assert stranger.get(route).json()["state"] == "expired"


BAD_ANNOUNCEMENTS: list[tuple[str, int, dict[str, str] | None]] = [
    ("", 400, None),
    ("[]", 400, None),
    ("{", 400, None),
    (json.dumps(VALID | {"size": 0}), 422, {"size": "must be 1..5368709120 bytes"}),
    ('{"wire": "both"}', 422, dict.fromkeys(["format", "size"], "is required")),
]


@pytest.mark.parametrize(("body", "status", "details"), BAD_ANNOUNCEMENTS)
def test_invalid_announcement_is_rejected(
    stack: LocalStack, body: str, status: int, details: dict[str, str] | None
) -> None:
    with caller_of(stack, stack.organization["api_key"]) as caller:
        answer = caller.post("/v1/imports", content=body)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert error.get("details", {}).items() >= (details or {}).items()
    assert answer.headers["X-Request-Id"] == error["request_id"]


def test_file_of_an_unknown_organization_fails(stack: LocalStack, deployed: Stack) -> None:
    key = "drops/org_nobody/attested/1.csv"
    content = as_csv([attested_row(stack, "+15555557001")])
    s3(stack).put_object(Bucket=stack.state["drops_bucket"], Key=key, Body=content)
    dropped = dropped_as(stack, key)
    assert eventually(lambda: state(deployed, dropped.import_id) == "failed")
    shown = stack.ask("import", "show", dropped.import_id)
    assert (shown["state"], shown["rows"]) == ("failed", 0)
    assert shown["reason"] == "there is no such organization"


def test_exit_code_shows_that_an_import_failed(stack: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "plain.csv.gz"
    file.write_bytes(b"not gzip")
    exit_code, summary = drop(stack, file, BULK)
    assert (exit_code, summary["state"], summary["reason"]) == (2, "failed", "must be gzip")


UNABLE = {
    "missing": ("nothing.csv", [], "cannot be read: No such file"),
    "folder": ("folder.csv", [], "cannot be read: Is a directory"),
    "name": ("a.txt", [], "must end in .jsonl"),
    "organization": ("a.csv", ["--org", "org_nobody"], "unknown organization org_nobody"),
    "stack": ("a.csv", ["--stack", "nothing", "--region", "nowhere"], ""),
}


@pytest.mark.parametrize(("name", "options", "reason"), UNABLE.values(), ids=UNABLE)
def test_upload_that_fails_is_reported_in_one_line(
    stack: LocalStack, tmp_path: Path, name: str, options: Sequence[str], reason: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "a.csv").touch()
    org = ("--org", stack.organization["org_id"])
    ran = stack.run("drop", str(tmp_path / name), *org, "--wire", BULK, *options)

    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert reason in ran.stderr
