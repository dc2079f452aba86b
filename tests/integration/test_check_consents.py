"""POST /v1/consent/check: decisions over the ledger, and what they cost."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from urllib.parse import urlencode

import pytest
from consents.accounts.directory_writer import DirectoryWriter
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table
from consents.aws.errors import CallError
from consents.decisions.ledger import ContactReader
from consents.domain.errors import Unavailable
from consents.domain.rules import OptOutScope, Rules

from tests.integration.callers import item, record
from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.invocation import Response

CHECK, CAPTURE = "check_consents.three_contacts", "capture_consents.mixed"
BULK = "create_bulk_consents.two_items"
BOB, EVE = "+15550000001", "+15550000002"


type Ask = Callable[..., Response]


@pytest.fixture
def ask(invoke: Invoke, tenant: Tenant) -> Ask:
    """Check contacts for the sender of an organization."""

    def ask(*contacts: Any, by: Tenant = tenant, **body: Any) -> Response:
        sent = {"phone_number_id": by.phone_number_id, "contact_numbers": contacts} | body
        return invoke(CHECK, by.bearer, body=json.dumps(sent))

    return ask


@pytest.fixture
def capture(invoke: Invoke, tenant: Tenant) -> Callable[..., Response]:
    """Capture attested records."""

    def capture(*records: dict[str, Any], by: Tenant = tenant) -> Response:
        return invoke(CAPTURE, by.bearer, body=json.dumps({"records": records}))

    return capture


def reasons(response: Response) -> list[str]:
    return [result["reason"] for result in response.json["results"]]


def test_an_opt_in_allows_with_its_record(
    ask: Ask, capture: Callable[..., Response], tenant: Tenant
) -> None:
    capture(record(tenant, 1))
    response = ask(BOB)
    body = response.json
    (result,) = body["results"]

    assert (response.status, body["allowed"], body["refused"]) == (200, 1, 0)
    assert (body["sender_id"], body["rules_version"]) == (tenant.phone_number, 0)
    assert body["phone_number_id"] == tenant.phone_number_id
    assert (result["contact_number"], result["allowed"], result["reason"]) == (
        BOB,
        True,
        "OPTED_IN",
    )
    assert result["record"]["effective_at"] == "2026-04-26T12:00:00.000000Z"
    assert body["asked_at"] >= result["record"]["received_at"]
    assert response.headers["Cache-Control"] == "no-store"


def test_a_stop_by_the_other_api_is_seen_at_once(
    ask: Ask, invoke: Invoke, capture: Callable[..., Response], tenant: Tenant
) -> None:
    capture(record(tenant, 1))
    stop = item(tenant, 1, status="opt-out", date_of_consent="2026-04-27T12:00:00Z")
    invoke(BULK, tenant.basic, body=urlencode({"Items": json.dumps(stop)}))

    assert reasons(ask(BOB)) == ["OPTED_OUT"]


def test_results_have_the_length_and_order_of_the_contacts(
    ask: Ask, capture: Callable[..., Response], tenant: Tenant
) -> None:
    capture(record(tenant, 1))
    response = ask(EVE, BOB, "+19", None, BOB, {"a": 1})

    assert reasons(response) == [
        "NO_RECORD",
        "OPTED_IN",
        "INVALID_CONTACT",
        "INVALID_CONTACT",
        "OPTED_IN",
        "INVALID_CONTACT",
    ]
    assert [each["contact_number"] for each in response.json["results"]] == [
        EVE,
        BOB,
        None,
        None,
        BOB,
        None,
    ]
    undecided = response.json["results"][2]
    assert undecided["decision_id"] is None
    assert response.json["results"][0]["decision_id"] is not None
    assert response.json["results"][0]["consent_id"] is None


def test_another_organization_sees_no_record(
    ask: Ask, capture: Callable[..., Response], tenant: Tenant, new_tenant: NewTenant
) -> None:
    capture(record(tenant, 1))

    assert reasons(ask(BOB, by=new_tenant())) == ["NO_RECORD"]


def test_a_lapsed_plan_may_still_check(new_tenant: NewTenant, ask: Ask) -> None:
    assert ask(BOB, by=new_tenant(plan="starter")).status == 200


def test_a_key_that_may_only_write_may_not_check(new_tenant: NewTenant, ask: Ask) -> None:
    response = ask(BOB, by=new_tenant(scope="consent:write"))

    assert (response.status, response.json["error"]["code"]) == (403, "FORBIDDEN")


def test_a_check_reads_no_idempotency_key(
    invoke: Invoke, capture: Callable[..., Response], tenant: Tenant
) -> None:
    capture(record(tenant, 1))
    sent = json.dumps({"sender_id": tenant.phone_number, "contact_numbers": [BOB]})
    keyed = tenant.bearer | {"Idempotency-Key": "one"}
    assert reasons(invoke(CHECK, keyed, body=sent)) == ["OPTED_IN"]
    stop = {"contact_numbers": [BOB], "all_senders": True, "evidence": {"method": "reply"}}
    invoke("revoke_consents.all_senders", tenant.bearer, body=json.dumps(stop))

    assert reasons(invoke(CHECK, keyed, body=sent)) == ["OPTED_OUT"]


# ---------------------------------------------------------------- Rejected questions

BODIES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "no contacts": ({}, {"contact_numbers": "is required"}),
    "no array": ({"contact_numbers": BOB}, {"contact_numbers": "must be an array"}),
    "empty": (
        {"contact_numbers": []},
        {"contact_numbers": "must hold 1..1000 contacts, got 0"},
    ),
    "too many": (
        {"contact_numbers": [BOB] * 1001},
        {"contact_numbers": "must hold 1..1000 contacts, got 1001"},
    ),
    "over the allowance": (
        {"contact_numbers": [BOB] * 601},
        {"contact_numbers": "601 exceed the allowance of 600 a minute: split the batch"},
    ),
    "unknown member": (
        {"contact_numbers": [BOB], "at": "now"},
        {"at": "must not be sent"},
    ),
    "unknown member without a plain name": (
        {"contact_numbers": [BOB], "+15554443333 ": 1},
        {"?": "must not be sent"},
    ),
    "both senders": (
        {"contact_numbers": [BOB], "sender_id": "123456"},
        {"phone_number_id": "name one of phone_number_id, sender_id"},
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_question_that_is_not_understood_is_refused(
    case: str, invoke: Invoke, new_tenant: NewTenant
) -> None:
    by = new_tenant(contacts_per_minute=600)
    body, details = BODIES[case]
    sent = {"phone_number_id": by.phone_number_id} | body
    response = invoke(CHECK, by.bearer, body=json.dumps(sent))

    assert response.status == 422
    assert response.json["error"]["details"] == details


@pytest.mark.parametrize(
    ("sender", "details"),
    [
        ({}, {"phone_number_id": "name one of phone_number_id, sender_id"}),
        ({"phone_number_id": "x"}, {"phone_number_id": "must be a UUID"}),
        (
            {"sender_id": "*"},
            {"sender_id": "must be E.164, a short code or a messaging service SID"},
        ),
    ],
)
def test_a_sender_is_named_by_exactly_one_member(
    sender: dict[str, str], details: dict[str, str], invoke: Invoke, tenant: Tenant
) -> None:
    body = json.dumps({"contact_numbers": [BOB]} | sender)
    response = invoke(CHECK, tenant.bearer, body=body)

    assert (response.status, response.json["error"]["details"]) == (422, details)


def test_a_query_parameter_is_refused(invoke: Invoke, tenant: Tenant) -> None:
    body = json.dumps({"contact_numbers": [BOB], "sender_id": "123456"})
    parameters = {"dry_run": "true"}
    response = invoke(CHECK, tenant.bearer, body=body, queryStringParameters=parameters)

    assert response.json["error"]["details"] == {"dry_run": "must not be sent"}


def test_a_phone_number_id_of_nobody_is_not_found_after_the_limit(ask: Ask) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    response = ask(BOB, phone_number_id=unknown)

    assert (response.status, response.json["error"]["code"]) == (404, "NOT_FOUND")
    assert response.headers["RateLimit"].startswith('"contacts";r=599999;')


def test_a_body_over_256_kib_is_too_large(invoke: Invoke, tenant: Tenant) -> None:
    response = invoke(CHECK, tenant.bearer, body=json.dumps({"a": "x" * 256 * 1024}))

    assert (response.status, response.json["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


# ---------------------------------------------------------------- Limits


def test_contacts_are_spent_from_a_bucket_of_ten_times_the_records(
    ask: Ask, new_tenant: NewTenant
) -> None:
    response = ask(BOB, BOB, EVE, by=new_tenant(per_minute=100))

    assert response.headers["RateLimit-Policy"] == '"contacts";q=1000;w=60'
    assert response.headers["RateLimit"].startswith('"contacts";r=997;')


def test_a_check_spends_no_records(
    ask: Ask, capture: Callable[..., Response], new_tenant: NewTenant
) -> None:
    by = new_tenant(per_minute=2, contacts_per_minute=2)
    ask(BOB, EVE, by=by)

    assert capture(record(by, 1), record(by, 2), by=by).status == 200
    limited = ask(BOB, EVE, by=by)
    assert (limited.status, limited.json["error"]["code"]) == (429, "RATE_LIMITED")
    assert int(limited.headers["Retry-After"]) >= 1


# ---------------------------------------------------------------- Reads


class Counted:
    """A client that keeps its calls; some operations fail for some partitions."""

    def __init__(self, client: Boto3Client, broken: Sequence[str], more: dict[str, Any]) -> None:
        self._client, self._broken, self._more = client, broken, more
        self.queries: list[Any] = []

    def call_all(self, operation: str, parameters: Any, _may_begin: Any = None) -> list[Any]:
        self.queries += parameters
        return [
            CallError("ThrottlingException", is_transient=True)
            if any(contact in str(one) for contact in self._broken)
            else self._client.call(operation, {**one, **self._more})
            for one in parameters
        ]


@pytest.fixture
def counted(dynamodb: Any) -> Callable[..., tuple[Counted, ContactReader]]:
    """Make a reader whose calls are kept."""

    def counted(*broken: str, limit: int | None = None) -> tuple[Counted, ContactReader]:
        client = Boto3Client(lambda: dynamodb)
        kept = Counted(client, broken, {"Limit": limit} if limit else {})
        table = Table(kept, "LedgerTable", sleep=lambda _: None)  # type: ignore[arg-type]
        return kept, ContactReader(table)

    return counted


def test_a_contact_is_one_consistent_query_with_a_projection(
    counted: Callable[..., tuple[Counted, ContactReader]], tenant: Tenant
) -> None:
    client, reader = counted()
    reader.statements(tenant.org_id, [BOB, EVE], lambda: 25)

    assert len(client.queries) == 2
    assert all(query["ConsistentRead"] is True for query in client.queries)
    assert client.queries[0]["ProjectionExpression"] == "#sk, #status, #effective_at, #received_at"


def test_a_contact_that_cannot_be_read_is_absent(
    counted: Callable[..., tuple[Counted, ContactReader]], tenant: Tenant
) -> None:
    client, reader = counted(EVE)
    found = reader.statements(tenant.org_id, [BOB, EVE], lambda: 25)

    assert found == {BOB: []}
    assert len(client.queries) == 1 + 4


def test_a_partition_is_read_to_its_last_page(
    counted: Callable[..., tuple[Counted, ContactReader]],
    capture: Callable[..., Response],
    tenant: Tenant,
) -> None:
    dates = [f"2026-04-{day:02}T12:00:00Z" for day in range(1, 8)]
    for date in dates:
        evidence = record(tenant, 1)["evidence"] | {"captured_at": date}
        capture(record(tenant, 1, evidence=evidence))
    client, reader = counted(limit=2)
    found = reader.statements(tenant.org_id, [BOB], lambda: 25)

    assert sorted(each.effective_at for each in found[BOB]) == [
        date.replace("Z", ".000000Z") for date in dates
    ]
    assert len(client.queries) >= 4


def test_a_reader_without_time_reads_nothing(
    counted: Callable[..., tuple[Counted, ContactReader]], tenant: Tenant
) -> None:
    client, reader = counted()

    with pytest.raises(Unavailable):
        reader.statements(tenant.org_id, [BOB], lambda: -1)
    assert client.queries == []


def test_a_check_without_time_is_unavailable(invoke: Invoke, tenant: Tenant) -> None:
    body = json.dumps({"contact_numbers": [BOB], "sender_id": "123456"})
    response = invoke(CHECK, tenant.bearer, milliseconds=9_000, body=body)

    assert (response.status, response.json["error"]["code"]) == (503, "UNAVAILABLE")
    assert response.headers["Retry-After"] == "1"


# ---------------------------------------------------------------- Rules


@pytest.fixture
def set_rules(dynamodb: Any, tenant: Tenant) -> Callable[[Rules], None]:
    """Put rules in force, before the first call of the organization."""
    writer = DirectoryWriter(Table(Boto3Client(lambda: dynamodb), "DirectoryTable"))
    return lambda rules: writer.add_rules(tenant.org_id, rules, datetime.now(UTC))


def test_an_opt_in_expires_under_the_rules_of_its_prefix(
    ask: Ask,
    capture: Callable[..., Response],
    set_rules: Callable[[Rules], None],
    tenant: Tenant,
) -> None:
    set_rules(Rules(1, opt_in_expires={"+1555": 10, "+1": 3650}))
    capture(record(tenant, 1))
    body = ask(BOB).json
    (result,) = body["results"]

    assert (body["rules_version"], result["reason"], result["allowed"]) == (1, "EXPIRED", False)
    assert result["expires_at"] == "2026-05-06T12:00:00.000000Z"
    assert result["consent_id"] is not None


def test_an_opt_out_of_another_sender_counts_under_the_rule(
    ask: Ask,
    capture: Callable[..., Response],
    invoke: Invoke,
    set_rules: Callable[[Rules], None],
    tenant: Tenant,
) -> None:
    set_rules(Rules(1, OptOutScope.ORGANIZATION))
    capture(record(tenant, 1))
    stop = item(tenant, 1, status="opt-out", sender_id="123456") | {
        "date_of_consent": "2026-04-28T12:00:00Z"
    }
    invoke(BULK, tenant.basic, body=urlencode({"Items": json.dumps(stop)}))
    (result,) = ask(BOB).json["results"]

    assert (result["reason"], result["record"]["sender_id"]) == ("OPTED_OUT", "123456")


def test_a_decision_is_verified_under_the_rules_of_its_version(
    ask: Ask,
    capture: Callable[..., Response],
    invoke: Invoke,
    set_rules: Callable[[Rules], None],
    tenant: Tenant,
) -> None:
    set_rules(Rules(1, opt_in_expires={"+": 10}))
    capture(record(tenant, 1))
    answer = ask(BOB).json
    set_rules(Rules(2))
    kept = {name: answer[name] for name in ("asked_at", "sender_id", "rules_version")}
    sent = kept | {"result": answer["results"][0]}
    verified = invoke("verify_decision.not_genuine", tenant.bearer, body=json.dumps(sent)).json

    assert verified["genuine"] is True
    assert (verified["ledger"]["reason"], verified["ledger"]["agrees"]) == ("EXPIRED", True)


# ---------------------------------------------------------------- Logs and metrics


def test_a_check_is_logged_and_counted_by_reason(
    ask: Ask, logged: StringIO, metrics: Callable[[], list[dict[str, Any]]]
) -> None:
    metrics()
    ask(BOB, EVE, "+19")
    line = json.loads(logged.getvalue().splitlines()[-1])
    counted = {
        each["reason"]: each["ContactsChecked"] for each in metrics() if "ContactsChecked" in each
    }

    assert line["message"] == "request.completed"
    assert line["reasons"] == {"NO_RECORD": 2, "INVALID_CONTACT": 1}
    assert line["contacts"] == 3
    assert counted == {"NO_RECORD": [2.0], "INVALID_CONTACT": [1.0]}
    assert BOB not in logged.getvalue()
