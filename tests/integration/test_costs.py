"""What a call costs, where it can be counted: calls, how many wait for others, bytes, memory."""

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from math import ceil
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from consents.aws.dynamodb import STATEMENTS_PER_CALL
from consents.domain import fields
from pydantic import TypeAdapter

from bench import bodies, processes
from bench.cases import CASES
from tests.integration.callers import BULK, BULK_CONSENTS, all_stored, headers
from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.watched import handlers_client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MIB = 2**20
WIDEST = "\U0001f4dd"
"""A character of four bytes, the most that UTF-8 has."""

BESIDE_RECORDS = 4
"""A claim, a draw of two writes at most, and the kept answer; the caller is known already."""


@pytest.fixture
def tenant(new_tenant: NewTenant, invoke: Invoke) -> Tenant:
    """An organization whose callers, senders and texts the functions have met."""
    tenant = new_tenant(phone_number_id=bodies.PHONE_NUMBER_ID)
    body = bodies.batch(bodies.records(50, 0, "met before"))
    assert invoke(BULK, headers(tenant, BULK, "met before"), body=body).json["accepted"] == 50
    assert invoke(BULK_CONSENTS, headers(tenant, BULK_CONSENTS, "met before")).status == 201
    return tenant


@pytest.fixture
def sent(tenant: Tenant) -> Iterator[list[int]]:
    """The bytes of each DynamoDB call that is made for a tenant, once it is known."""
    assert tenant
    sizes: list[int] = []

    def measure(parameters: dict[str, Any], **_: Any) -> None:
        sizes.append(len(orjson.dumps(parameters)))

    with handlers_client().watch(measure):
        yield sizes


def body_of(event: str, count: int) -> str:
    if event == BULK:
        return bodies.batch(bodies.records(count, 0, "costs"))
    return bodies.form(bodies.items(count, 0, "costs"))


@pytest.mark.parametrize("count", [1, 25, 26, 1000])
@pytest.mark.parametrize("event", [BULK, BULK_CONSENTS])
def test_a_request_makes_a_ledger_call_per_25_records_and_4_more(
    invoke: Invoke, tenant: Tenant, calls: list[str], event: str, count: int
) -> None:
    assert invoke(event, headers(tenant, event), body=body_of(event, count)).status in {200, 201}

    assert calls.count("BatchExecuteStatement") == ceil(count / STATEMENTS_PER_CALL)
    assert len(calls) <= ceil(count / STATEMENTS_PER_CALL) + BESIDE_RECORDS


@pytest.mark.parametrize(
    ("first_calls", "case"),
    [
        # The secret, the credential, the organization, its senders, the agreement texts.
        pytest.param(5, "1000 records, 0 % bad", id="attested"),
        # The secret, the credential, the organization.
        pytest.param(3, "form of 1000 items, 0 % bad", id="bulk-consents"),
    ],
)
def test_the_first_call_of_a_process_makes_a_few_calls_more(first_calls: int, case: str) -> None:
    most = next(each.limits.calls for each in CASES if each.name == case)
    assert most is not None

    with processes.stub() as endpoint, processes.side("bench.ours", endpoint) as running:
        first, second = running.round(case, "first"), running.round(case, "second")

    # On a busy machine the client may send one of them twice.
    assert second.calls <= most + 1
    assert abs(first.calls - second.calls - first_calls) <= 1


def test_1000_records_wait_for_at_most_six_calls_in_a_row(invoke: Invoke, tenant: Tenant) -> None:
    before = handlers_client().rounds
    answer = invoke(BULK, headers(tenant, BULK), body=body_of(BULK, 1000))

    assert answer.json["accepted"] == 1000
    # One for their text, then one for the ledger's forty calls, which are made together.
    assert handlers_client().rounds - before <= BESIDE_RECORDS + 2


def test_a_record_is_sent_in_little_more_bytes_than_it_has(
    invoke: Invoke, tenant: Tenant, sent: list[int]
) -> None:
    body = body_of(BULK, 1000)
    invoke(BULK, headers(tenant, BULK), body=body)

    assert sum(sent) <= 1.75 * len(body)


@pytest.mark.parametrize("event", [BULK, BULK_CONSENTS])
def test_a_record_of_usual_texts_costs_one_write_unit(
    invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient", event: str
) -> None:
    invoke(event, headers(tenant, event), body=body_of(event, 100))

    assert max(write_units(item) for item in all_stored(dynamodb, tenant.org_id)) == 1


@pytest.mark.parametrize("event", [BULK, BULK_CONSENTS])
def test_a_salt_takes_20_bytes_of_a_record(
    invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient", event: str
) -> None:
    invoke(event, headers(tenant, event), body=body_of(event, 25))

    for item in all_stored(dynamodb, tenant.org_id):
        assert size({"salt": item["salt"]}) == 20


def test_a_record_with_the_longest_fields_costs_13_write_units(
    invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient"
) -> None:
    (record,) = bodies.records(1, 0, "limits")
    record["evidence"] |= {
        "captured_at": "2026-04-26T12:00:00.".ljust(longest(fields.CapturedAt) - 6, "0") + "+00:00",
        "ip_address": "0000:" * 6 + "255.255.255.255",
        "user_agent": WIDEST * longest(fields.UserAgent),
        "form_url": "http://a/".ljust(longest(fields.FormUrl), WIDEST),
    }
    assert len(record["evidence"]["ip_address"]) == longest(fields.IpAddress)
    body = json.dumps({"records": [record]})
    assert invoke(BULK, headers(tenant, BULK), body=body).json["accepted"] == 1

    assert max(write_units(item) for item in all_stored(dynamodb, tenant.org_id)) == 13


def longest(field: Any) -> int:
    """Return the most characters that a field may have."""
    limit: int = TypeAdapter(field).json_schema()["maxLength"]
    return limit


def write_units(item: dict[str, Any]) -> int:
    """Return what DynamoDB charges for writing an item: a unit for each begun KB."""
    return ceil(size(item) / 1024)


def size(item: dict[str, Any]) -> int:
    """Return the bytes that DynamoDB counts of an item: its names and values, 4 for each in a map.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: dict[str, Any]) -> int:
    if "M" in value:
        return 3 + sum(1 + len(name.encode()) + _size(of) for name, of in value["M"].items())
    return len(value["B"]) if "B" in value else len(value["S"].encode())


ORDINARY = body_of(BULK, 1000)
LONG_TEXTS = bodies.long_texts("costs")
ONE_TEXT = json.dumps({"records": ["x" * (8 * MIB - 20)]})


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(ORDINARY, id="1000 records"),
        pytest.param(LONG_TEXTS, id="2 KB in every field"),
        pytest.param(ONE_TEXT, id="one text of 8 MiB"),
    ],
)
def test_records_take_at_most_16_times_the_memory_of_their_body(
    invoke: Invoke, tenant: Tenant, body: str
) -> None:
    # Of these, 13 are what orjson sets aside for a body of one text, before it knows how many.
    assert peak_memory(invoke, tenant, BULK, body) <= 16 * len(body)


def empty(value: str) -> str:
    """Return a JSON array of as many empty values as fit into a body."""
    return f"[{','.join([value] * (8 * MIB // 3 - 8))}]"


@pytest.mark.parametrize(
    ("event", "body"),
    [
        pytest.param(BULK, bodies.nested_in_records("costs"), id="arrays in records"),
        pytest.param(BULK, bodies.nested_deep("costs"), id="one array in another"),
        pytest.param(BULK, f'{{"records":{empty("{}")}}}', id="empty records"),
        pytest.param(BULK_CONSENTS, f"Items={empty('[]')}", id="a form of empty arrays"),
    ],
)
def test_no_body_takes_a_third_of_the_memory_of_its_function(
    invoke: Invoke, tenant: Tenant, template: dict[str, Any], event: str, body: str
) -> None:
    given = template["Globals"]["Function"]["MemorySize"] * MIB

    assert len(body) > 7 * MIB
    assert peak_memory(invoke, tenant, event, body) <= given / 3


def peak_memory(invoke: Invoke, tenant: Tenant, event: str, body: str) -> int:
    """Return the most bytes that a call has held at a time, beside what was held before."""
    tracemalloc.start()
    try:
        answer = invoke(event, headers(tenant, event), body=body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status in {200, 400, 422}
    return peak


# ---------------------------------------------------------------- Decisions

CHECK, REVOKE = "check_consents.three_contacts", "revoke_consents.all_senders"
CONTACTS = [f"+1555{number:07}" for number in range(1000)]


@pytest.mark.parametrize("count", [1, 30, 1000])
def test_a_check_makes_a_query_per_contact_and_writes_only_its_bucket(
    invoke: Invoke, tenant: Tenant, calls: list[str], count: int
) -> None:
    body = {"sender_id": "123456", "contact_numbers": CONTACTS[:count]}
    before = handlers_client().rounds
    assert invoke(CHECK, tenant.bearer, body=json.dumps(body)).status == 200

    made = Counter(calls)
    assert made.pop("Query") == count
    assert made.keys() == {"UpdateItem"}  # of the bucket
    assert made["UpdateItem"] <= 2
    assert handlers_client().rounds - before <= 3


def test_a_contact_costs_one_read_unit(
    invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient"
) -> None:
    asked: list[dict[str, Any]] = []

    def keep(operation: str, parameters: dict[str, Any]) -> None:
        if operation == "Query":
            asked.append(parameters)

    body = {"sender_id": "123456", "contact_numbers": CONTACTS[:3]}
    with handlers_client().watch(keep):
        invoke(CHECK, tenant.bearer, body=json.dumps(body))

    assert len(asked) == 3
    for parameters in asked:
        found = dynamodb.query(**parameters, ReturnConsumedCapacity="TOTAL")
        assert found["ConsumedCapacity"]["CapacityUnits"] <= 1


def test_a_revocation_is_a_query_and_an_insert_per_contact(
    invoke: Invoke, tenant: Tenant, calls: list[str]
) -> None:
    body = {
        "contact_numbers": CONTACTS[:60],
        "all_senders": True,
        "evidence": {"method": "reply"},
    }
    assert invoke(REVOKE, tenant.bearer, body=json.dumps(body)).json["revoked"] == 60

    made = Counter(calls)
    assert (made["Query"], made["BatchExecuteStatement"]) == (60, ceil(60 / STATEMENTS_PER_CALL))
    assert made.keys() == {"Query", "BatchExecuteStatement", "UpdateItem"}
