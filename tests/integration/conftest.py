"""A local AWS engine with the tables of template.yaml, and an organization for each test."""

import json
import logging
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from consents import wiring
from consents.accounts.directory import (
    Directory,
    credential_key,
    listing_key,
    number_key,
    organization_key,
    sender_key,
)
from consents.aws.dynamodb import BOTO_CONFIG, Table, encode_item
from consents.capture import bulk_consents
from consents.capture.ledger import Ledger
from consents.http import endpoint as http
from consents.http import json_api
from consents.imports import wiring as import_wiring
from consents_cli import engine as engine_process
from ministack.services.cloudformation import language_extensions

from tests import yaml_documents
from tests.integration.drops import DROPS_BUCKET, Drops
from tests.integration.faults import BreakCall, breaker, table_breaker
from tests.integration.invocation import Invocation, Response, event_of
from tests.integration.watched import Watched, handlers_client, watch

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SERVICES = "cloudformation,cloudwatch,dynamodb,dynamodbstreams,kms,logs,s3,secretsmanager,sqs"

SECRETS = {"Pepper": "pepper", "TwilioAuthToken": "0123456789abcdef0123456789abcdef"}

LOG_BUCKET = "log"

PARTS_AHEAD = 1000
"""The window of the functions: wide, so that a planner releases all parts of a test's file."""


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """The template that deploys, with its loops expanded."""
    return dict(language_extensions.apply(deepcopy(yaml_documents.template()), {}))


@pytest.fixture(scope="session")
def running_engine(template: dict[str, Any]) -> Iterator[None]:
    """A MiniStack with the template's tables; the environment of this process points to it.

    Each process of pytest has a separate one, at a free port.
    """
    port = free_port()
    deployed = template["Globals"]["Function"]["Environment"]["Variables"]
    environment = {
        "ALLOWED_ORIGIN": "https://app.example.com",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_SECRET_ACCESS_KEY": "test",
        "BIND_HOST": "127.0.0.1",
        "DEAD_LETTER_QUEUE": _queue_url(port, "DeadLetterQueue"),
        "DIRECTORY_TABLE": "DirectoryTable",
        "DROPS_BUCKET": DROPS_BUCKET,
        "FORMS_TABLE": "FormsTable",
        "GATEWAY_PORT": str(port),
        "IDEMPOTENCY_TABLE": "IdempotencyTable",
        "IMPORTS_TABLE": "ImportsTable",
        "LEDGER_TABLE": "LedgerTable",
        "INBOUND_QUEUE": _queue_url(port, "InboundQueue"),
        "LOG_BUCKET": LOG_BUCKET,
        "LOG_LOCK": "governance",
        "LOG_ORIGIN": "log.example.com/test",
        "LOG_TABLE": "LogTable",
        "MESSAGE_PROVIDER": "outbox",
        "OUTBOUND_QUEUE": _queue_url(port, "OutboundQueue"),
        "PARTS_AHEAD": str(PARTS_AHEAD),
        "PART_QUEUE": _queue_url(port, "PartQueue"),
        "PEPPER_SECRET": "Pepper",
        "POWERTOOLS_METRICS_NAMESPACE": deployed["POWERTOOLS_METRICS_NAMESPACE"],
        "POWERTOOLS_SERVICE_NAME": "consent-ledger",
        "PLAN_QUEUE": _queue_url(port, "PlanQueue"),
        "PUBLIC_URL": "https://text.example.com",
        "RATE_LIMITS_TABLE": "RateLimitsTable",
        "SERVICES": SERVICES,
        "TIMESTAMP_URL": "http://127.0.0.1:9/down",
        "TWILIO_ACCOUNT_SID": f"AC{'0' * 31}9",
        "TWILIO_TOKEN_SECRET": "TwilioAuthToken",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        watch(wiring)
        with subprocess.Popen(
            engine_process.COMMAND,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                wait_until_healthy(f"http://127.0.0.1:{port}/_ministack/health")
                _create_tables(template, *template["Resources"])
                _create_bucket_and_queues(template)
                for name, value in SECRETS.items():
                    boto3.client("secretsmanager").create_secret(Name=name, SecretString=value)
                patch.setenv("LOG_KEY_ID", _create_signing_key(template))
                yield
            finally:
                process.terminate()


@pytest.fixture(scope="module")
def engine(running_engine: None, template: dict[str, Any]) -> None:
    """The engine with an empty ledger: a scan walks through all that a table ever took."""
    boto3.client("dynamodb").delete_table(TableName="LedgerTable")
    _create_tables(template, "LedgerTable")


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_healthy(url: str) -> None:
    """Return when an engine responds."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.02)  # between two looks, so that the engine gets the processor
            continue
        return
    pytest.fail("the local engine did not start within 30 seconds")


def _create_tables(template: dict[str, Any], *names: str) -> None:
    client = boto3.client("dynamodb")
    for name in names:
        resource = template["Resources"][name]
        if resource["Type"] == "AWS::DynamoDB::Table":
            described = dict(resource["Properties"])
            if stream := described.get("StreamSpecification"):
                described["StreamSpecification"] = stream | {"StreamEnabled": True}
            wanted = {
                "AttributeDefinitions",
                "BillingMode",
                "GlobalSecondaryIndexes",
                "KeySchema",
                "StreamSpecification",
            }
            client.create_table(
                TableName=name, **{key: value for key, value in described.items() if key in wanted}
            )


def _create_bucket_and_queues(template: dict[str, Any]) -> None:
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    versioning = template["Resources"]["DropsBucket"]["Properties"]["VersioningConfiguration"]
    s3.create_bucket(Bucket=DROPS_BUCKET)
    s3.create_bucket(Bucket=LOG_BUCKET, ObjectLockEnabledForBucket=True)
    s3.put_bucket_versioning(Bucket=DROPS_BUCKET, VersioningConfiguration=versioning)
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::SQS::Queue":
            sqs.create_queue(QueueName=name)


def _create_signing_key(template: dict[str, Any]) -> str:
    """Create the log's key, and return its id."""
    described = template["Resources"]["LogKey"]["Properties"]
    key = boto3.client("kms").create_key(**{one: described[one] for one in ("KeySpec", "KeyUsage")})
    return str(key["KeyMetadata"]["KeyId"])


def _queue_url(port: int, name: str) -> str:
    return f"http://127.0.0.1:{port}/000000000000/{name}"


@pytest.fixture
def dynamodb(engine: None) -> "DynamoDBClient":
    """A client of the engine for what a test prepares or looks at."""
    return boto3.client("dynamodb", config=Config(**BOTO_CONFIG | {"read_timeout": 60}))


@pytest.fixture
def tables(engine: None) -> Watched:
    """A client of the engine as the stores of the functions have it, and of no other test."""
    return Watched(handlers_client().client)


@pytest.fixture
def ledger(tables: Watched) -> Ledger:
    """The ledger, with an empty cache of agreement texts."""
    return Ledger(Table(tables, "LedgerTable"), max_call_seconds=1)


@pytest.fixture
def imports_table(tables: Watched) -> Table:
    """The table of imports."""
    return Table(tables, "ImportsTable")


@pytest.fixture
def directory(tables: Watched) -> Directory:
    """The directory, with an empty cache."""
    return Directory(Table(tables, "DirectoryTable"), lambda: b"pepper")


@pytest.fixture
def org_id() -> str:
    """The id of an organization that no other test uses."""
    return f"org_{uuid4().hex}"


@dataclass(frozen=True)
class Tenant:
    """An organization, its sender, and the headers with which it calls each API."""

    org_id: str
    phone_number_id: str
    phone_number: str
    key_id: str
    bearer: dict[str, str]
    basic: dict[str, str]
    key_basic: dict[str, str]


type NewTenant = Callable[..., Tenant]


@pytest.fixture
def new_tenant(dynamodb: "DynamoDBClient", directory: Directory) -> NewTenant:
    """Make an organization with a live credential of each kind."""

    def new_tenant(
        plan: str = "payg",
        scope: str = "consent:write consent:read consent:check",
        phone_number_id: str | None = None,
        per_minute: int = 60_000,
        parts_per_day: int | None = None,
        contacts_per_minute: int | None = None,
        **credential: str,
    ) -> Tenant:
        tenant = _tenant(phone_number_id or str(uuid4()))
        organization = {
            "org_id": tenant.org_id,
            "name": "Test",
            "plan": plan,
            "created_at": "-",
            "records_per_minute": per_minute,
            "parts_per_day": parts_per_day,
            "contacts_per_minute": contacts_per_minute,
        }
        sender = {"phone_number_id": tenant.phone_number_id, "phone_number": tenant.phone_number}
        items = [
            organization_key(tenant.org_id) | organization,
            sender_key(tenant.org_id, tenant.phone_number_id) | sender,
            number_key(tenant.phone_number) | {"org_id": tenant.org_id},
        ]
        for key_id, secret in (
            (tenant.key_id, json_api.secret(tenant.bearer["Authorization"])),
            ("basic", bulk_consents.secret(tenant.basic["Authorization"])),
            ("key_basic", bulk_consents.secret(tenant.key_basic["Authorization"])),
        ):
            public = {
                "org_id": tenant.org_id,
                "key_id": key_id,
                "created_at": "-",
                "scopes": {*scope.split()},
                **credential,
            }
            items.append(credential_key(directory.hash(secret)) | public)
            items.append(listing_key(tenant.org_id, key_id) | public)
        puts: Any = [{"PutRequest": {"Item": encode_item(item)}} for item in items]
        dynamodb.batch_write_item(RequestItems={"DirectoryTable": puts})
        return tenant

    return new_tenant


def _tenant(phone_number_id: str) -> Tenant:
    return Tenant(
        org_id=f"org_{uuid4().hex}",
        phone_number_id=phone_number_id,
        phone_number="+15550001111",
        key_id=f"key_{uuid4().hex}",
        bearer={"Authorization": f"Bearer am_live_{uuid4().hex}"},
        basic=_basic(f"AC{uuid4().hex}"),
        key_basic=_basic(f"SK{uuid4().hex}"),
    )


def _basic(sid: str) -> dict[str, str]:
    encoded = b64encode(f"{sid}:{uuid4().hex}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


@pytest.fixture
def tenant(new_tenant: NewTenant) -> Tenant:
    """An organization that may do all."""
    return new_tenant()


type Invoke = Callable[..., Response]


@pytest.fixture
def invoke(engine: None) -> Invoke:
    """Run an event through a deployed handler, some of its fields changed."""

    def invoke(
        event: str,
        headers: dict[str, str] | None = None,
        milliseconds: int = 29_000,
        **changes: Any,
    ) -> Response:
        sent = event_of(event) | changes
        sent["headers"] = sent["headers"] | (headers or {})
        handler = import_module(f"functions.{event.split('.')[0]}.app").handler
        response = handler(sent, Invocation(milliseconds))
        return Response(response["statusCode"], response["headers"], response["body"])

    return invoke


@pytest.fixture
def break_call(engine: None) -> Iterator[BreakCall]:
    """Let a fault respond to the functions' DynamoDB calls of one name."""
    yield from table_breaker(handlers_client())


@pytest.fixture
def break_s3(engine: None) -> Iterator[BreakCall]:
    """Let a fault respond to the functions' S3 calls of one name."""
    yield from breaker(import_wiring.bucket()._objects._client, "s3")


@pytest.fixture
def break_sqs(engine: None) -> Iterator[BreakCall]:
    """Let a fault respond to the functions' SQS calls of one name."""
    yield from breaker(import_wiring._sqs(), "sqs")


@pytest.fixture
def drops(engine: None) -> Iterator[Drops]:
    """Drops files; every queue is empty at first."""
    drops = Drops()
    sends = "provide-client-params.sqs.SendMessageBatch"
    events = import_wiring._sqs().meta.events
    events.register(sends, drops.deliver_at_once)
    yield drops
    events.unregister(sends, drops.deliver_at_once)


@pytest.fixture
def logged(engine: None) -> Iterator[StringIO]:
    """What the handlers write to their log, as it is written."""
    stream = StringIO()
    handler = http.log.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before or sys.stdout)


type Metrics = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def metrics(engine: None, capsys: pytest.CaptureFixture[str]) -> Metrics:
    """Return the metrics that the handlers wrote since the last call."""

    def metrics() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return metrics


@pytest.fixture
def calls(engine: None) -> Iterator[list[str]]:
    """The names of the DynamoDB calls that the handlers make."""
    names: list[str] = []
    with handlers_client().watch(lambda operation, **_: names.append(operation)):
        yield names
