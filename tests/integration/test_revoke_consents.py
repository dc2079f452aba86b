"""DELETE and revoke on the engine: one record per revocation, seen by every later check."""

import json
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from zlib import decompress

import pytest

from tests.integration.asking import BATCH, BULK, REVOKE, SINGLE, Caller
from tests.integration.callers import all_stored, item, record
from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.invocation import Response

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BOB, EVE = "+15550000001", "+15550000002"
DRY = {"dry_run": "true"}


@pytest.fixture
def caller(invoke: Invoke, tenant: Tenant) -> Caller:
    """An organization that may do all."""
    return Caller(invoke, tenant)


def revocations(dynamodb: "DynamoDBClient", caller: Caller) -> list[dict[str, Any]]:
    stored = all_stored(dynamodb, caller.tenant.org_id)
    return [one for one in stored if one["wire"]["S"] == "revocation"]


# ---------------------------------------------------------------- DELETE


def test_a_deleted_consent_is_opted_out_at_once(caller: Caller) -> None:
    consent_id = caller.opt_in()
    deleted = caller.delete(consent_id)

    assert (deleted.status, deleted.json["reason"]) == (200, "OPTED_OUT")
    assert (deleted.json["id"], deleted.json["source"]) == (consent_id, "revocation")
    assert deleted.json["contact_number"] == BOB
    assert deleted.json == caller.get(consent_id).json
    assert caller.reasons(BOB) == ["OPTED_OUT"]


def test_an_opt_out_dated_ahead_of_a_late_opt_in_decides(caller: Caller) -> None:
    consent_id = caller.opt_in()
    caller.delete(consent_id)
    caller.delete(consent_id)
    caller.opt_in(date="2026-04-27T12:00:00Z")

    assert caller.reasons(BOB) == ["OPTED_OUT"]


def test_an_id_without_a_record_is_not_found(caller: Caller, new_tenant: NewTenant) -> None:
    consent_id = caller.opt_in()
    other = Caller(caller._invoke, new_tenant())

    for answer in (other.delete(consent_id), caller.delete(consent_id.upper())):
        assert (answer.status, answer.json["error"]["code"]) == (404, "NOT_FOUND")
    assert caller.reasons(BOB) == ["OPTED_IN"]


def test_a_replayed_delete_has_the_names_that_are_not_kept(
    caller: Caller, dynamodb: "DynamoDBClient"
) -> None:
    consent_id = caller.opt_in()
    key = {"Idempotency-Key": "one"}
    first, again = caller.delete(consent_id, key), caller.delete(consent_id, key)

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    kept = [
        json.loads(found["data"]["S"])["body"]
        for page in dynamodb.get_paginator("scan").paginate(TableName="IdempotencyTable")
        for found in page["Items"]
        if "data" in found
    ]
    texts = [decompress(b64decode(body)).decode() for body in kept]
    assert any(consent_id in text for text in texts)
    assert all(BOB not in text for text in texts)


def test_two_ids_with_one_key_share_no_response(caller: Caller) -> None:
    first, second = caller.opt_in(1), caller.opt_in(2)
    key = {"Idempotency-Key": "one"}

    assert caller.delete(first, key).json["id"] == first
    assert caller.delete(second, key).json["id"] == second


# ---------------------------------------------------------------- Revoke by contact


def test_contacts_are_revoked_in_the_order_of_the_input(caller: Caller) -> None:
    caller.opt_in(1)
    answer = caller.revoke(BOB, "+19", EVE, BOB)
    body = answer.json

    assert (answer.status, body["revoked"]) == (200, 3)
    assert [result["index"] for result in body["results"]] == [0, 2, 3]
    assert [result["already_opted_out"] for result in body["results"]] == [False, False, False]
    assert body["rejected"] == [
        {"index": 1, "code": "VALIDATION_FAILED", "reason": "contact_number: must be E.164"}
    ]
    assert caller.reasons(BOB, EVE) == ["OPTED_OUT", "OPTED_OUT"]


def test_every_sender_is_revoked_by_one_record(caller: Caller, dynamodb: "DynamoDBClient") -> None:
    caller.opt_in(1)
    body = caller.revoke(BOB, all_senders=True).json
    consent = caller.get(body["results"][0]["consent_id"]).json

    assert consent["sender_id"] == "*"
    assert caller.reasons(BOB) == caller.reasons(BOB, sender_id="123456") == ["OPTED_OUT"]
    assert len(revocations(dynamodb, caller)) == 1


def test_an_opt_in_after_a_revocation_of_all_allows_its_sender(caller: Caller) -> None:
    caller.revoke(BOB, all_senders=True, revoked_at="2026-04-25T12:00:00Z")
    caller.opt_in()

    assert caller.reasons(BOB) == ["OPTED_IN"]
    assert caller.reasons(BOB, sender_id="123456") == ["OPTED_OUT"]


def test_already_opted_in_counts_a_revocation_of_every_sender(caller: Caller) -> None:
    caller.opt_in()
    caller.revoke(BOB, all_senders=True)
    sent = record(caller.tenant, 1)
    answer = caller._invoke(SINGLE, caller.tenant.bearer, body=json.dumps(sent))

    assert answer.json["already_opted_in"] is False


def test_a_dated_revocation_repeated_is_one_record(
    caller: Caller, dynamodb: "DynamoDBClient"
) -> None:
    first, again = (caller.revoke(BOB, revoked_at="2026-04-28T12:00:00Z") for _ in range(2))

    assert len(revocations(dynamodb, caller)) == 1
    assert first.json["results"][0]["record_id"] == again.json["results"][0]["record_id"]
    assert again.json["results"][0]["already_opted_out"] is True


def test_a_replayed_revocation_keeps_a_new_opt_in(caller: Caller) -> None:
    key = {"Idempotency-Key": "one"}
    caller.opt_in()
    first = caller.revoke(BOB, headers=key)
    again = caller.revoke(BOB, headers=key)

    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json == again.json


def test_a_revocation_spends_only_its_own_bucket(new_tenant: NewTenant, invoke: Invoke) -> None:
    caller = Caller(invoke, new_tenant(per_minute=1, contacts_per_minute=2))
    caller.reasons(BOB, EVE)
    answer = caller.revoke(BOB, EVE)

    assert answer.status == 200
    assert answer.headers["RateLimit-Policy"] == '"revocations";q=2;w=60'
    assert caller.revoke(BOB).status == 429


def test_a_lapsed_plan_may_still_revoke(new_tenant: NewTenant, invoke: Invoke) -> None:
    assert Caller(invoke, new_tenant(plan="starter")).revoke(BOB).status == 200


ONE_OF_ALL = {"all_senders": "name one of phone_number_id, sender_id, all_senders"}


@pytest.mark.parametrize(
    ("changes", "details"),
    [
        ({"all_senders": False}, ONE_OF_ALL),
        ({"all_senders": True, "sender_id": "123456"}, ONE_OF_ALL),
        (
            {"sender_id": "x"},
            {"sender_id": "must be E.164, a short code or a messaging service SID"},
        ),
        ({"sender_id": "123456", "evidence": None}, {"evidence": "must be an object"}),
        (
            {"sender_id": "123456", "evidence": {"revoked_at": "2999-01-01T00:00:00Z"}},
            {
                "evidence.method": "is required",
                "evidence.revoked_at": "must not be in the future",
            },
        ),
        (
            {"sender_id": "123456", "evidence": {"method": "fax", "text": "\ud800", "x": 1}},
            {
                "evidence.method": "must be one of sms_keyword, reply, web, email, phone, letter, "
                "in_person, other",
                "evidence.text": "must be 1..1000 chars",
                "evidence.x": "must not be sent",
            },
        ),
    ],
)
def test_a_revocation_that_is_not_understood_is_refused(
    caller: Caller, changes: dict[str, Any], details: dict[str, str]
) -> None:
    sent = {"contact_numbers": [BOB], "evidence": {"method": "reply"}} | changes
    answer = caller._invoke(REVOKE, caller.tenant.bearer, body=json.dumps(sent))

    assert (answer.status, answer.json["error"]["details"]) == (422, details)


def test_a_revocation_without_evidence_is_refused(caller: Caller) -> None:
    sent = {"contact_numbers": [BOB], "all_senders": True}
    answer = caller._invoke(REVOKE, caller.tenant.bearer, body=json.dumps(sent))

    assert answer.json["error"]["details"] == {"evidence": "is required"}


# ---------------------------------------------------------------- Dry runs


def dry_runs(caller: Caller) -> dict[str, Callable[..., Response]]:
    """Return a call of each route that takes a dry run."""
    tenant, invoke = caller.tenant, caller._invoke
    form = urlencode({"Items": json.dumps(item(tenant, 1))})
    batch = json.dumps({"records": [record(tenant, 1)]})
    single = json.dumps(record(tenant, 1))
    sent = {"queryStringParameters": DRY}
    return {
        SINGLE: lambda **more: invoke(SINGLE, tenant.bearer, body=single, **sent | more),
        BATCH: lambda **more: invoke(BATCH, tenant.bearer, body=batch, **sent | more),
        BULK: lambda **more: invoke(BULK, tenant.basic, body=form, **sent | more),
        REVOKE: lambda **more: caller.revoke(
            BOB, query=more.get("queryStringParameters", DRY) or {}
        ),
    }


@pytest.mark.parametrize("route", [SINGLE, BATCH, BULK, REVOKE])
def test_a_dry_run_has_the_response_of_the_call_and_stores_nothing(
    route: str, caller: Caller, dynamodb: "DynamoDBClient"
) -> None:
    call = dry_runs(caller)[route]
    dry = call()
    assert all_stored(dynamodb, caller.tenant.org_id) == []
    wet = call(queryStringParameters=None)

    assert dry.headers["Dry-Run"] == "true"
    assert dry.headers["RateLimit-Policy"].startswith('"contacts"')
    assert "Dry-Run" not in wet.headers
    ignored = "effective_at"
    assert dry.status == wet.status
    shown, stored = (json.loads(answer.body) for answer in (dry, wet))
    for one in (*shown.get("results", []), *stored.get("results", [])):
        one.pop(ignored)
    assert shown == stored


@pytest.mark.parametrize(
    ("route", "status"), [(SINGLE, 422), (BATCH, 422), (BULK, 400), (REVOKE, 422)]
)
def test_any_other_dry_run_is_refused(route: str, status: int, caller: Caller) -> None:
    answer = dry_runs(caller)[route](queryStringParameters={"dry_run": "yes"})

    assert answer.status == status
    assert "must be true or false" in answer.body


def test_a_dry_run_reads_no_idempotency_key(caller: Caller) -> None:
    key = {"Idempotency-Key": "one"}
    caller.revoke(BOB, headers=key, query=DRY)
    wet = caller.revoke(BOB, headers=key)
    dry = caller.revoke(BOB, headers=key, query=DRY)

    assert "Idempotent-Replayed" not in {*wet.headers, *dry.headers}
    refused = caller.revoke(BOB, headers={"Idempotency-Key": ""}, query=DRY)
    assert refused.json["error"]["details"] == {"Idempotency-Key": "must be 1..255 chars"}


# ---------------------------------------------------------------- Races


def test_equal_revocations_at_once_are_one_record(
    caller: Caller, dynamodb: "DynamoDBClient"
) -> None:
    caller.opt_in()
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda _: caller.revoke(BOB), range(32)))

    results = [answer.json["results"][0] for answer in answers]
    by_id = {result["record_id"]: result["effective_at"] for result in results}
    stored = revocations(dynamodb, caller)
    assert {one["sk"]["S"].rpartition("#")[2] for one in stored} == by_id.keys()
    assert {(result["record_id"], result["effective_at"]) for result in results} == {*by_id.items()}
    assert caller.reasons(BOB) == ["OPTED_OUT"]
