"""Who may call: credentials, scopes, plans; and that every bad credential looks the same."""

import itertools
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from consents.accounts.directory import CACHE_SECONDS, Directory, credential_key
from consents.aws.dynamodb import Table, encode_item
from consents.capture import bulk_consents
from consents.domain.errors import MissingScope, Unauthenticated
from consents.domain.organization import Scope
from consents.http import json_api

from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.faults import Http
from tests.integration.watched import Watched

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = datetime(2026, 11, 1, tzinfo=UTC)
EVENTS = ["capture_consents.mixed", "capture_consent.accepted", "create_bulk_consents.two_items"]
PAST, FUTURE = "2026-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"


def headers(tenant: Tenant, event: str) -> dict[str, str]:
    return tenant.basic if "bulk_consents" in event else tenant.bearer


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer am_live_",
        "Bearer am_live_00000000_00000000000000000000000000000000",
        "Bearer  am_live_two_spaces",
        "Basic",
        "Basic !!!",
        "Basic QUM6",
        "Basic /w==",
        "Digest username=x",
        "am_live_without_a_scheme",
        "Bearer \u00e9",
        "Bearer \ud800",
        "Bearer " + "x" * 10_000,
    ],
)
@pytest.mark.parametrize("event", EVENTS)
def test_every_bad_credential_gets_the_same_response(
    invoke: Invoke, event: str, authorization: str
) -> None:
    answer = invoke(event, {"Authorization": authorization})

    on_bulk_consents = event.startswith("create_bulk_consents")
    assert answer.status == 401
    if on_bulk_consents:
        assert (answer.json["code"], answer.json["message"]) == (20003, "Authenticate")
    else:
        shown = answer.json["error"]
        assert (shown["code"], shown["message"]) == ("UNAUTHORIZED", "authentication failed")


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("credential", [{"revoked_at": PAST}, {"expires_at": PAST}])
def test_revoked_and_expired_credentials_look_like_unknown_ones(
    invoke: Invoke, new_tenant: NewTenant, event: str, credential: dict[str, str]
) -> None:
    tenant = new_tenant(**credential)

    assert invoke(event, headers(tenant, event)).status == 401


@pytest.mark.parametrize("event", EVENTS)
def test_a_credential_works_until_it_expires(
    invoke: Invoke, new_tenant: NewTenant, event: str
) -> None:
    tenant = new_tenant(expires_at=FUTURE)

    assert invoke(event, headers(tenant, event)).status != 401


def test_a_credential_of_one_api_is_unknown_to_the_other(invoke: Invoke, tenant: Tenant) -> None:
    assert invoke("capture_consents.mixed", tenant.basic).status == 401
    assert invoke("create_bulk_consents.two_items", tenant.bearer).status == 401


@pytest.mark.parametrize(
    ("event", "code"), list(zip(EVENTS, ["FORBIDDEN", "FORBIDDEN", 20403], strict=True))
)
def test_a_credential_without_the_scope_is_forbidden(
    invoke: Invoke, new_tenant: NewTenant, event: str, code: str | int
) -> None:
    tenant = new_tenant(scope="consent:read")
    answer = invoke(event, headers(tenant, event))

    assert answer.status == 403
    assert (answer.json if code == 20403 else answer.json["error"])["code"] == code


@pytest.mark.parametrize("plan", ["payg", "growth", "scale", "enterprise"])
def test_every_plan_but_the_legacy_one_includes_capture(
    invoke: Invoke, new_tenant: NewTenant, plan: str
) -> None:
    assert invoke("capture_consents.mixed", new_tenant(plan).bearer).status == 200


def test_the_legacy_plan_gets_the_published_message(invoke: Invoke, new_tenant: NewTenant) -> None:
    answer = invoke("capture_consents.mixed", new_tenant("starter").bearer)

    assert answer.status == 403
    assert answer.json["error"]["code"] == "PLAN_REQUIRED"
    assert answer.json["error"]["message"] == (
        "Tier 3 consent capture requires Growth or higher; use double-opt-in "
        "(POST /v1/consent/double-opt-in) or the hosted form (POST /v1/consent/hosted) on Starter"
    )


def test_the_checks_are_credential_scope_plan_size_in_that_order(
    invoke: Invoke, new_tenant: NewTenant
) -> None:
    huge = "x" * (8 * 2**20 + 1)
    no_scope = new_tenant("starter", scope="consent:read")

    statuses = [
        invoke("capture_consents.mixed", bearer, body=huge).json["error"]["code"]
        for bearer in (
            {"Authorization": "Bearer x"},
            no_scope.bearer,
            new_tenant("starter").bearer,
            new_tenant().bearer,
        )
    ]
    assert statuses == ["UNAUTHORIZED", "FORBIDDEN", "PLAN_REQUIRED", "PAYLOAD_TOO_LARGE"]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def reads(tables: Watched) -> list[str]:
    """The names of the calls that the client has made."""
    names: list[str] = []
    tables.watchers.append(lambda operation, **_: names.append(operation))
    return names


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patient_directory(tables: Watched, clock: Clock) -> Directory:
    return Directory(Table(tables, "DirectoryTable"), lambda: b"pepper", clock=clock)


def test_a_revoked_key_works_until_the_cache_expires(
    dynamodb: "DynamoDBClient", patient_directory: Directory, clock: Clock, tenant: Tenant
) -> None:
    secret = json_api.secret(tenant.bearer["Authorization"])
    patient_directory.authenticate(secret, NOW).check_may(Scope.WRITE)
    key = credential_key(patient_directory.hash(secret))
    dynamodb.update_item(
        TableName="DirectoryTable",
        Key=encode_item(key),
        UpdateExpression="SET revoked_at = :now",
        ExpressionAttributeValues={":now": {"S": PAST}},
    )

    clock.now = CACHE_SECONDS - 0.1
    assert patient_directory.authenticate(secret, NOW).organization.org_id == tenant.org_id
    clock.now = CACHE_SECONDS
    with pytest.raises(Unauthenticated):
        patient_directory.authenticate(secret, NOW).check_may(Scope.WRITE)


@pytest.mark.parametrize("kind", ["right", "unknown", "missing", "revoked", "without the scope"])
def test_every_credential_costs_the_same_reads(
    patient_directory: Directory, new_tenant: NewTenant, reads: list[str], kind: str
) -> None:
    tenants = {
        "right": new_tenant(),
        "revoked": new_tenant(revoked_at=PAST),
        "without the scope": new_tenant(scope="consent:read"),
    }
    known = tenants.get(kind)
    secret = (
        json_api.secret(known.bearer["Authorization"])
        if known
        else {"unknown": "bearer:x"}.get(kind, "")
    )
    reads.clear()

    try:
        patient_directory.authenticate(secret, NOW).check_may(Scope.WRITE)
    except (Unauthenticated, MissingScope):
        assert kind != "right"
    assert reads == ["GetItem", "GetItem"]


def test_nothing_secret_is_in_the_directory(dynamodb: "DynamoDBClient", tenant: Tenant) -> None:
    everything = json.dumps(dynamodb.scan(TableName="DirectoryTable")["Items"], default=str)

    key = tenant.bearer["Authorization"].removeprefix("Bearer ")
    token = bulk_consents.secret(tenant.basic["Authorization"]).rpartition(":")[2]
    assert tenant.org_id in everything
    assert key not in everything
    assert token not in everything


def test_senders_are_read_100_per_call_and_then_cached(
    patient_directory: Directory, tenant: Tenant, reads: list[str], clock: Clock
) -> None:
    strangers = [f"00000000-0000-4000-8000-{number:012}" for number in range(250)]
    wanted = [*strangers, tenant.phone_number_id]

    for _ in range(2):
        found = patient_directory.senders(tenant.org_id, wanted)
        assert found == {tenant.phone_number_id: tenant.phone_number}
    assert reads.count("BatchGetItem") == 3
    clock.now = CACHE_SECONDS
    patient_directory.senders(tenant.org_id, wanted)
    assert reads.count("BatchGetItem") == 6


def test_a_sender_in_constant_use_is_read_again_too(
    patient_directory: Directory, tenant: Tenant, reads: list[str], clock: Clock
) -> None:
    for seconds in (0, 20, CACHE_SECONDS - 1):
        clock.now = seconds
        patient_directory.senders(tenant.org_id, [tenant.phone_number_id, "unknown"])
    assert reads.count("BatchGetItem") == 1

    clock.now = CACHE_SECONDS
    found = patient_directory.senders(tenant.org_id, [tenant.phone_number_id, "unknown"])
    assert reads.count("BatchGetItem") == 2
    assert found == {tenant.phone_number_id: tenant.phone_number}


@pytest.mark.parametrize("share", [0.3, 0.4, 0.6, 0.8, 0.9])
def test_an_entry_that_expires_during_a_request_is_read_again(
    tables: Watched, tenant: Tenant, share: float
) -> None:
    moments = itertools.count(step=CACHE_SECONDS * share)
    directory = Directory(
        Table(tables, "DirectoryTable"), lambda: b"pepper", clock=lambda: next(moments)
    )

    secret = json_api.secret(tenant.bearer["Authorization"])
    for _ in range(20):
        caller = directory.authenticate(secret, NOW)
        assert caller.organization.org_id == tenant.org_id
        found = directory.senders(tenant.org_id, [tenant.phone_number_id])
        assert found == {tenant.phone_number_id: tenant.phone_number}


def test_unprocessed_keys_of_senders_are_read_again(tables: Watched, tenant: Tenant) -> None:
    waits: list[float] = []
    directory = Directory(Table(tables, "DirectoryTable", sleep=waits.append), lambda: b"pepper")

    def hand_back_once(parameters: dict[str, Any], **_: Any) -> Any:
        if waits:
            return None
        return Http(200), {"Responses": {}, "UnprocessedKeys": parameters["RequestItems"]}

    tables.watchers.append(hand_back_once)
    assert directory.senders(tenant.org_id, [tenant.phone_number_id]) == {
        tenant.phone_number_id: tenant.phone_number
    }
    assert len(waits) == 1


class Http200:
    status_code = 200
