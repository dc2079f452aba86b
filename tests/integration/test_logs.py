"""Nothing that was sent is in anything that the functions emit: logs, metrics, output, warnings."""

import gzip
import json
import logging
import re
import sys
import warnings
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from io import StringIO
from typing import Any
from urllib.parse import unquote_plus, urlencode

import pytest
from botocore.exceptions import ConnectTimeoutError
from consents.aws import metrics
from consents.domain.record import Wire
from consents.http import endpoint as http
from consents.imports.row_formats import ROW_FORMATS

from tests.factories import jsonl
from tests.integration.callers import BULK, EVENTS, SINGLE, item, record
from tests.integration.conftest import Tenant
from tests.integration.drops import Drops, csv_of
from tests.integration.faults import BreakCall, Fault
from tests.integration.invocation import ROOT, Invocation, event_of

LENGTH = 10
"""A piece of so many characters is one that was sent: no shorter than a phone number is."""

SECRET_HEADERS = {"authorization", "idempotency-key", "user-agent", "x-forwarded-for"}
ALL_EVENTS = sorted(path.stem for path in (ROOT / "events").glob("*.json"))
ANNOUNCE, SHOW, LIST = "create_import.csv", "get_import.unknown", "list_imports.first_page"


def pieces(text: str) -> set[str]:
    return {text[at : at + LENGTH] for at in range(len(text) - LENGTH + 1)}


OURS = set[str]().union(*map(pieces, ('"records":', '"Timestamp":', '"request_id":')))
"""Names of facts in the log and of metrics, which the APIs, SNS and the ledger have too."""


def texts(event: dict[str, Any]) -> Iterator[str]:
    """Return all that a caller chose of an event, as it came and decoded."""
    for name, value in event.get("headers", {}).items():
        if name.lower() in SECRET_HEADERS:
            yield value
            yield _decoded(value.partition(" ")[2])
    identity = event.get("requestContext", {}).get("identity", {})
    yield from (identity.get(name) or "" for name in ("sourceIp", "userAgent"))
    for name in ("pathParameters", "queryStringParameters"):
        yield from (event.get(name) or {}).values()
    body = event.get("body") or ""
    for text in (body, _decoded(body)):
        yield text
        yield unquote_plus(text)
    for message in event.get("Records", []):
        yield unquote_plus(message.get("body") or json.dumps(message["dynamodb"]))


def _decoded(text: str) -> str:
    try:
        decoded = b64decode(text, validate=True)
        return (gzip.decompress(decoded) if decoded[:2] == b"\x1f\x8b" else decoded).decode()
    except (ValueError, OSError, EOFError, zlib.error):
        return ""


@dataclass
class Everything:
    """What was sent to the functions, and what they emitted by any way that there is."""

    capfd: pytest.CaptureFixture[str]
    caplog: pytest.LogCaptureFixture
    logged: StringIO
    warned: list[warnings.WarningMessage]
    sent: list[str] = field(default_factory=list)

    def call(self, function: str, event: dict[str, Any]) -> Any:
        self.sent += texts(event)
        handler = import_module(f"functions.{function}.app").handler
        return handler(event, Invocation(10_000))

    def emitted(self) -> str:
        out, err = self.capfd.readouterr()
        records = [str(vars(each)) for each in self.caplog.records]
        shown = [str(vars(each)) for each in self.warned]
        return "\n".join([out, err, self.logged.getvalue(), *records, *shown])

    def found(self, emitted: str) -> set[str]:
        """Return the pieces of what was sent that are in what was emitted."""
        wanted: set[str] = set().union(*map(pieces, self.sent)) - OURS
        return wanted & (pieces(emitted) | pieces(emitted.replace("\\", "")))


@pytest.fixture
def everything(
    engine: None,  # noqa: ARG001 - it has to run
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    logged: StringIO,
) -> Iterator[Everything]:
    """Everything that is emitted, by all loggers from INFO on, as the runtime has it."""
    caplog.set_level(logging.INFO)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield Everything(capfd, caplog, logged, warned)


def sent_by(name: str, tenant: Tenant, **changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = event_of(name)
    if "headers" not in event:
        return event
    known = tenant.basic if "bulk_consents" in name else tenant.bearer
    more = changes.pop("headers", {})
    return event | {"headers": event["headers"] | known | more} | changes


def lines_of(emitted: str) -> list[str]:
    return [line for line in emitted.splitlines() if line.startswith("{")]


# --- the search finds what leaks ---

LEAK = "contact +15554443333 of 203.0.113.42"


def warn(text: str) -> None:
    warnings.warn(text, stacklevel=1)


LEAKS: dict[str, Callable[[str], object]] = {
    "output": lambda text: sys.stdout.write(text),
    "error output": lambda text: sys.stderr.write(text),
    "the log": lambda text: http.log.info("request.completed", extra_fact=text),
    "a key of the log": lambda text: http.log.info("request.completed", extra={text: 1}),
    "another logger": lambda text: logging.getLogger("botocore").warning("%s", text),
    "a traceback": lambda text: http.log.error("failed", exc_info=ValueError(text)),
    "a warning": warn,
    "a metric": lambda text: metrics.write({"RecordsRejected": 1}, {text: 1}),
    "JSON in JSON": lambda text: sys.stdout.write(json.dumps(json.dumps({"a": f'"{text}"'}))),
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_the_search_finds_what_is_leaked_in_any_way(
    everything: Everything, tenant: Tenant, leak: Callable[[str], object]
) -> None:
    everything.call("capture_consents", sent_by(BULK, tenant))
    leak("nothing that was sent")
    before = everything.emitted()
    leak(LEAK)

    assert everything.found(before) == set()
    assert everything.found(everything.emitted()) >= pieces("+15554443333") | pieces("203.0.113.42")


@pytest.mark.parametrize("name", ALL_EVENTS)
def test_the_search_finds_all_of_what_was_sent_in_what_was_sent(
    everything: Everything, tenant: Tenant, name: str
) -> None:
    event = sent_by(name, tenant)
    everything.sent += texts(event)

    assert everything.found("\n".join(texts(event))) == (
        set().union(*map(pieces, everything.sent)) - OURS
    )


MIXED = ["+15554443333", "203.0.113.42", "Mozilla/5.0", "By signing up you agree to receive"]
KNOWN = {
    "capture_consent.accepted": ["+15554443335", *MIXED[1:]],
    "capture_consents.mixed": MIXED,
    "capture_consents.base64": MIXED,
    "capture_consents.gzip": MIXED,
    "create_bulk_consents.two_items": ["+19999999999", "02520cfa6c432f0e3ec3a38c122d428d"],
    "create_bulk_consents.gzip": ["+19999999999", "02520cfa6c432f0e3ec3a38c122d428d"],
    "plan_import.object_created": ["2026/may sales + über.csv"],
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_search_covers_numbers_texts_addresses_and_secrets(
    everything: Everything, tenant: Tenant, name: str
) -> None:
    event = sent_by(name, tenant)
    everything.sent += texts(event)
    secret = event.get("headers", {}).get("Authorization", "").partition(" ")[2]

    for known in [*KNOWN[name], secret, _decoded(secret)]:
        assert everything.found(known) == pieces(known)


# --- nothing leaks ---


@pytest.mark.parametrize("name", ALL_EVENTS)
def test_no_event_leaves_anything_that_was_sent(
    everything: Everything, tenant: Tenant, name: str
) -> None:
    for event in (
        sent_by(name, tenant),
        event_of(name),
    ):
        everything.call(name.split(".")[0], event)

    assert everything.found(everything.emitted()) == set()


SECRET = "+15554443333"
BODIES = {
    "not json": '{"records": [{"contact_number": "+15554443333", "agreement',
    "nan": '{"records": [{"contact_number": NaN, "user_agent": "Mozilla/5.0 secret"}]}',
    "nested": '{"records": [' * 5000 + SECRET,
    "numbers": '{"records": [15554443333, "+15554443333", null, ["+15554443333"]]}',
    "names": json.dumps({"records": [{SECRET: {SECRET: "by signing up you agree"}}]}),
    "half a pair": '{"records": [{"contact_number": "\\ud83d +15554443333"}]}',
    "long": json.dumps({"records": [{"contact_number": SECRET * 10_000}]}),
    "form": "Items[0][contact_id]=%2B15554443333&Items[0][status]=agreed by phone",
    "odd form": "Items=%7B%22contact_id%22%3A%22%2B15554443333&Items[%2B15554443333]=1",
    "many": "&".join(["Items=%2B15554443333"] * 1001),
    "control": "Items=\x00\x1b[31m+15554443333\x85\u2028",
}
HEADERS = {
    "key": {"Idempotency-Key": f"order of {SECRET}"},
    "long key": {"Idempotency-Key": SECRET * 30},
    "type": {"Content-Type": f"text/plain; name={SECRET}"},
    "scheme": {"Authorization": f"Digest username={SECRET}"},
    "basic": {"Authorization": "Basic " + b64encode(b"+15554443333:hunter2hunter2").decode()},
    "not base64": {"Authorization": "Basic +15554443333:hunter2hunter2"},
    "bearer": {"Authorization": "Bearer am_live_+15554443333"},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("event", [*EVENTS, ANNOUNCE])
def test_no_hostile_body_is_emitted(
    everything: Everything, tenant: Tenant, event: str, body: str
) -> None:
    packed = gzip.compress(body.encode(errors="surrogatepass"))
    everything.sent.append(body)
    for sent in (packed, packed[:-1]):
        encoded = b64encode(sent).decode()
        changes: dict[str, Any] = {"body": encoded, "isBase64Encoded": True}
        everything.call(event.split(".")[0], sent_by(event, tenant, **changes))
    everything.call(event.split(".")[0], sent_by(event, tenant, body=body))

    emitted = everything.emitted()
    assert everything.found(emitted) == set()
    assert len(lines_of(emitted)) >= 6


@pytest.mark.parametrize("more", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("event", [*EVENTS, ANNOUNCE, SHOW, LIST])
def test_no_hostile_header_is_emitted(
    everything: Everything, tenant: Tenant, event: str, more: dict[str, str]
) -> None:
    everything.sent += more.values()
    for _ in range(2):
        everything.call(event.split(".")[0], sent_by(event, tenant, headers=more))

    assert everything.found(everything.emitted()) == set()


def test_no_path_is_emitted(everything: Everything, tenant: Tenant) -> None:
    path = f"/v1/Consents/{SECRET}"
    everything.sent.append(SECRET)
    changes = {"path": path, "pathParameters": {"proxy": path[1:]}}
    everything.call("not_found", sent_by("not_found.bulk_consents", tenant, **changes))

    assert everything.found(everything.emitted()) == set()


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (SHOW, {"pathParameters": {"import_id": f"import of {SECRET}"}}),
        (LIST, {"queryStringParameters": {"limit": SECRET, "cursor": f"after {SECRET}"}}),
        (LIST, {"queryStringParameters": {"limit": "20", "cursor": "KzE1NTU0NDQzMzMz"}}),
    ],
)
def test_no_parameter_is_emitted(
    everything: Everything, tenant: Tenant, event: str, changes: dict[str, dict[str, Any]]
) -> None:
    everything.call(event.split(".")[0], sent_by(event, tenant, **changes))

    assert everything.found(everything.emitted()) == set()


def test_no_upload_link_is_emitted(everything: Everything, tenant: Tenant) -> None:
    answer = everything.call("create_import", sent_by(ANNOUNCE, tenant))
    everything.sent += re.findall("X-Amz-Signature=([0-9a-f]{64})", answer["body"])

    assert len(everything.sent[-1]) == 64
    assert everything.found(everything.emitted()) == set()


# --- nothing leaks where something fails ---

TABLES = ["DirectoryTable", "IdempotencyTable", "ImportsTable", "LedgerTable", "RateLimitsTable"]
CALLS = [
    "BatchExecuteStatement",
    "BatchGetItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "TransactWriteItems",
    "UpdateItem",
]


class Http:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


def no_connection(**_: Any) -> Any:
    raise ConnectTimeoutError(endpoint_url="http://contact/+15554443333")


def bug(parameters: dict[str, Any], **_: Any) -> Any:
    raise RuntimeError(parameters)


def refused(status: int, code: str) -> Fault:
    """Return a fault whose message repeats the whole call, as DynamoDB's own may."""

    def answer(parameters: dict[str, Any], **_: Any) -> Any:
        error = {"Code": code, "Message": str(parameters)}
        return Http(status), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}

    return answer


FAULTS: dict[str, Fault] = {
    "no connection": no_connection,
    "bug": bug,
    "denied": refused(400, "AccessDeniedException"),
    "invalid": refused(400, "ValidationException"),
    "throttled": refused(400, "ThrottlingException"),
    "down": refused(500, "InternalServerError"),
}


@pytest.fixture
def break_table(break_call: BreakCall) -> Callable[[str, Fault], None]:
    """Let every call that names a table fail."""

    def break_table(table: str, fault: Fault) -> None:
        def of_table(**call: Any) -> Any:
            return fault(**call) if table in str(call["parameters"]) else None

        for name in CALLS:
            break_call(name, of_table)

    return break_table


def of_tenant(event: str, tenant: Tenant) -> str:
    """Return a body that gets as far as the ledger."""
    if event == SINGLE:
        return json.dumps(record(tenant, 1))
    if event == BULK:
        return json.dumps({"records": [record(tenant, 1), record(tenant, 2)]})
    return urlencode([("Items", json.dumps(item(tenant, number))) for number in (1, 2)])


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("table", TABLES)
def test_a_request_emits_nothing_sent_when_a_table_fails(
    everything: Everything,
    tenant: Tenant,
    break_table: Callable[[str, Fault], None],
    table: str,
    fault: Fault,
) -> None:
    break_table(table, fault)
    statuses = []
    for event in EVENTS:
        changes: dict[str, Any] = {
            "headers": {"Idempotency-Key": f"order of {SECRET}"},
            "body": of_tenant(event, tenant),
        }
        shown = everything.call(event.split(".")[0], sent_by(event, tenant, **changes))
        statuses.append(shown["statusCode"])
    for event in (ANNOUNCE, SHOW, LIST):
        shown = everything.call(event.split(".")[0], sent_by(event, tenant))
        statuses.append(shown["statusCode"])

    assert everything.found(everything.emitted()) == set()
    assert max(statuses) in {500, 503}


# --- files ---


def drop_files(drops: Drops, everything: Everything, tenant: Tenant) -> None:
    """Drop files with rows that are refused, of both wires, in all forms, and one unreadable."""
    bad: list[Any] = [item(tenant, 1), item(tenant, 2, contact_id="+1"), {SECRET: 1}]
    worse = [record(tenant, 3), record(tenant, 4, evidence={"user_agent": "Mozilla/5.0 secret"})]
    contents = {
        "bulk-consents/a.jsonl": jsonl(*bad) + b'{"contact_id": "+15554443333"\n',
        "bulk-consents/a.csv": csv_of(bad[:2]) + b'"+15554443333',
        "attested/a.jsonl.gz": jsonl(*worse),
        "attested/a.csv": b"+15554443333,agreement_text\n1,2\n",
        f"attested/{SECRET}.csv.gz": b"name of +15554443333",
    }
    for name, content in contents.items():
        everything.sent.append(content.decode())
        packed = gzip.compress(content) if name == "attested/a.jsonl.gz" else content
        drops.put(tenant.org_id, name, packed)
    drops.put(SECRET, "attested/a.jsonl", contents["bulk-consents/a.jsonl"])
    everything.sent.append(SECRET)
    drops.finish()


def test_an_import_emits_no_content_and_no_name_of_a_file(
    everything: Everything, drops: Drops, tenant: Tenant
) -> None:
    drop_files(drops, everything, tenant)

    emitted = everything.emitted()
    columns = ", ".join(ROW_FORMATS[Wire.ATTESTED].columns)
    assert columns in emitted  # they are the reason of one, and the names of fields that were sent
    assert everything.found(emitted.replace(columns, "")) == set()
    assert [
        emitted.count(f'"message":"{name}"') for name in ("part.imported", "import.failed")
    ] == [3, 3]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("table", ["DirectoryTable", "ImportsTable", "LedgerTable"])
def test_an_import_emits_nothing_sent_when_a_table_fails(
    everything: Everything,
    drops: Drops,
    tenant: Tenant,
    break_table: Callable[[str, Fault], None],
    table: str,
    fault: Fault,
) -> None:
    drops.plan()
    contents: Iterable[tuple[str, bytes]] = [
        ("bulk-consents/a.jsonl", jsonl(item(tenant, 1), {SECRET: 1})),
        ("attested/b.jsonl", jsonl(record(tenant, 2), {SECRET: 1})),
    ]
    for name, content in contents:
        everything.sent.append(content.decode())
        drops.put(tenant.org_id, name, content)
    if table == "LedgerTable":
        drops.plan()
    break_table(table, fault)
    for queue, function in (("PLAN_QUEUE", "plan_import"), ("PART_QUEUE", "import_part")):
        for body in list(drops.receive(queue)):
            event = sent_by("plan_import.object_created", tenant)
            event["Records"][0]["body"] = body
            for name in (function, "fail_import"):
                import_module(f"functions.{name}.app").handler(event, Invocation(10_000))

    emitted = everything.emitted()
    assert everything.found(emitted) == set()
    assert '"message":"message.failed"' in emitted
