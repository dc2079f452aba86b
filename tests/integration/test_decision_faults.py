"""Checks over a table that fails in every way: nobody is allowed without the records read."""

import json
import random
import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from zlib import crc32

import boto3
import pytest
from botocore.config import Config
from consents.aws.client import DYNAMODB, Boto3Client, LeanClient
from consents.aws.connections import Connections
from consents.aws.dynamodb import Table
from consents.aws.sigv4 import Credentials
from consents.decisions.check import Asker, check
from consents.decisions.decide import Reason
from consents.decisions.ledger import ContactReader
from consents.domain.errors import Unavailable
from consents.domain.rules import DEFAULT_RULES

from tests.factories import NOW, item_json
from tests.integration.callers import item
from tests.integration.conftest import Invoke, Tenant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONTACTS = [f"+1555000{number:04}" for number in range(12)]
"""Those of an even number opted in, the others opted out afterwards."""

TRUTH = {
    contact: Reason.OPTED_OUT if number % 2 else Reason.OPTED_IN
    for number, contact in enumerate(CONTACTS)
}

type Fault = Callable[["Proxy", bytes], None]


class Proxy(BaseHTTPRequestHandler):
    """Passes a call to the engine, and does with the response what a fault says."""

    protocol_version = "HTTP/1.1"
    engine: str
    faults: list[Fault]
    dice = random.Random(7)

    def do_POST(self) -> None:
        """Send the response of the engine, or what a fault makes of it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: value for name, value in self.headers.items() if name != "Connection"}
        request = urllib.request.Request(self.engine, body, headers)
        with urllib.request.urlopen(request, timeout=5) as response:
            content = response.read()
        self.dice.choice(self.faults)(self, content)

    def answer(self, status: int, content: bytes, **changes: Any) -> None:
        """Send a response with the headers of DynamoDB, some of them changed."""
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "Content-Length": str(len(content)),
            "x-amz-crc32": str(crc32(content)),
            **{name.replace("_", "-"): value for name, value in changes.items()},
        }
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def clean(proxy: Proxy, content: bytes) -> None:
    proxy.answer(200, content)


def throttled(proxy: Proxy, _content: bytes) -> None:
    error = {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"}
    proxy.answer(400, json.dumps(error).encode())


def server_error(proxy: Proxy, _content: bytes) -> None:
    proxy.answer(500, b"{}")


def reset(proxy: Proxy, _content: bytes) -> None:
    proxy.close_connection = True
    proxy.connection.shutdown(socket.SHUT_RDWR)


def truncated(proxy: Proxy, content: bytes) -> None:
    proxy.answer(200, content[: len(content) // 2], Content_Length=str(len(content)))
    reset(proxy, content)


def wrong_checksum(proxy: Proxy, content: bytes) -> None:
    items = json.loads(content)
    proxy.answer(200, json.dumps(items | {"Items": []}).encode(), x_amz_crc32=str(crc32(content)))


def not_json(proxy: Proxy, _content: bytes) -> None:
    proxy.answer(200, b"<html>")


def closes_after_the_response(proxy: Proxy, content: bytes) -> None:
    proxy.answer(200, content)
    proxy.close_connection = True


FAULTS: dict[str, Fault] = {
    each.__name__: each
    for each in (
        throttled,
        server_error,
        reset,
        truncated,
        wrong_checksum,
        not_json,
        closes_after_the_response,
    )
}


@pytest.fixture
def tenant_with_contacts(invoke: Invoke, tenant: Tenant) -> Tenant:
    """An organization of whose contacts every second one said STOP."""
    sent = [item(tenant, number) for number in range(12)]
    stops = [
        item(tenant, number, status="opt-out", date_of_consent="2026-04-27T12:00:00Z")
        | {"correlation_id": item_json(1000 + number)["correlation_id"]}
        for number in range(1, 12, 2)
    ]
    form = urlencode([("Items", json.dumps(each)) for each in sent + stops])
    assert invoke("create_bulk_consents.two_items", tenant.basic, body=form).status == 201
    return tenant


@contextmanager
def proxied(engine: str, faults: list[Fault]) -> Iterator[ContactReader]:
    """Return a reader whose lean client and boto3 both reach the engine through faults."""
    handler = type("FaultyProxy", (Proxy,), {"engine": engine, "faults": faults})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    config = Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=5)
    boto = boto3.client("dynamodb", endpoint_url=f"http://{host}", config=config)
    connections = Connections("127.0.0.1", server.server_port, is_tls=False)
    client = LeanClient(
        DYNAMODB,
        "us-east-1",
        connections,
        host,
        lambda: Credentials("test", "test", ""),
        Boto3Client(lambda: boto),
    )
    try:
        yield ContactReader(Table(client, "LedgerTable", sleep=lambda _: None))
    finally:
        boto.close()
        connections._threads.__dict__.clear()  # close those that are idle
        server.shutdown()
        server.server_close()


def decided(
    reader: ContactReader, tenant: Tenant, contacts: Sequence[str] = CONTACTS
) -> dict[str | None, Reason]:
    asker = Asker(tenant.org_id, tenant.phone_number, DEFAULT_RULES)
    answer = check(contacts, asker, reader, now=NOW, time_left=lambda: 25)
    return {contact: decision.reason for contact, decision in answer.results}


def engine_of(dynamodb: "DynamoDBClient") -> str:
    return str(dynamodb.meta.endpoint_url)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_now_and_then_changes_no_decision(
    name: str, tenant_with_contacts: Tenant, dynamodb: "DynamoDBClient"
) -> None:
    with proxied(engine_of(dynamodb), [clean, clean, FAULTS[name]]) as reader:
        found = decided(reader, tenant_with_contacts)

    assert all(found[one] in {TRUTH[one], Reason.UNAVAILABLE} for one in CONTACTS)
    assert Counter(found.values())[Reason.OPTED_IN] > 0


@pytest.mark.parametrize(
    "name", [name for name in FAULTS if name != closes_after_the_response.__name__]
)
def test_a_table_that_always_fails_allows_nobody(
    name: str, tenant_with_contacts: Tenant, dynamodb: "DynamoDBClient"
) -> None:
    with proxied(engine_of(dynamodb), [FAULTS[name]]) as reader, pytest.raises(Unavailable):
        decided(reader, tenant_with_contacts, CONTACTS[:2])


def test_all_faults_together_allow_nobody_wrongly(
    tenant_with_contacts: Tenant, dynamodb: "DynamoDBClient"
) -> None:
    with proxied(engine_of(dynamodb), [clean, *FAULTS.values()]) as reader:
        for _ in range(5):
            found = decided(reader, tenant_with_contacts)
            assert all(found[one] in {TRUTH[one], Reason.UNAVAILABLE} for one in CONTACTS)
