"""Idempotency keys through the handlers, on a real engine."""

import json
import random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from botocore.exceptions import ConnectTimeoutError
from consents.capture.ledger import Ledger

from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.faults import BreakCall
from tests.integration.invocation import Response

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DEMO_PHONE_NUMBER_ID = "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e"
BULK, SINGLE = "capture_consents.mixed", "capture_consent.accepted"
BULK_CONSENTS = "create_bulk_consents.two_items"
EVENTS = [BULK, SINGLE, BULK_CONSENTS]
MAX_ITEM_BYTES = 400 * 1024


@pytest.fixture
def tenant(new_tenant: NewTenant) -> Tenant:
    return new_tenant(phone_number_id=DEMO_PHONE_NUMBER_ID)


def headers(tenant: Tenant, event: str, key: str = "one") -> dict[str, str]:
    return (tenant.basic if event == BULK_CONSENTS else tenant.bearer) | {"Idempotency-Key": key}


def code(answer: Response) -> str | int:
    shown: dict[str, str | int] = answer.json.get("error", answer.json)
    return shown["code"]


def left(answer: Response) -> int:
    return int(answer.headers["RateLimit"].split("r=")[1].split(";")[0])


@pytest.mark.parametrize("event", EVENTS)
def test_a_repeat_gets_the_same_bytes_and_does_nothing_again(
    invoke: Invoke, tenant: Tenant, calls: list[str], event: str
) -> None:
    first = invoke(event, headers(tenant, event))
    calls.clear()

    again = invoke(event, headers(tenant, event))
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert calls == ["PutItem", "GetItem"]  # the claim, and the level of the bucket
    assert left(again) >= left(first)


@pytest.mark.parametrize("event", EVENTS)
def test_without_a_key_every_call_does_its_work(
    invoke: Invoke, new_tenant: NewTenant, event: str
) -> None:
    tenant = new_tenant(phone_number_id=DEMO_PHONE_NUMBER_ID, per_minute=6)
    credentials = tenant.basic if event == BULK_CONSENTS else tenant.bearer

    answers = [invoke(event, credentials) for _ in range(2)]
    assert all("Idempotent-Replayed" not in answer.headers for answer in answers)
    assert left(answers[1]) < left(answers[0])


@pytest.mark.parametrize(
    ("event", "status", "refusal"),
    [
        (BULK, 422, "IDEMPOTENCY_KEY_REUSED"),
        (SINGLE, 422, "IDEMPOTENCY_KEY_REUSED"),
        (BULK_CONSENTS, 422, 20001),
    ],
)
def test_a_key_with_another_body_is_rejected(
    invoke: Invoke, tenant: Tenant, calls: list[str], event: str, status: int, refusal: str | int
) -> None:
    first = invoke(event, headers(tenant, event))
    other = json.dumps({"records": [1]}) if event != BULK_CONSENTS else "Items=1"
    calls.clear()

    answer = invoke(event, headers(tenant, event), body=other)
    assert (answer.status, code(answer)) == (status, refusal)
    assert "BatchExecuteStatement" not in calls
    assert invoke(event, headers(tenant, event)).body == first.body


@pytest.mark.parametrize(
    ("sent", "same"),
    [
        ("one", '"one"'),
        ('"one"', " one "),
        (r'a"b\c', r'"a\"b\\c"'),
        ('"unclosed', '"unclosed'),
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", '"8e03978e-40d5-43e8-bc93-6894a57f9324"'),
    ],
)
def test_a_bare_key_and_a_quoted_one_are_the_same(
    invoke: Invoke, tenant: Tenant, sent: str, same: str
) -> None:
    invoke(BULK, headers(tenant, BULK, sent))

    assert "Idempotent-Replayed" in invoke(BULK, headers(tenant, BULK, same)).headers


@pytest.mark.parametrize("key", ["", '""', " ", "x" * 256, '"' + "x" * 256 + '"'])
def test_an_empty_or_overlong_key_is_rejected_by_its_name(
    invoke: Invoke, tenant: Tenant, key: str
) -> None:
    attested = invoke(BULK, headers(tenant, BULK, key))
    bulk = invoke(BULK_CONSENTS, headers(tenant, BULK_CONSENTS, key))

    assert (attested.status, code(attested)) == (422, "VALIDATION_FAILED")
    assert attested.json["error"]["details"] == {"Idempotency-Key": "must be 1..255 chars"}
    assert (bulk.status, code(bulk)) == (400, 20001)
    assert bulk.json["message"] == "Idempotency-Key must be 1..255 chars"


def test_a_key_of_255_characters_is_a_key(invoke: Invoke, tenant: Tenant) -> None:
    for key in ("x" * 255, '"' + "x" * 255 + '"'):
        answer = invoke(BULK, headers(tenant, BULK, key))
    assert answer.headers["Idempotent-Replayed"] == "true"


def test_a_key_belongs_to_one_organization_and_one_route(
    invoke: Invoke, tenant: Tenant, new_tenant: NewTenant
) -> None:
    other = new_tenant(phone_number_id=DEMO_PHONE_NUMBER_ID)

    answers = [invoke(event, headers(who, event)) for who in (tenant, other) for event in EVENTS]
    assert all("Idempotent-Replayed" not in answer.headers for answer in answers)
    assert {answer.status for answer in answers} == {200, 201}


def test_a_body_that_the_gateway_encoded_is_the_same_body(invoke: Invoke, tenant: Tenant) -> None:
    invoke(BULK, headers(tenant, BULK))

    answer = invoke("capture_consents.base64", headers(tenant, BULK))
    assert answer.headers["Idempotent-Replayed"] == "true"


def test_a_rejected_single_record_leaves_its_key_free(invoke: Invoke, tenant: Tenant) -> None:
    refused = invoke("capture_consent.invalid_fields", headers(tenant, SINGLE))
    assert refused.status == 422

    assert invoke(SINGLE, headers(tenant, SINGLE)).status == 201


def test_a_call_over_the_limit_leaves_its_key_free(invoke: Invoke, new_tenant: NewTenant) -> None:
    tenant = new_tenant(phone_number_id=DEMO_PHONE_NUMBER_ID, per_minute=2)
    assert invoke(BULK, headers(tenant, BULK, "first")).status == 200

    assert invoke(BULK, headers(tenant, BULK, "second")).status == 429
    other_body = json.dumps({"records": [1, 2]})
    assert invoke(BULK, headers(tenant, BULK, "second"), body=other_body).status == 429


def refuse_the_first(parameters: dict[str, Any], **_: Any) -> Any:
    count = len(parameters["Statements"])
    return Http200(), {"Responses": [{"Error": {"Code": "AccessDenied"}}] + [{}] * (count - 1)}


class Http200:
    status_code = 200


def test_an_answer_with_records_that_were_not_stored_is_not_kept(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall, ledger: Ledger
) -> None:
    body = json.dumps({"records": [record(1), record(2)]})
    invoke(BULK, tenant.bearer, body=body.replace("+155500", "+155600"))  # the text is known now
    once = iter([refuse_the_first])
    break_call("BatchExecuteStatement", lambda **call: next(once, lambda **_: None)(**call))

    first = invoke(BULK, headers(tenant, BULK), body=body)
    assert [each["code"] for each in first.json["rejected"]] == ["UNAVAILABLE"]
    again = invoke(BULK, headers(tenant, BULK), body=body)
    assert again.json == {"accepted": 2, "rejected": []}
    assert "Idempotent-Replayed" not in again.headers
    assert len(ledger.history(tenant.org_id, "+15550000001")) == 1


def record(number: int) -> dict[str, Any]:
    return {
        "phone_number_id": DEMO_PHONE_NUMBER_ID,
        "contact_number": f"+1555{number:07}",
        "opted_in": True,
        "evidence": {
            "captured_at": "2026-04-26T12:00:00Z",
            "agreement_text": "Agreed.",
            "consent_method": "verbal",
        },
    }


def down(**_: Any) -> Any:
    raise ConnectTimeoutError(endpoint_url="-")


@pytest.mark.parametrize("event", EVENTS)
def test_a_call_whose_storage_was_down_leaves_its_key_free(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall, event: str
) -> None:
    broken = True
    break_call("BatchExecuteStatement", lambda **_: down() if broken else None)
    assert invoke(event, headers(tenant, event), milliseconds=10_000).status == 503

    broken = False
    answer = invoke(event, headers(tenant, event))
    assert answer.status in {200, 201}
    assert "Idempotent-Replayed" not in answer.headers


@pytest.mark.parametrize("event", EVENTS)
def test_a_second_request_during_the_first_must_wait(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall, event: str
) -> None:
    meanwhile: list[Response] = []

    def call_again(**_: Any) -> None:
        if not meanwhile:
            meanwhile.append(invoke(event, headers(tenant, event)))

    break_call("BatchExecuteStatement", call_again)

    assert invoke(event, headers(tenant, event)).status in {200, 201}
    (shown,) = meanwhile
    assert (shown.status, shown.headers["Retry-After"]) == (409, "1")
    assert code(shown) == (20409 if event == BULK_CONSENTS else "IDEMPOTENCY_IN_PROGRESS")


def test_a_crashed_request_holds_its_key_until_its_timeout(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall, dynamodb: "DynamoDBClient"
) -> None:
    def cut_off(**_: Any) -> None:
        raise SystemExit

    cut = True
    break_call("UpdateItem", lambda **_: cut_off() if cut else None)
    with pytest.raises(SystemExit):
        invoke(BULK, headers(tenant, BULK), milliseconds=2_000)
    cut = False

    assert invoke(BULK, headers(tenant, BULK)).status == 409
    _let_time_pass(dynamodb, seconds=2)
    assert invoke(BULK, headers(tenant, BULK)).status == 200


def _let_time_pass(dynamodb: "DynamoDBClient", seconds: int) -> None:
    """Move the claims in progress back, as if so many seconds had gone by."""
    for item in dynamodb.scan(TableName="IdempotencyTable", ConsistentRead=True)["Items"]:
        if item["status"]["S"] == "INPROGRESS":
            until = int(item["in_progress_expiration"]["N"]) - seconds * 1000
            dynamodb.update_item(
                TableName="IdempotencyTable",
                Key={"id": item["id"]},
                UpdateExpression="SET in_progress_expiration = :until",
                ExpressionAttributeValues={":until": {"N": str(until)}},
            )


@pytest.mark.parametrize("event", EVENTS)
def test_when_keys_cannot_be_claimed_nothing_is_done(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall, calls: list[str], event: str
) -> None:
    break_call("PutItem", down)

    answer = invoke(event, headers(tenant, event))
    assert answer.status == 503
    assert "BatchExecuteStatement" not in calls


def test_when_an_answer_cannot_be_kept_the_caller_still_gets_it(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall
) -> None:
    def not_of_idempotency(parameters: dict[str, Any], **_: Any) -> Any:
        return down() if parameters["TableName"] == "IdempotencyTable" else None

    break_call("UpdateItem", not_of_idempotency)

    assert invoke(BULK, headers(tenant, BULK)).json["accepted"] == 1


def test_an_error_is_returned_even_if_its_key_cannot_be_freed(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall
) -> None:
    break_call("DeleteItem", down)

    answer = invoke("capture_consent.invalid_fields", headers(tenant, SINGLE))
    assert (answer.status, code(answer)) == (422, "VALIDATION_FAILED")


ALL_WRONG = {
    "phone_number_id": "",
    "contact_number": "",
    "opted_in": "",
    "evidence": {
        "captured_at": "",
        "ip_address": "",
        "user_agent": "",
        "agreement_text": "",
        "form_url": "",
        "consent_method": "",
    },
}


def test_the_longest_possible_response_is_kept(
    invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient"
) -> None:
    body = json.dumps({"records": [ALL_WRONG] * 1000})
    first = invoke(BULK, headers(tenant, BULK, "longest"), body=body)
    assert len(first.body) > MAX_ITEM_BYTES

    again = invoke(BULK, headers(tenant, BULK, "longest"), body=body)
    assert (again.body, again.headers["Idempotent-Replayed"]) == (first.body, "true")
    assert _largest_item(dynamodb) < MAX_ITEM_BYTES / 4


def test_a_response_that_hardly_compresses_is_kept(
    invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient"
) -> None:
    noise = random.Random(1)
    alphabet = "".join(chr(code) for code in range(33, 127))
    ids = ["".join(noise.choices(alphabet, k=64)) for _ in range(1000)]
    body = urlencode([("Items", json.dumps({"correlation_id": each})) for each in ids])

    answers = [
        invoke(BULK_CONSENTS, headers(tenant, BULK_CONSENTS, "noise"), body=body) for _ in range(2)
    ]
    assert [each["correlation_id"] for each in answers[0].json["items"]] == ids
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert _largest_item(dynamodb) < MAX_ITEM_BYTES / 4


def _largest_item(dynamodb: "DynamoDBClient") -> int:
    pages = dynamodb.get_paginator("scan").paginate(TableName="IdempotencyTable")
    return max(len(json.dumps(item)) for page in pages for item in page["Items"])


def test_nothing_of_a_key_or_a_body_is_in_the_table(
    invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient"
) -> None:
    invoke(BULK, headers(tenant, BULK, "order-of-+15554443333"))

    everything = json.dumps(dynamodb.scan(TableName="IdempotencyTable")["Items"])
    assert "5554443333" not in everything
