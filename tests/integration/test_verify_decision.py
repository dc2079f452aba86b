"""POST /v1/consent/check/verify: genuine answers, and what the ledger says of them later."""

import json
from typing import Any

import pytest

from tests.factories import with_field
from tests.integration.callers import record
from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.invocation import Response

CHECK, VERIFY = "check_consents.three_contacts", "verify_decision.not_genuine"
BOB = "+15550000001"


@pytest.fixture
def kept(invoke: Invoke, tenant: Tenant) -> dict[str, Any]:
    """What a caller keeps of an answer that allows."""
    batch = json.dumps({"records": [record(tenant, 1)]})
    invoke("capture_consents.mixed", tenant.bearer, body=batch)
    return checked(invoke, tenant)


def checked(invoke: Invoke, tenant: Tenant) -> dict[str, Any]:
    sent = {"sender_id": tenant.phone_number, "contact_numbers": [BOB]}
    answer = invoke(CHECK, tenant.bearer, body=json.dumps(sent)).json
    shown = {name: answer[name] for name in ("asked_at", "sender_id", "rules_version")}
    return shown | {"result": answer["results"][0]}


def verify(invoke: Invoke, tenant: Tenant, sent: Any) -> Response:
    return invoke(VERIFY, tenant.bearer, body=json.dumps(sent))


def test_a_decision_as_received_is_genuine_and_agrees(
    invoke: Invoke, tenant: Tenant, kept: dict[str, Any]
) -> None:
    record_id = kept["result"]["record"]["record_id"]

    assert verify(invoke, tenant, kept).json == {
        "genuine": True,
        "ledger": {
            "allowed": True,
            "reason": "OPTED_IN",
            "record_id": record_id,
            "agrees": True,
        },
    }


def test_a_later_stop_does_not_change_what_was_decided(
    invoke: Invoke, tenant: Tenant, kept: dict[str, Any]
) -> None:
    body = {"contact_numbers": [BOB], "all_senders": True, "evidence": {"method": "reply"}}
    invoke("revoke_consents.all_senders", tenant.bearer, body=json.dumps(body))

    assert checked(invoke, tenant)["result"]["reason"] == "OPTED_OUT"
    assert verify(invoke, tenant, kept).json["ledger"]["agrees"] is True


def test_a_decision_without_a_record_is_verified(invoke: Invoke, tenant: Tenant) -> None:
    answer = verify(invoke, tenant, checked(invoke, tenant)).json

    assert answer["ledger"] == {
        "allowed": False,
        "reason": "NO_RECORD",
        "record_id": None,
        "agrees": True,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("asked_at", "2026-11-25T12:00:01.000000Z"),
        ("rules_version", 1),
        ("sender_id", "123456"),
        ("result.contact_number", "+15550000002"),
        ("result.more", 1),
        ("result.decision_id", None),
    ],
)
def test_a_changed_decision_is_not_genuine(
    invoke: Invoke, tenant: Tenant, kept: dict[str, Any], field: str, value: Any
) -> None:
    answer = verify(invoke, tenant, with_field(kept, field, value))

    assert (answer.status, answer.json) == (200, {"genuine": False, "ledger": None})


def test_a_decision_for_another_organization_is_not_genuine(
    invoke: Invoke, kept: dict[str, Any], new_tenant: NewTenant
) -> None:
    assert verify(invoke, new_tenant(), kept).json["genuine"] is False


def test_an_undecided_result_is_not_genuine(invoke: Invoke, tenant: Tenant) -> None:
    sent = {"sender_id": tenant.phone_number, "contact_numbers": ["+19"]}
    answer = invoke(CHECK, tenant.bearer, body=json.dumps(sent)).json
    shown = {name: answer[name] for name in ("asked_at", "sender_id", "rules_version")}

    assert verify(invoke, tenant, shown | {"result": answer["results"][0]}).json["genuine"] is False


@pytest.mark.parametrize(
    ("body", "details"),
    [
        (
            {},
            {
                "asked_at": "is required",
                "phone_number_id": "name one of phone_number_id, sender_id",
                "rules_version": "is required",
                "result": "is required",
            },
        ),
        (
            {"asked_at": "now", "sender_id": "123456", "rules_version": True, "result": []},
            {
                "asked_at": "must be an RFC 3339 timestamp",
                "rules_version": "must be a whole number",
                "result": "must be an object",
            },
        ),
    ],
)
def test_a_body_that_is_not_understood_is_refused(
    invoke: Invoke, tenant: Tenant, body: dict[str, Any], details: dict[str, str]
) -> None:
    answer = verify(invoke, tenant, body)

    assert (answer.status, answer.json["error"]["details"]) == (422, details)
