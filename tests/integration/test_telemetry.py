"""What the service logs: one line for a request or a part, and metrics."""

import gzip
import json
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError
from openapi_schema_validator import OAS31Validator

from tests.factories import jsonl
from tests.integration.callers import (
    BULK,
    BULK_CONSENTS,
    EVENTS,
    SINGLE,
    body,
    code,
    headers,
    item,
    record,
)
from tests.integration.conftest import (
    Invoke,
    Metrics,
    NewTenant,
    Tenant,
)
from tests.integration.drops import Drops, run, sqs_event
from tests.integration.faults import BreakCall
from tests.integration.invocation import Invocation, event_of

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
NAME = {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[\x21-\x7e ]*$"}
EMF = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": NAME,
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "maxItems": 30, "items": NAME},
                            },
                            "Metrics": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name", "Unit"],
                                    "properties": {
                                        "Name": NAME,
                                        "Unit": {"enum": ["Count", "Milliseconds"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}
OF_A_REQUEST = {
    "RecordsAccepted",
    "RecordsRejected",
    "RecordsUnavailable",
    "RequestLatency",
    "RequestsReplayed",
    "RequestsThrottled",
    "RequestsUnavailable",
}
OF_A_PART = {"RecordsAccepted", "RecordsDuplicate", "RecordsRejected"}
SERVICE = {"service": "consent-ledger"}

type Counted = dict[tuple[str, ...], dict[str, float]]


def lines(logged: StringIO, message: str = "request.completed") -> list[dict[str, Any]]:
    shown = [json.loads(line) for line in logged.getvalue().splitlines()]
    return [line for line in shown if line["message"] == message]


def line(logged: StringIO, message: str = "request.completed") -> dict[str, Any]:
    (shown,) = lines(logged, message)
    return shown


def counted(written: list[dict[str, Any]]) -> Counted:
    """Return the values as CloudWatch reads them, by the values of the dimensions."""
    read: Counted = {}
    for emf in written:
        OAS31Validator(EMF).validate(emf)
        for directive in emf["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "ConsentLedger"
            names = [metric["Name"] for metric in directive["Metrics"]]
            for dimensions in directive["Dimensions"]:
                values = read.setdefault(tuple(emf[name] for name in dimensions), {})
                assert not values.keys() & set(names)
                values |= {name: sum(emf[name]) for name in names}
    return read


def of_service(written: list[dict[str, Any]]) -> dict[str, float]:
    values = counted(written)[("consent-ledger",)]
    values.pop("RequestLatency", None)
    return {name: value for name, value in values.items() if value}


def no_connection(**_: Any) -> Any:
    raise ConnectTimeoutError(endpoint_url="-")


def bug(**_: Any) -> Any:
    raise RuntimeError("-")


def mixed(tenant: Tenant, event: str) -> str:
    """Return a body of two sound records and, but for the single twin, two bad ones."""
    if event == SINGLE:
        return body(SINGLE, tenant, 1)
    if event == BULK_CONSENTS:
        sent = [item(tenant, number) for number in range(4)]
        sent[2]["status"] = sent[3]["contact_id"] = "nonsense"
        return body(BULK_CONSENTS, tenant, 1, 2) + "&Items=" + json.dumps(sent[2:])
    sent = [record(tenant, number) for number in range(4)]
    sent[2]["opted_in"] = "yes"
    sent[3]["phone_number_id"] = "00000000-0000-4000-8000-000000000000"
    return json.dumps({"records": sent})


BECAME: dict[str, dict[str, Any]] = {
    BULK: {
        "records": 4,
        "accepted": 2,
        "rejected": {"VALIDATION_FAILED": 1, "NOT_FOUND": 1},
        "unavailable": 0,
    },
    SINGLE: {"records": 1, "accepted": 1, "rejected": {}, "unavailable": 0},
    BULK_CONSENTS: {"records": 4, "accepted": 2, "rejected": {"30646": 2}, "unavailable": 0},
}
ROUTES = {
    BULK: "POST /v1/consent/bulk",
    SINGLE: "POST /v1/consent",
    BULK_CONSENTS: "POST /v1/Consents/Bulk",
}


@pytest.mark.parametrize("event", EVENTS)
def test_a_request_is_one_line_with_its_caller_counts_and_times(
    invoke: Invoke, tenant: Tenant, logged: StringIO, event: str
) -> None:
    answer = invoke(event, headers(tenant, event), body=mixed(tenant, event))

    (only,) = (json.loads(each) for each in logged.getvalue().splitlines())
    assert {name: only[name] for name in BECAME[event]} == BECAME[event]
    assert only["request_id"] == answer.headers["X-Request-Id"]
    assert only["organization"] == tenant.org_id
    assert (only["route"], only["status"]) == (ROUTES[event], answer.status)
    assert only["replayed"] is False
    assert isinstance(only["cold_start"], bool)
    assert 0 <= only["authenticated_after"] <= only["milliseconds"]
    assert "code" not in only


@pytest.mark.parametrize("event", [*EVENTS, "not_found.attested"])
def test_every_log_line_has_the_ids_of_api_gateway_and_lambda(
    event: str, logged: StringIO, break_call: BreakCall
) -> None:
    break_call("GetItem", bug)
    sent = event_of(event)
    context = Invocation(29_000)
    import_module(f"functions.{event.split('.')[0]}.app").handler(sent, context)

    shown = [json.loads(each) for each in logged.getvalue().splitlines()]
    assert "request.completed" in [each["message"] for each in shown]
    for each in shown:
        assert each["gateway_request_id"] == sent["requestContext"]["requestId"]
        assert each["lambda_request_id"] == context.aws_request_id


@pytest.mark.parametrize("chosen", ["+15554443333", "order 7\n", "", None])
def test_a_gateway_request_id_is_logged_only_if_it_is_a_uuid(
    invoke: Invoke, tenant: Tenant, logged: StringIO, chosen: str | None
) -> None:
    invoke(BULK, tenant.bearer, requestContext={"requestId": chosen})

    assert "gateway_request_id" not in line(logged)


@pytest.mark.parametrize("event", EVENTS)
def test_a_request_counts_records_per_service_and_per_code(
    invoke: Invoke, tenant: Tenant, metrics: Metrics, event: str
) -> None:
    invoke(event, headers(tenant, event), body=mixed(tenant, event))

    written = metrics()
    rejected = BECAME[event]["rejected"]
    counts = counted(written)
    assert set(counts.pop(("consent-ledger",))) == OF_A_REQUEST
    assert counts == {
        (code, "consent-ledger"): {"RecordsRejected": number} for code, number in rejected.items()
    }
    total = {"RecordsRejected": sum(rejected.values())} if rejected else {}
    assert of_service(written) == {"RecordsAccepted": BECAME[event]["accepted"]} | total


def test_only_one_call_of_a_process_is_its_first(
    invoke: Invoke, tenant: Tenant, logged: StringIO
) -> None:
    for _ in range(3):
        invoke(BULK, tenant.bearer)

    assert [shown["cold_start"] for shown in lines(logged)].count(True) <= 1
    assert [shown["cold_start"] for shown in lines(logged)][1:] == [False, False]


@pytest.mark.parametrize("event", EVENTS)
def test_a_replay_is_logged_and_counts_no_record_again(
    invoke: Invoke, tenant: Tenant, logged: StringIO, metrics: Metrics, event: str
) -> None:
    invoke(event, headers(tenant, event), body=body(event, tenant, 1))
    metrics()
    invoke(event, headers(tenant, event), body=body(event, tenant, 1))

    replay = lines(logged)[1]
    assert replay["replayed"] is True
    assert not {"records", "accepted", "rejected", "unavailable"} & set(replay)
    assert of_service(metrics()) == {"RequestsReplayed": 1}


@pytest.mark.parametrize("event", EVENTS)
def test_a_throttled_request_logs_its_records_and_counts_none(
    invoke: Invoke, new_tenant: NewTenant, logged: StringIO, metrics: Metrics, event: str
) -> None:
    tenant = new_tenant(per_minute=1)
    invoke(event, headers(tenant, event, None), body=body(event, tenant, 1))
    metrics()
    answer = invoke(event, headers(tenant, event, None), body=body(event, tenant, 1))

    shown = lines(logged)[1]
    assert (shown["status"], shown["code"], shown["records"]) == (429, str(code(answer)), 1)
    assert of_service(metrics()) == {"RequestsThrottled": 1}


@pytest.mark.parametrize("event", EVENTS)
def test_records_that_could_not_be_stored_are_counted(
    invoke: Invoke,
    tenant: Tenant,
    break_call: BreakCall,
    logged: StringIO,
    metrics: Metrics,
    event: str,
) -> None:
    break_call("BatchExecuteStatement", no_connection)
    invoke(event, headers(tenant, event, None), 10_000, body=body(event, tenant, 1))

    assert line(logged)["unavailable"] == 1
    assert of_service(metrics()) == {"RecordsUnavailable": 1, "RequestsUnavailable": 1}


def test_a_rejected_single_record_is_counted_as_rejected(
    invoke: Invoke, tenant: Tenant, logged: StringIO, metrics: Metrics
) -> None:
    invoke(SINGLE, tenant.bearer, body=json.dumps(record(tenant, 1, opted_in=None)))

    shown = line(logged)
    assert (shown["code"], shown["rejected"]) == ("VALIDATION_FAILED", {"VALIDATION_FAILED": 1})
    assert of_service(metrics()) == {"RecordsRejected": 1}


def test_a_rejected_request_logs_its_code_and_counts_no_record(
    invoke: Invoke, tenant: Tenant, logged: StringIO, metrics: Metrics
) -> None:
    refused = [
        invoke(BULK, {"Authorization": "Bearer am_live_nobody"}),
        invoke(BULK, tenant.bearer, body="[]"),
        invoke(BULK_CONSENTS, tenant.basic, body=""),
        invoke("not_found.attested"),
    ]

    shown = lines(logged)
    assert [each["code"] for each in shown] == [str(code(answer)) for answer in refused]
    assert ["organization" in each for each in shown] == [False, True, True, False]
    assert all(of_service([written]) == {} for written in metrics())


def test_a_bug_is_one_more_log_line_and_is_measured_too(
    invoke: Invoke, tenant: Tenant, break_call: BreakCall, logged: StringIO, metrics: Metrics
) -> None:
    break_call("UpdateItem", bug)
    answer = invoke(BULK, tenant.bearer)

    assert (line(logged)["status"], line(logged)["code"]) == (500, "INTERNAL")
    fault = line(logged, "request.failed")
    assert fault["request_id"] == answer.headers["X-Request-Id"]
    assert fault["organization"] == tenant.org_id
    assert set(counted(metrics())[("consent-ledger",)]) == OF_A_REQUEST


class FullDisk(StringIO):
    def write(self, _: str) -> int:
        raise OSError("-")


def test_metrics_that_cannot_be_written_cost_no_response(
    invoke: Invoke, tenant: Tenant, logged: StringIO
) -> None:
    with redirect_stdout(FullDisk()):
        answer = invoke(BULK, tenant.bearer, body=body(BULK, tenant, 1))

    assert answer.json == {"accepted": 1, "rejected": []}
    assert line(logged, "metrics.write_failed")["error"] == "OSError"


def test_no_metric_has_a_dimension_of_many_values(
    invoke: Invoke, new_tenant: NewTenant, metrics: Metrics
) -> None:
    for _ in range(2):
        tenant = new_tenant()
        for event in EVENTS:
            invoke(event, headers(tenant, event), body=mixed(tenant, event))

    written = metrics()
    dimensions = {
        (name, emf[name])
        for emf in written
        for names in emf["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
        for name in names
    }
    assert dimensions == {
        ("service", "consent-ledger"),
        ("code", "VALIDATION_FAILED"),
        ("code", "NOT_FOUND"),
        ("code", "30646"),
    }


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_an_import_logs_its_plan_each_part_and_its_end(
    drops: Drops, tenant: Tenant, logged: StringIO, metrics: Metrics, name: str
) -> None:
    rows = [item(tenant, number) for number in (1, 2, 1)] + [item(tenant, 3, status="on")]
    content = jsonl(*rows)
    packed = gzip.compress(content) if name.endswith("gz") else content
    drop = drops.import_file(tenant.org_id, f"bulk-consents/{name}", packed)

    planned, imported = line(logged, "import.planned"), line(logged, "part.imported")
    assert planned["import_id"] == imported["import_id"] == drop.import_id
    assert line(logged, "import.completed")["import_id"] == drop.import_id
    assert (planned["parts"], imported["part"]) == (1, 1)
    became = {name: imported[name] for name in ("rows", "accepted", "duplicates", "rejected")}
    assert became == {"rows": 4, "accepted": 2, "duplicates": 1, "rejected": {"30646": 1}}
    counts = counted(metrics())
    assert counts == {
        ("consent-ledger",): {"RecordsAccepted": 2, "RecordsDuplicate": 1, "RecordsRejected": 1},
        ("30646", "consent-ledger"): {"RecordsRejected": 1},
    }
    assert set(counts[("consent-ledger",)]) == OF_A_PART


def test_a_repeated_part_is_neither_logged_nor_counted_again(
    drops: Drops, tenant: Tenant, logged: StringIO, metrics: Metrics
) -> None:
    drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(item(tenant, 1)))
    drops.plan()
    (part,) = drops.receive("PART_QUEUE")
    for _ in range(2):
        drops.send("PART_QUEUE", part)
        drops.deliver("PART_QUEUE", "import_part")

    assert line(logged, "part.imported")["accepted"] == 1
    assert of_service(metrics()) == {"RecordsAccepted": 1}


def test_a_message_that_fails_is_counted_each_time_it_comes(
    drops: Drops, tenant: Tenant, break_call: BreakCall, metrics: Metrics
) -> None:
    drops.put(tenant.org_id, "bulk-consents/a.jsonl", jsonl(item(tenant, 1)))
    (message,) = drops.receive("PLAN_QUEUE")
    break_call("UpdateItem", bug)
    for _ in range(2):
        assert run("plan_import", sqs_event(message)) == ["m0"]

    assert [counted([written]) for written in metrics()] == [
        {("consent-ledger",): {"MessagesFailed": 1}}
    ] * 2


def test_a_failed_import_is_logged_with_its_reason(
    drops: Drops, tenant: Tenant, logged: StringIO
) -> None:
    drop = drops.import_file(tenant.org_id, "attested/a.csv.gz", b"x")

    failed = line(logged, "import.failed")
    assert (failed["level"], failed["import_id"]) == ("WARNING", drop.import_id)
    assert failed["reason"] == "must be gzip, and complete: it is truncated"
