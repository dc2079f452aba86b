"""POST /v1/consent/bulk and its single twin, through their handlers, on a real engine."""

import json
from typing import Any

import pytest
from consents.capture.ledger import Ledger

from tests.integration.conftest import Invoke, NewTenant, Tenant

PHONE_NUMBER_ID = "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e"
BULK, SINGLE = "capture_consents.mixed", "capture_consent.accepted"


def record(tenant: Tenant, contact: str = "+15554443333", **evidence: Any) -> dict[str, Any]:
    return {
        "phone_number_id": tenant.phone_number_id,
        "contact_number": contact,
        "opted_in": True,
        "evidence": {
            "captured_at": "2026-04-26T12:00:00Z",
            "agreement_text": "You agree to receive reminders.",
            "consent_method": "verbal",
            **evidence,
        },
    }


def batch(*records: Any) -> str:
    return json.dumps({"records": records})


def test_a_captured_record_is_in_the_ledger_with_its_evidence(
    invoke: Invoke, tenant: Tenant, ledger: Ledger
) -> None:
    answer = invoke(BULK, tenant.bearer, body=batch(record(tenant, ip_address="2001:db8::1")))

    assert answer.json == {"accepted": 1, "rejected": []}
    (stored,) = ledger.history(tenant.org_id, "+15554443333")
    assert stored.sender == tenant.phone_number
    assert stored.phone_number_id == tenant.phone_number_id
    assert stored.request_id == answer.headers["X-Request-Id"]
    text_hash = stored.evidence["agreement_text_hash"]
    assert stored.evidence == {
        "captured_at": "2026-04-26T12:00:00Z",
        "agreement_text_hash": text_hash,
        "consent_method": "verbal",
        "ip_address": "2001:db8::1",
    }
    assert ledger.agreement_text(tenant.org_id, text_hash) == "You agree to receive reminders."


def test_a_single_record_returns_if_the_contact_was_opted_in(
    invoke: Invoke, tenant: Tenant
) -> None:
    later = record(tenant, captured_at="2026-04-26T12:00:01Z")
    opt_out = later | {"opted_in": False}

    shown = [
        invoke(SINGLE, tenant.bearer, body=json.dumps(body)).json["already_opted_in"]
        for body in (record(tenant), record(tenant), opt_out, record(tenant), later)
    ]
    assert shown == [False, True, True, False, False]


def test_a_consent_id_is_stable_and_differs_by_organization(
    invoke: Invoke, new_tenant: NewTenant
) -> None:
    ours, theirs = (
        new_tenant(phone_number_id=PHONE_NUMBER_ID),
        new_tenant(phone_number_id=PHONE_NUMBER_ID),
    )

    def consent_id(tenant: Tenant, contact: str, at: str) -> str:
        body = json.dumps(record(tenant, contact, captured_at=at))
        return str(invoke(SINGLE, tenant.bearer, body=body).json["consent_id"])

    first = consent_id(ours, "+15554443333", "2026-04-26T12:00:00Z")
    assert consent_id(ours, "+15554443333", "2026-04-27T12:00:00Z") == first
    assert consent_id(ours, "+15554443334", "2026-04-26T12:00:00Z") != first
    assert consent_id(theirs, "+15554443333", "2026-04-26T12:00:00Z") != first


def test_a_sender_of_another_organization_is_unknown(
    invoke: Invoke, tenant: Tenant, new_tenant: NewTenant
) -> None:
    nobodys = record(tenant) | {"phone_number_id": "00000000-0000-4000-8000-000000000000"}
    theirs = record(new_tenant())

    answers = [invoke(BULK, tenant.bearer, body=batch(body)).body for body in (nobodys, theirs)]
    assert answers[0] == answers[1]
    assert json.loads(answers[0])["rejected"] == [
        {"index": 0, "code": "NOT_FOUND", "reason": "phone_number_id: not found"}
    ]
    singles = [invoke(SINGLE, tenant.bearer, body=json.dumps(body)) for body in (nobodys, theirs)]
    assert [answer.status for answer in singles] == [404, 404]


def test_organizations_with_one_contact_see_only_their_records(
    invoke: Invoke, new_tenant: NewTenant, ledger: Ledger
) -> None:
    ours, theirs = (
        new_tenant(phone_number_id=PHONE_NUMBER_ID),
        new_tenant(phone_number_id=PHONE_NUMBER_ID),
    )
    invoke(BULK, ours.bearer, body=batch(record(ours)))

    assert ledger.history(theirs.org_id, "+15554443333") == []
    answer = invoke(SINGLE, theirs.bearer, body=json.dumps(record(theirs)))
    assert answer.json["already_opted_in"] is False


def test_a_phone_number_id_may_be_spelled_in_upper_case(invoke: Invoke, tenant: Tenant) -> None:
    upper = record(tenant) | {"phone_number_id": tenant.phone_number_id.upper()}

    assert invoke(BULK, tenant.bearer, body=batch(upper)).json["accepted"] == 1


def test_an_opt_in_from_one_api_meets_a_stop_from_the_other(
    invoke: Invoke, tenant: Tenant, ledger: Ledger
) -> None:
    stop = {
        "contact_id": "+15554443333",
        "correlation_id": "0" * 32,
        "sender_id": tenant.phone_number,
        "status": "opt-out",
        "source": "opt-out-message",
        "date_of_consent": "2026-04-26T12:00:00.000001Z",
    }
    invoke(BULK, tenant.bearer, body=batch(record(tenant)))
    invoke(
        "create_bulk_consents.two_items",
        tenant.basic,
        body=f"Items={json.dumps(stop)}".replace("+", "%2B"),
    )

    current = ledger.current(tenant.org_id, tenant.phone_number, "+15554443333")
    assert current is not None
    assert current.status == "opt-out"


def test_each_of_1000_mixed_records_has_a_separate_result(
    invoke: Invoke, tenant: Tenant, ledger: Ledger
) -> None:
    records = [record(tenant, f"+1555{number:07}") for number in range(1000)]
    for index in range(0, 1000, 7):
        records[index] = record(tenant, "+1555")
    sound = [entry for entry in records if entry["contact_number"] != "+1555"]

    def shown() -> tuple[int, list[int]]:
        body = invoke(BULK, tenant.bearer, body=batch(*records)).json
        return body["accepted"], [entry["index"] for entry in body["rejected"]]

    assert shown() == shown() == (len(sound), list(range(0, 1000, 7)))
    records[1] = record(tenant, "+15550000001", consent_method="written")
    assert shown() == (len(sound), list(range(0, 1000, 7)))
    histories = [ledger.history(tenant.org_id, entry["contact_number"]) for entry in sound]
    assert [len(history) for history in histories] == [2] + [1] * (len(sound) - 1)


@pytest.mark.parametrize(
    ("body", "records"),
    [
        ("{}", "is required"),
        ('{"records": null}', "must be an array"),
        ('{"records": {}}', "must be an array"),
        ('{"records": []}', "must hold 1..1000 records, got 0"),
        (batch(*[1] * 1001), "must hold 1..1000 records, got 1001"),
    ],
)
def test_a_batch_of_the_wrong_shape_is_rejected_with_the_reason(
    invoke: Invoke, tenant: Tenant, body: str, records: str
) -> None:
    answer = invoke(BULK, tenant.bearer, body=body)

    assert answer.status == 422
    assert answer.json["error"]["details"] == {"records": records}


@pytest.mark.parametrize("body", ["", "null", "[]", '"text"', "{", "{'a': 1}", "\ud800", None])
@pytest.mark.parametrize("event", [BULK, SINGLE])
def test_a_body_that_is_not_a_json_object_is_rejected(
    invoke: Invoke, tenant: Tenant, event: str, body: str | None
) -> None:
    answer = invoke(event, tenant.bearer, body=body)

    assert (answer.status, answer.json["error"]["code"]) == (400, "INVALID_INPUT")


@pytest.mark.parametrize(("event", "limit"), [(BULK, 8 * 2**20), (SINGLE, 2**20)])
def test_a_body_may_have_its_limit_and_not_a_byte_more(
    invoke: Invoke, tenant: Tenant, event: str, limit: int
) -> None:
    body = "{}" + " " * (limit - 2)

    assert invoke(event, tenant.bearer, body=body).status == 422
    answer = invoke(event, tenant.bearer, body=body + " ")
    assert (answer.status, answer.json["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert str(limit) in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", ""]
)
def test_json_may_be_declared_in_several_ways_or_not_at_all(
    invoke: Invoke, tenant: Tenant, content_type: str
) -> None:
    headers = tenant.bearer | {"Content-Type": content_type}

    assert invoke(BULK, headers, body=batch(record(tenant))).status == 200


def test_a_text_cut_within_an_emoji_does_not_fail_the_batch(invoke: Invoke, tenant: Tenant) -> None:
    cut = record(tenant, user_agent="\ud83d")

    answer = invoke(BULK, tenant.bearer, body=batch(cut, record(tenant)))
    assert answer.json["accepted"] == 1
    assert answer.json["rejected"][0]["reason"] == "evidence.user_agent: must be 1..1024 chars"
