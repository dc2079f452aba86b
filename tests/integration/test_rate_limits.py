"""Rate limits through the handlers, on a real engine."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectTimeoutError
from consents import wiring
from consents.capture.ledger import Ledger

from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.faults import BreakCall
from tests.integration.invocation import Response

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BULK, SINGLE = "capture_consents.mixed", "capture_consent.accepted"
BULK_CONSENTS = "create_bulk_consents.two_items"


def records(tenant: Tenant, count: int, start: int = 0) -> str:
    batch = [
        {
            "phone_number_id": tenant.phone_number_id,
            "contact_number": f"+1555{number:07}",
            "opted_in": True,
            "evidence": {
                "captured_at": "2026-04-26T12:00:00Z",
                "agreement_text": "Agreed.",
                "consent_method": "verbal",
            },
        }
        for number in range(start, start + count)
    ]
    return json.dumps({"records": batch})


def items(count: int) -> str:
    return "&".join(["Items=1"] * count)


def shown(answer: Response) -> tuple[str, str]:
    return answer.headers["RateLimit-Policy"], answer.headers["RateLimit"]


@pytest.mark.parametrize(
    ("per_minute", "count", "level"),
    [
        (60, 1, '"records";r=59;t=1'),
        (60, 60, '"records";r=0;t=60'),
        (7, 3, '"records";r=4;t=26'),
        (60_000, 1000, '"records";r=59000;t=1'),
    ],
)
def test_a_response_has_policy_level_and_reset(
    invoke: Invoke, new_tenant: NewTenant, per_minute: int, count: int, level: str
) -> None:
    tenant = new_tenant(per_minute=per_minute)

    answer = invoke(BULK, tenant.bearer, body=records(tenant, count))
    assert shown(answer) == (f'"records";q={per_minute};w=60', level)


@pytest.mark.parametrize(
    ("event", "changes", "status"),
    [
        (BULK, {"body": "{"}, 400),
        (BULK, {"body": '{"records": []}'}, 422),
        (BULK, {"body": "x" * (8 * 2**20 + 1)}, 413),
        ("capture_consents.wrong_content_type", {}, 415),
        ("capture_consent.invalid_fields", {}, 422),
        ("capture_consent.unknown_phone_number", {}, 404),
        (BULK_CONSENTS, {"body": ""}, 400),
        (BULK_CONSENTS, {"body": "x" * (8 * 2**20 + 1)}, 413),
    ],
)
def test_every_error_after_authentication_has_the_level(
    invoke: Invoke, tenant: Tenant, event: str, changes: dict[str, Any], status: int
) -> None:
    answer = invoke(event, tenant.basic if event == BULK_CONSENTS else tenant.bearer, **changes)

    assert answer.status == status
    assert answer.headers["RateLimit-Policy"] == '"records";q=60000;w=60'
    assert answer.headers["RateLimit"].startswith('"records";r=')


@pytest.mark.parametrize("refused", [{"plan": "starter"}, {"scope": "consent:read"}])
def test_a_caller_without_capture_gets_the_level_too(
    invoke: Invoke, new_tenant: NewTenant, refused: dict[str, str]
) -> None:
    answer = invoke(BULK, new_tenant(**refused).bearer)

    assert answer.status == 403
    assert answer.headers["RateLimit"] == '"records";r=60000;t=0'


@pytest.mark.parametrize("event", [BULK, SINGLE, BULK_CONSENTS])
def test_an_unknown_caller_gets_no_level(invoke: Invoke, event: str) -> None:
    answer = invoke(event, {"Authorization": ""})

    assert answer.status == 401
    assert not {name for name in answer.headers if name.startswith("RateLimit")}


def test_all_routes_spend_from_one_bucket(invoke: Invoke, new_tenant: NewTenant) -> None:
    tenant = new_tenant(per_minute=10)
    single = json.dumps(json.loads(records(tenant, 1))["records"][0])

    answers = [
        invoke(BULK, tenant.bearer, body=records(tenant, 3)),
        invoke(BULK_CONSENTS, tenant.basic, body=items(4)),
        invoke(SINGLE, tenant.bearer, body=single),
    ]
    assert [answer.headers["RateLimit"].split(";")[1] for answer in answers] == [
        "r=7",
        "r=3",
        "r=2",
    ]


def test_a_record_counts_whether_it_is_valid_or_not(invoke: Invoke, new_tenant: NewTenant) -> None:
    tenant = new_tenant(per_minute=10)

    answer = invoke(BULK, tenant.bearer, body=json.dumps({"records": [1, None, {}]}))
    assert len(answer.json["rejected"]) == 3
    assert answer.headers["RateLimit"].startswith('"records";r=7;')


def test_a_request_over_the_limit_stores_and_spends_nothing(
    invoke: Invoke, new_tenant: NewTenant, ledger: Ledger
) -> None:
    tenant = new_tenant(per_minute=6)
    invoke(BULK, tenant.bearer, body=records(tenant, 4))

    refused = invoke(BULK, tenant.bearer, body=records(tenant, 3, start=100))
    assert (refused.status, refused.json["error"]["code"]) == (429, "RATE_LIMITED")
    assert refused.json["error"]["message"] == "rate limited"
    assert refused.headers["Retry-After"] in {"9", "10"}  # ten seconds refill one record
    assert refused.headers["RateLimit"].startswith('"records";r=2;')
    assert ledger.history(tenant.org_id, "+15550000100") == []
    assert invoke(BULK, tenant.bearer, body=records(tenant, 2, start=100)).status == 200


def test_the_bulk_consents_api_returns_429_in_its_error_format(
    invoke: Invoke, new_tenant: NewTenant
) -> None:
    tenant = new_tenant(per_minute=6)
    invoke(BULK_CONSENTS, tenant.basic, body=items(6))

    answer = invoke(BULK_CONSENTS, tenant.basic, body=items(1))
    assert answer.status == 429
    assert answer.json == {
        "code": 20429,
        "message": "Too Many Requests",
        "more_info": "https://www.twilio.com/docs/errors/20429",
        "status": 429,
    }
    assert answer.headers["Retry-After"] in {"9", "10"}  # ten seconds refill one record


def test_a_batch_over_the_allowance_is_rejected_with_numbers(
    invoke: Invoke, new_tenant: NewTenant
) -> None:
    tenant = new_tenant(per_minute=6)
    key = {"Idempotency-Key": "x" * 256}  # the size of the batch is checked before the key's

    attested = invoke(BULK, tenant.bearer | key, body=records(tenant, 7))
    bulk = invoke(BULK_CONSENTS, tenant.basic | key, body=items(7))
    assert (attested.status, attested.json["error"]["code"]) == (422, "VALIDATION_FAILED")
    assert attested.json["error"]["details"] == {
        "records": "7 exceed the allowance of 6 a minute: split the batch"
    }
    assert (bulk.status, bulk.json["code"]) == (400, 20001)
    assert bulk.json["message"] == "7 Items exceed the allowance of 6 a minute: split the batch"
    assert attested.headers["RateLimit"] == '"records";r=6;t=0'


def test_organizations_never_spend_from_another_bucket(
    invoke: Invoke, new_tenant: NewTenant
) -> None:
    ours, theirs = new_tenant(per_minute=6), new_tenant(per_minute=6)
    invoke(BULK, ours.bearer, body=records(ours, 6))

    assert invoke(BULK, ours.bearer, body=records(ours, 1)).status == 429
    assert invoke(BULK, theirs.bearer, body=records(theirs, 6)).status == 200


def test_spending_costs_two_writes_when_idle_and_one_when_busy(
    invoke: Invoke, new_tenant: NewTenant, calls: list[str]
) -> None:
    tenant = new_tenant(per_minute=6)

    counts = []
    for _ in range(3):
        calls.clear()
        invoke(BULK, tenant.bearer, body=records(tenant, 1))
        counts.append(calls.count("UpdateItem"))
    assert counts == [2, 1, 1]
    calls.clear()
    assert invoke(BULK, tenant.bearer, body=records(tenant, 6)).status == 429
    assert calls == ["UpdateItem"]


def down(**_: Any) -> Any:
    raise ConnectTimeoutError(endpoint_url="-")


def test_a_level_that_cannot_be_read_costs_no_response(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall
) -> None:
    def not_of_the_directory(parameters: dict[str, Any], **_: Any) -> Any:
        return down() if parameters["TableName"] == "RateLimitsTable" else None

    break_call("GetItem", not_of_the_directory)

    answer = invoke(BULK, tenant.bearer, body="{}")
    assert answer.status == 422
    assert answer.headers["RateLimit-Policy"] == '"records";q=60000;w=60'
    assert "RateLimit" not in answer.headers


def test_nothing_is_stored_when_the_bucket_cannot_be_written(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall, calls: list[str]
) -> None:
    break_call("UpdateItem", down)

    answer = invoke(BULK, tenant.bearer, body=records(tenant, 1))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "BatchExecuteStatement" not in calls


def test_a_changed_allowance_keeps_the_spent_share(
    invoke: Invoke, new_tenant: NewTenant, dynamodb: "DynamoDBClient"
) -> None:
    tenant = new_tenant(per_minute=60)
    invoke(BULK, tenant.bearer, body=records(tenant, 30))

    limits = wiring.stores().rate_limits
    item = dynamodb.get_item(TableName="RateLimitsTable", Key={"org_id": {"S": tenant.org_id}})
    at = datetime.fromtimestamp(int(item["Item"]["full_at"]["N"]) // 10**15 - 30, UTC)
    assert limits.level(tenant.org_id, 60, at).left in (29, 30)
    assert limits.level(tenant.org_id, 600, at).left in range(290, 301)
