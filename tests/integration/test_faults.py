"""The response of a request when storage fails."""

import json
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError
from consents.capture.ledger import Ledger

from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.faults import BreakCall, Fault

BULK, SINGLE = "capture_consents.mixed", "capture_consent.accepted"
BULK_CONSENTS = "create_bulk_consents.two_items"
DEMO_PHONE_NUMBER_ID = "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e"


@pytest.fixture
def tenant(new_tenant: NewTenant) -> Tenant:
    return new_tenant(phone_number_id=DEMO_PHONE_NUMBER_ID)


class Http:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


def no_connection(**_: Any) -> Any:
    raise ConnectTimeoutError(endpoint_url="-")


def denied(**_: Any) -> Any:
    return Http(400), {
        "Error": {"Code": "AccessDeniedException", "Message": "+15554443333"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }


def bug(**_: Any) -> Any:
    raise RuntimeError("+15554443333")


def refuse_first_statement(parameters: dict[str, Any], **_: Any) -> Any:
    count = len(parameters["Statements"])
    refused = {"Error": {"Code": "AccessDenied", "Message": "-"}}
    return Http(200), {"Responses": [refused] + [{}] * (count - 1)}


CALLS = ["GetItem", "BatchExecuteStatement"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("event", [BULK, SINGLE])
def test_the_attested_api_returns_503_while_storage_is_down(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall, call: str, event: str
) -> None:
    break_call(call, no_connection)

    answer = invoke(event, tenant.bearer, milliseconds=10_000)
    assert (answer.status, answer.json["error"]["code"]) == (503, "UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json["error"]["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("call", CALLS)
def test_the_bulk_consents_api_returns_503_while_storage_is_down(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall, call: str
) -> None:
    break_call(call, no_connection)

    answer = invoke(BULK_CONSENTS, tenant.basic, milliseconds=10_000)
    assert (answer.status, answer.json["code"]) == (503, 20503)
    assert int(answer.headers["Retry-After"]) >= 1


def two_records(tenant: Tenant) -> str:
    record = {
        "phone_number_id": tenant.phone_number_id,
        "opted_in": True,
        "evidence": {
            "captured_at": "2026-04-26T12:00:00Z",
            "agreement_text": "Agreed.",
            "consent_method": "verbal",
        },
    }
    contacts = ("+15554440001", "+15554440002")
    return json.dumps({"records": [record | {"contact_number": contact} for contact in contacts]})


def test_a_record_that_failed_is_named_and_a_repeat_stores_it(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall, ledger: Ledger
) -> None:
    body = two_records(tenant)
    invoke(BULK, tenant.bearer, body=body.replace("+1555444", "+1555445"))  # the text is known now
    once = iter([refuse_first_statement])
    break_call("BatchExecuteStatement", lambda **call: next(once, lambda **_: None)(**call))

    answer = invoke(BULK, tenant.bearer, body=body)
    assert answer.status == 200
    assert answer.json == {
        "accepted": 1,
        "rejected": [
            {
                "index": 0,
                "code": "UNAVAILABLE",
                "reason": "may not have been stored; repeat the same call",
            }
        ],
    }
    assert invoke(BULK, tenant.bearer, body=body).json == {"accepted": 2, "rejected": []}
    assert len(ledger.history(tenant.org_id, "+15554440001")) == 1


def test_an_item_that_failed_is_an_internal_server_error(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall
) -> None:
    items = [
        {
            "contact_id": f"+1555444000{number}",
            "correlation_id": f"{number:032x}",
            "sender_id": "12345",
            "status": "opt-out",
            "source": "others",
        }
        for number in (1, 2)
    ]
    break_call("BatchExecuteStatement", refuse_first_statement)

    answer = invoke(
        BULK_CONSENTS, tenant.basic, body=f"Items={json.dumps(items)}".replace("+", "%2B")
    )
    shown = [(each["error_code"], each["error_messages"]) for each in answer.json["items"]]
    assert answer.status == 201
    assert shown == [(30646, ["INTERNAL_SERVER_ERROR"]), (0, [])]


@pytest.mark.parametrize("fault", [denied, bug])
def test_a_bug_is_a_bare_500_in_the_error_format_of_the_api(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall, fault: Fault
) -> None:
    break_call("GetItem", fault)

    attested, bulk = invoke(BULK, tenant.bearer), invoke(BULK_CONSENTS, tenant.basic)
    assert (attested.status, attested.json["error"]["code"]) == (500, "INTERNAL")
    assert set(attested.json["error"]) == {"code", "message", "request_id"}
    assert (bulk.status, bulk.json["code"]) == (500, 20500)
