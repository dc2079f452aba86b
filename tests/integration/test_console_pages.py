"""The pages of the console, on the local engine."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from consents.aws.dynamodb import encode_item
from consents.domain.record import ConsentRecord, Status, timestamp
from consents.domain.ulid import new_ulid
from consents.http import json_api
from consents.imports.drop import parse_key
from consents.imports.import_items import import_key, listed_as
from consents_cli.access_log import Action, Search, open_access_log

from tests.factories import (
    CHECKBOX,
    NOW,
    TEXT,
    attested_record,
    bulk_record,
    item_json,
    receipt,
    verbal_json,
)
from tests.integration.conftest import Tenant
from tests.integration.drops import DROPS_BUCKET
from tests.integration.operators import ARN, Operator, token_in, watched

pytestmark = pytest.mark.usefixtures("engine")

CONTACT = "+15554443333"
MG = "MG00000000000000000000000000000001"


@pytest.fixture
def operator() -> Operator:
    """An operator who has opened the link."""
    return Operator().open()


def store(operator: Operator, tenant: Tenant, *records: ConsentRecord, at: datetime = NOW) -> None:
    """Store records as if one request had brought them."""
    stored = operator.stack.ledger.append(
        tenant.org_id, records, receipt(received_at=at), lambda: 9.0
    )
    assert all(stored)


def stated(opted_in: bool, captured_at: str, **evidence: str) -> ConsentRecord:
    """Return a record of the contact for the organization's sender."""
    shown = verbal_json()["evidence"] | {"captured_at": captured_at} | evidence
    return attested_record(verbal_json() | {"opted_in": opted_in, "evidence": shown})


def words(response: httpx.Response) -> str:
    """Return the text of a page without its markup."""
    assert response.status_code in (200, 201, 422), response.text
    return " ".join(re.sub(r"<[^>]+>", " ", response.text).split())


# ---------------------------------------------------------------- find


@pytest.mark.parametrize(
    "typed", [CONTACT, "+1 555 444 3333", "+1 (555) 444-3333", " +1.555.444.3333 "]
)
def test_a_number_is_found_however_it_is_typed(
    operator: Operator, tenant: Tenant, typed: str
) -> None:
    assert "+1 555 444 3333" in words(operator.find(tenant.org_id, typed))


def test_a_consent_id_finds_its_contact_and_sender(operator: Operator, tenant: Tenant) -> None:
    store(operator, tenant, stated(True, "2026-04-26T12:00:00Z"))
    store(operator, tenant, bulk_record(item_json(1, contact_id=CONTACT)))
    consent_id = operator.stack.consent_ids.seal(tenant.org_id, MG, CONTACT)
    shown = words(operator.find(tenant.org_id, consent_id))
    assert "1 record " in shown
    assert "Bulk Consents API, website" in shown


@pytest.mark.parametrize(
    ("sought", "problem"),
    [
        ("5554443333", "Not understood: type a number with its country code"),
        ("+1555", "Not understood"),
        ("Jo", "Not understood"),
        ("a" * 48, "The organization has no such consent id."),
        ("0" * 32, "There is no import of this id"),
    ],
)
def test_what_is_not_found_says_what_to_do(
    operator: Operator, tenant: Tenant, sought: str, problem: str
) -> None:
    response = operator.post("/", sought=sought, org_id=tenant.org_id)
    assert response.status_code == 422
    assert problem in words(response)
    assert f'value="{sought}"' in response.text


def test_a_request_id_leads_to_its_request(operator: Operator) -> None:
    request_id = new_ulid(NOW)
    response = operator.post("/", sought=request_id.lower())
    assert response.headers["location"] == f"/requests/{request_id}"
    row = operator.post("/", sought=f"{'a' * 32}/17")
    assert row.headers["location"] == f"/imports/{'a' * 32}"


def test_last_contacts_are_listed_once_and_newest_first(operator: Operator, tenant: Tenant) -> None:
    numbers = [f"+1555444{number:04}" for number in range(12)]
    for number in [*numbers, numbers[5]]:
        operator.find(tenant.org_id, number)
    listed = re.findall(r"\+1 555 444 (\d{4})</b>", operator.get("/").text)
    assert listed == [
        "0005",
        "0011",
        "0010",
        "0009",
        "0008",
        "0007",
        "0006",
        "0004",
        "0003",
        "0002",
    ]


# ---------------------------------------------------------------- contact


def test_an_unknown_number_says_that_it_may_not_be_texted(
    operator: Operator, tenant: Tenant
) -> None:
    shown = words(operator.find(tenant.org_id, CONTACT))
    assert "Nothing is recorded about this number: you may not text it." in shown
    assert "No +1 555 000 1111 Nothing is recorded about this sender." in shown


def test_each_sender_has_its_verdict_with_the_reason(operator: Operator, tenant: Tenant) -> None:
    store(operator, tenant, attested_record(CHECKBOX))
    store(operator, tenant, bulk_record(item_json(1, contact_id=CONTACT)))
    shown = words(operator.find(tenant.org_id, CONTACT))
    assert (
        "Yes +1 555 000 1111 Opted in: Attested Consent API, checkbox. Since 26 Apr 2026, 12:00 UTC"
    ) in shown
    assert f"No {MG} Opted out: Bulk Consents API, website. Since 28 Feb 2025, 10:05 UTC" in shown


def test_each_record_says_what_it_does(operator: Operator, tenant: Tenant) -> None:
    store(operator, tenant, stated(True, "2026-04-01T00:00:00Z"), at=NOW)
    store(operator, tenant, stated(False, "2026-04-20T00:00:00Z"), at=NOW + timedelta(hours=1))
    store(operator, tenant, stated(True, "2026-04-10T00:00:00Z"), at=NOW + timedelta(hours=2))
    shown = words(operator.find(tenant.org_id, CONTACT))
    assert "Opted out 20 Apr 2026, 00:00 UTC Counts" in shown
    assert "Opted in 10 Apr 2026, 00:00 UTC Arrived late, does not count" in shown
    assert "Opted in 1 Apr 2026, 00:00 UTC Superseded" in shown


def test_only_what_counts_is_shown_on_request(operator: Operator, tenant: Tenant) -> None:
    store(operator, tenant, stated(True, "2026-04-01T00:00:00Z"))
    store(operator, tenant, stated(False, "2026-04-20T00:00:00Z"))
    url = operator.post("/", sought=CONTACT, org_id=tenant.org_id).headers["location"]
    assert "2 records" in words(operator.get(url))
    shown = words(operator.get(f"{url}?counting"))
    assert "1 record " in shown
    assert "Superseded" not in shown


def test_consents_of_another_organization_are_not_found(
    operator: Operator, tenant: Tenant, new_tenant: Any
) -> None:
    url = operator.post("/", sought=CONTACT, org_id=tenant.org_id).headers["location"]
    other = new_tenant()
    response = operator.get(url.replace(tenant.org_id, other.org_id))
    assert (response.status_code, "no such consent id" in response.text) == (404, True)


# ---------------------------------------------------------------- record


def record_page(operator: Operator, tenant: Tenant, record: ConsentRecord) -> httpx.Response:
    """Return the page of a record of the contact."""
    url = operator.post("/", sought=CONTACT, org_id=tenant.org_id).headers["location"]
    return operator.get(f"{url}/records/{record.digest()}")


@pytest.mark.parametrize(
    "record",
    [
        attested_record(CHECKBOX),
        bulk_record(item_json(1, contact_id=CONTACT)),
        bulk_record(
            {k: v for k, v in item_json(2, contact_id=CONTACT).items() if k != "date_of_consent"}
        ),
    ],
    ids=["attested", "dated", "undated"],
)
def test_the_digest_of_a_stored_record_fits(
    operator: Operator, tenant: Tenant, record: ConsentRecord
) -> None:
    store(operator, tenant, record)
    shown = words(record_page(operator, tenant, record))
    assert "Digest of the record Fits." in shown
    assert "Does not fit" not in shown


def test_a_record_shows_every_field_of_its_evidence(operator: Operator, tenant: Tenant) -> None:
    record = attested_record(CHECKBOX)
    store(operator, tenant, record)
    shown = words(record_page(operator, tenant, record))
    for value in (*CHECKBOX["evidence"].values(), receipt().request_id, record.digest(), TEXT):
        assert value in shown


def test_a_changed_record_does_not_fit(operator: Operator, tenant: Tenant) -> None:
    record = stated(False, "2026-04-20T00:00:00Z")
    store(operator, tenant, record)
    dynamodb, pk = operator.stack.dynamodb, {"S": f"{tenant.org_id}#{CONTACT}"}
    (item,) = dynamodb.query(
        TableName="LedgerTable",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": pk},
    )["Items"]
    dynamodb.put_item(TableName="LedgerTable", Item=item | {"status": {"S": "opt-in"}})
    shown = words(record_page(operator, tenant, record))
    assert "Digest of the record Does not fit." in shown
    assert "Hash of the text Fits." in shown


# ---------------------------------------------------------------- revoke

REVOKED = {"sender": "+15550001111", "method": "phone", "reason": "TICKET-7"}


def revoke(operator: Operator, tenant: Tenant, **changes: str) -> httpx.Response:
    """Send the form that revokes consent of the contact."""
    url = operator.post("/", sought=CONTACT, org_id=tenant.org_id).headers["location"]
    assert token_in(operator.get(f"{url}/revoke")) == operator.session.form_token
    return operator.post(f"{url}/revoke", **REVOKED | changes)


def test_a_revocation_is_a_record_of_the_api(operator: Operator, tenant: Tenant) -> None:
    store(operator, tenant, attested_record(CHECKBOX))
    page = operator.follow(
        revoke(operator, tenant, text="Please\r\nstop", said_at="2026-04-27T08:00")
    )
    assert "The revocation is stored." in words(page)
    newest, before = operator.stack.ledger.history(tenant.org_id, CONTACT)
    assert (newest.status, newest.wire, newest.sender) == ("opt-out", "revocation", "+15550001111")
    assert newest.evidence == {
        "method": "phone",
        "revoked_at": "2026-04-27T08:00:00Z",
        "text": "Please\nstop",
    }
    assert newest.effective_at == "2026-04-27T08:00:00.000000Z"
    assert before.status is Status.OPT_IN


def test_the_reason_of_a_revocation_is_in_the_access_log_only(
    operator: Operator, tenant: Tenant
) -> None:
    revoke(operator, tenant, sender="*")
    newest, *_ = operator.entries(CONTACT)
    assert (newest.action, newest.reason, newest.who) == ("consent.revoked", "TICKET-7", ARN)
    (record,) = operator.stack.ledger.history(tenant.org_id, CONTACT)
    assert (record.sender, record.evidence) == ("*", {"method": "phone"})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sender": "+15550009999"}, "Choose which sender"),
        ({"sender": ""}, "Choose which sender"),
        ({"method": "telepathy"}, "Choose how the contact said it."),
        ({"reason": " "}, "Say why you do this"),
        ({"reason": "x" * 201}, "Say why you do this"),
        ({"said_at": "yesterday"}, "Correct the date"),
        ({"said_at": "2999-01-01T00:00"}, "it is in the future"),
        ({"text": "x" * 1001}, "Shorten what the contact said"),
    ],
)
def test_an_invalid_revocation_is_not_stored(
    operator: Operator, tenant: Tenant, changes: dict[str, str], problem: str
) -> None:
    response = revoke(operator, tenant, **changes)
    assert response.status_code == 422
    assert problem in words(response)
    assert operator.stack.ledger.history(tenant.org_id, CONTACT) == []


# ---------------------------------------------------------------- organizations and keys


def test_an_organization_shows_its_senders_and_keys(operator: Operator, tenant: Tenant) -> None:
    assert "Test" in words(operator.get("/organizations"))
    shown = words(operator.get(f"/organizations/{tenant.org_id}"))
    assert tenant.phone_number_id in shown
    assert f"{tenant.key_id} consent:check, consent:read, consent:write live" in shown
    assert operator.get("/organizations/org_nobody").status_code == 404


KEY = {"wire": "attested", "consent:check": "on", "expires": "30d", "reason": "TICKET-8"}


def test_a_key_is_shown_once_and_works(operator: Operator, tenant: Tenant) -> None:
    url = f"/organizations/{tenant.org_id}"
    response = operator.post(f"{url}/keys", **KEY)
    found = re.search(r"am_live_\w+", response.text)
    assert (response.status_code, found is not None) == (201, True)
    assert found is not None
    secret = json_api.secret(f"Bearer {found[0]}")
    caller = operator.stack.directory.authenticate(secret, datetime.now(UTC))
    assert caller.organization.org_id == tenant.org_id
    assert caller.credential.scopes == {"consent:check"}
    assert found[0] not in operator.get(url).text
    assert caller.credential.key_id in operator.get(url).text


def test_a_key_of_the_bulk_consents_api_has_a_sid(operator: Operator, tenant: Tenant) -> None:
    response = operator.post(
        f"/organizations/{tenant.org_id}/keys", **KEY | {"wire": "bulk-consents", "expires": ""}
    )
    assert re.search(r"SK[0-9a-f]{32}", response.text)
    assert "Expires never" in words(response)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"wire": "fax"}, "Choose the API"),
        ({"expires": "1s"}, "Choose when the key expires."),
        ({"reason": ""}, "Say why you do this"),
    ],
)
def test_an_invalid_key_is_not_created(
    operator: Operator, tenant: Tenant, changes: dict[str, str], problem: str
) -> None:
    before = operator.stack.entries.entry(tenant.org_id)
    response = operator.post(f"/organizations/{tenant.org_id}/keys", **KEY | changes)
    assert (response.status_code, problem in words(response)) == (422, True)
    none = {name: value for name, value in KEY.items() if name != "consent:check"}
    assert "at least one scope" in words(
        operator.post(f"/organizations/{tenant.org_id}/keys", **none)
    )
    assert operator.stack.entries.entry(tenant.org_id) == before


def test_a_key_is_revoked_with_a_reason(operator: Operator, tenant: Tenant) -> None:
    url = f"/organizations/{tenant.org_id}"
    operator.post(f"{url}/keys", **KEY)
    key = operator.stack.entries.entry(tenant.org_id).credentials[-1]
    assert "cannot be undone" in words(operator.get(f"{url}/keys/{key.key_id}/revoke"))
    assert operator.post(f"{url}/keys/{key.key_id}/revoke").status_code == 422
    page = operator.follow(operator.post(f"{url}/keys/{key.key_id}/revoke", reason="leaked"))
    assert "The key is revoked." in words(page)
    assert operator.stack.entries.entry(tenant.org_id).credentials[-1].revoked_at is not None
    today = Search(day=datetime.now(UTC).date().isoformat())
    made = [
        (one.action, one.reason)
        for one in open_access_log(operator.stack).find(today, 100)[0]
        if one.org_id == tenant.org_id
    ]
    assert made == [("key.revoked", f"{key.key_id}: leaked"), ("key.created", "TICKET-8")]
    assert operator.get(f"{url}/keys/nothing/revoke").status_code == 404


# ---------------------------------------------------------------- charts


def test_charts_of_the_stack_are_those_of_its_metrics(operator: Operator, tenant: Tenant) -> None:
    assert "Not available here: the stack has no metric of these days." in words(
        operator.get("/organizations")
    )
    now = datetime.now(UTC)
    service = {"Name": "service", "Value": "consent-ledger"}
    for name, dimensions, value, ago in (
        ("RecordsAccepted", {}, 1200, 0),
        ("RecordsAccepted", {}, 34, 3),
        ("ContactsChecked", {"reason": "OPTED_IN"}, 5, 0),
        ("ContactsChecked", {"reason": "NO_RECORD"}, 6, 0),
        ("RecordsRejected", {"code": "30646"}, 7, 13),
        ("RecordsAccepted", {}, 999, 20),
    ):
        metric: Any = {
            "MetricName": name,
            "Dimensions": [*({"Name": k, "Value": v} for k, v in dimensions.items()), service],
            "Timestamp": now - timedelta(days=ago),
            "Value": value,
        }
        operator.stack.cloudwatch().put_metric_data(Namespace="ConsentLedger", MetricData=[metric])
    page = operator.get("/organizations")
    for label in ("Captures per day, 1,234 in all", "Checks per day, 11 in all"):
        assert f'aria-label="{label}"' in page.text
    assert 'aria-label="Rejected: 30646 per day, 7 in all"' in page.text
    assert f"<title>{now:%Y-%m-%d}: 1,200</title>" in page.text
    usage = words(operator.get(f"/organizations/{tenant.org_id}"))
    assert "Not available here: the logs could not be summed up." in usage


# ---------------------------------------------------------------- imports


def put_imports(operator: Operator, org_id: str, count: int, rejected: int = 0) -> list[str]:
    """Store ended imports, the first the newest, and the report of the last; return their ids."""
    ids = []
    for number in range(count):
        key = f"drops/{org_id}/attested/file-{number}.csv"
        drop = parse_key(DROPS_BUCKET, key, f"v{number}")
        assert drop is not None
        started = NOW - timedelta(seconds=number)
        counted = {"rejected_VALIDATION_FAILED": rejected} if rejected else {}
        item = (
            import_key(drop.import_id)
            | counted
            | {
                "org_id": org_id,
                "bucket": drop.bucket,
                "key": key,
                "version": drop.version,
                "listed_as": listed_as(drop, started),
                "started_at": timestamp(started),
                "parts": 1,
                "parts_done": 1,
                "accepted": 3,
                "duplicates": 0,
                "outcome": "completed",
                "finished_at": timestamp(NOW),
                "is_reported": 1,
            }
        )
        ids.append((drop, item))
    for first in range(0, count, 25):
        puts: Any = [
            {"PutRequest": {"Item": encode_item(item)}} for _, item in ids[first : first + 25]
        ]
        operator.stack.dynamodb.batch_write_item(
            RequestItems={operator.stack.outputs["ImportsTable"]: puts}
        )
    lines = [{"row": row, "code": "VALIDATION_FAILED", "reason": "=1+1"} for row in range(rejected)]
    report = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    operator.stack.s3().put_object(
        Bucket=ids[-1][0].bucket, Key=ids[-1][0].report_key("rejected.jsonl"), Body=report
    )
    return [drop.import_id for drop, _ in ids]


@pytest.mark.usefixtures("drops")
def test_imports_are_listed_fifty_a_page(operator: Operator, tenant: Tenant) -> None:
    ids = put_imports(operator, tenant.org_id, 120)
    url, listed = f"/organizations/{tenant.org_id}/imports", []
    while url:
        page = operator.get(url)
        listed.append(re.findall('href="/imports/([0-9a-f]{32})"', page.text))
        older = re.search('href="([^"]+)">Older', page.text)
        url = older[1].replace("&amp;", "&") if older else ""
    assert [len(one) for one in listed] == [50, 50, 20]
    assert [one for page in listed for one in page] == ids
    assert operator.get("/imports").headers["location"].endswith(f"{tenant.org_id}/imports")


@pytest.mark.usefixtures("drops")
def test_rejected_rows_are_shown_fifty_a_page(operator: Operator, tenant: Tenant) -> None:
    (import_id,) = put_imports(operator, tenant.org_id, 1, rejected=120)
    url, rows = f"/imports/{import_id}", []
    while url:
        page = operator.get(url)
        rows.append([*map(int, re.findall(r'<td class="right">([0-9]+)</td>', page.text))])
        following = re.search('href="([^"]+)">Next rows', page.text)
        url = following[1] if following else ""
    assert [len(one) for one in rows] == [50, 50, 20]
    assert [one for page in rows for one in page] == [*range(120)]
    shown = words(operator.get(f"/imports/{import_id}"))
    assert "VALIDATION_FAILED 120 rows: a field breaks its rule" in shown
    assert "completed Every row is counted and reported." in shown


@pytest.mark.usefixtures("drops")
def test_rejected_rows_are_downloaded_as_json_lines_and_as_csv(
    operator: Operator, tenant: Tenant
) -> None:
    (import_id,) = put_imports(operator, tenant.org_id, 1, rejected=2)
    lines = operator.get(f"/imports/{import_id}/rejected.jsonl")
    assert [json.loads(line)["row"] for line in lines.text.splitlines()] == [0, 1]
    table = operator.get(f"/imports/{import_id}/rejected.csv")
    assert [*csv.reader(io.StringIO(table.text))] == [
        ["row", "code", "reason"],
        ["0", "VALIDATION_FAILED", "'=1+1"],
        ["1", "VALIDATION_FAILED", "'=1+1"],
    ]
    assert table.headers["content-disposition"].startswith("attachment")
    assert operator.get(f"/imports/{'0' * 32}/rejected.csv").status_code == 404


def test_an_organization_without_imports_says_how_to_begin(
    operator: Operator, tenant: Tenant
) -> None:
    shown = words(operator.get(f"/organizations/{tenant.org_id}/imports"))
    assert f"consents drop FILE --org {tenant.org_id}" in shown


# ---------------------------------------------------------------- audit


def test_the_audit_shows_who_looked_and_filters(operator: Operator, tenant: Tenant) -> None:
    operator.find(tenant.org_id, CONTACT)
    shown = words(operator.get("/audit"))
    assert "jo@acme.example looked at a contact Test" in shown
    found = operator.follow(operator.post("/audit", contact=CONTACT))
    assert "jo@acme.example looked at a contact" in words(found)
    nobody = operator.follow(operator.post("/audit", contact="+15554449999"))
    assert "Nobody looked" in words(nobody)
    assert operator.post("/audit", contact="Jo").status_code == 422
    assert operator.get("/audit?day=today").status_code == 404
    assert operator.get("/audit?newest=x").status_code == 404


def test_the_audit_is_downloaded_as_csv(operator: Operator, tenant: Tenant) -> None:
    open_access_log(operator.stack).insert(
        Action.KEY_CREATED, tenant.org_id, reason="=HYPERLINK(1)"
    )
    rows = [*csv.DictReader(io.StringIO(operator.get("/audit.csv").text))]
    (own,) = (row for row in rows if row["org_id"] == tenant.org_id)
    assert (own["who"], own["action"], own["reason"]) == (ARN, "key.created", "'=HYPERLINK(1)")


# ---------------------------------------------------------------- many of them


def test_a_contact_with_a_thousand_records_costs_a_few_reads(
    operator: Operator, tenant: Tenant
) -> None:
    first = datetime(2020, 1, 1, tzinfo=UTC)
    store(
        operator,
        tenant,
        *(
            stated(number % 2 == 0, (first + timedelta(days=number)).isoformat())
            for number in range(1000)
        ),
    )
    with watched(operator.stack) as calls:
        page = operator.find(tenant.org_id, CONTACT)
    assert "1,000 records" in words(page)
    assert page.text.count("Full record") == 50
    names = [name for name, _ in calls]
    assert "Scan" not in names
    assert len(names) <= 6


@pytest.mark.usefixtures("drops")
def test_no_page_scans_a_table(operator: Operator, tenant: Tenant) -> None:
    (import_id,) = put_imports(operator, tenant.org_id, 1, rejected=1)
    store(operator, tenant, attested_record(CHECKBOX))
    with watched(operator.stack) as calls:
        contact = operator.post("/", sought=CONTACT, org_id=tenant.org_id).headers["location"]
        for path in (
            "/",
            contact,
            f"{contact}/revoke",
            "/organizations",
            f"/organizations/{tenant.org_id}",
            f"/organizations/{tenant.org_id}/imports",
            f"/imports/{import_id}",
            "/audit",
            f"/audit?who={ARN}",
        ):
            assert operator.get(path).status_code == 200
    assert {name for name, _ in calls} == {
        "BatchExecuteStatement",
        "BatchGetItem",
        "GetItem",
        "Query",
    }
