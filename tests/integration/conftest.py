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
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from consents.aws import http, wiring
from consents.aws.directory import Directory, credential_key, organization_key, sender_key
from consents.aws.dynamodb import CONFIG
from consents.aws.ledger import Ledger
from consents.wires import attested, bulk_consents
from samcli.yamlhelper import parse_yaml_file

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROOT = Path(__file__).parents[2]
SERVICES = "dynamodb,s3,secretsmanager,sqs"
DROPS_BUCKET = "drops"


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """The template that deploys."""
    return dict(parse_yaml_file(str(ROOT / "template.yaml")))


@pytest.fixture(scope="session")
def running_engine(template: dict[str, Any]) -> Iterator[None]:
    """A MiniStack with the template's tables; the environment of this process points to it."""
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
        "GATEWAY_PORT": str(port),
        "IDEMPOTENCY_TABLE": "IdempotencyTable",
        "IMPORTS_TABLE": "ImportsTable",
        "LEDGER_TABLE": "LedgerTable",
        "PART_QUEUE": _queue_url(port, "PartQueue"),
        "PEPPER_SECRET": "Pepper",
        "POWERTOOLS_METRICS_NAMESPACE": deployed["POWERTOOLS_METRICS_NAMESPACE"],
        "POWERTOOLS_SERVICE_NAME": "consent-ledger",
        "PLAN_QUEUE": _queue_url(port, "PlanQueue"),
        "RATE_LIMITS_TABLE": "RateLimitsTable",
        "SERVICES": SERVICES,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                wait_until_healthy(f"http://127.0.0.1:{port}/_ministack/health")
                _create_tables(template, *template["Resources"])
                _create_bucket_and_queues(template)
                boto3.client("secretsmanager").create_secret(Name="Pepper", SecretString="pepper")
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
    """Return when an engine answers."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            continue
        return
    pytest.fail("the local engine did not start within 30 seconds")


def _create_tables(template: dict[str, Any], *names: str) -> None:
    client = boto3.client("dynamodb")
    for name in names:
        resource = template["Resources"][name]
        if resource["Type"] == "AWS::DynamoDB::Table":
            wanted = {"AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema"}
            described = resource["Properties"].items()
            client.create_table(
                TableName=name, **{key: value for key, value in described if key in wanted}
            )


def _create_bucket_and_queues(template: dict[str, Any]) -> None:
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    versioning = template["Resources"]["DropsBucket"]["Properties"]["VersioningConfiguration"]
    s3.create_bucket(Bucket=DROPS_BUCKET)
    s3.put_bucket_versioning(Bucket=DROPS_BUCKET, VersioningConfiguration=versioning)
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::SQS::Queue":
            sqs.create_queue(QueueName=name)


def _queue_url(port: int, name: str) -> str:
    return f"http://127.0.0.1:{port}/000000000000/{name}"


@pytest.fixture
def dynamodb(engine: None) -> "DynamoDBClient":
    """A client of the engine, made as the functions make theirs."""
    return boto3.client("dynamodb", config=CONFIG)


@pytest.fixture
def ledger(dynamodb: "DynamoDBClient") -> Ledger:
    """The ledger, with a memory of its own for agreement texts."""
    return Ledger(dynamodb, "LedgerTable", longest_call=1)


@pytest.fixture
def directory(dynamodb: "DynamoDBClient") -> Directory:
    """The directory, with a cache of its own."""
    return Directory(dynamodb, "DirectoryTable", lambda: b"pepper")


@pytest.fixture
def org_id() -> str:
    """The id of an organization that no other test uses."""
    return f"org_{uuid4().hex}"


@dataclass(frozen=True)
class Tenant:
    """An organization, its sender, and the headers with which it calls each wire."""

    org_id: str
    phone_number_id: str
    phone_number: str
    bearer: dict[str, str]
    basic: dict[str, str]
    key_basic: dict[str, str]


type NewTenant = Callable[..., Tenant]


@pytest.fixture
def new_tenant(dynamodb: "DynamoDBClient", directory: Directory) -> NewTenant:
    """Make an organization with one live credential for each wire."""

    def new_tenant(
        plan: str = "payg",
        scope: str = "consent:write",
        phone_number_id: str | None = None,
        per_minute: int = 60_000,
        **credential: str,
    ) -> Tenant:
        tenant = _tenant(phone_number_id or str(uuid4()))
        allowance = {"N": str(per_minute)}
        organization = {"org_id": tenant.org_id, "name": "Test", "plan": plan, "created_at": "-"}
        sender = {"phone_number_id": tenant.phone_number_id, "phone_number": tenant.phone_number}
        _put(
            dynamodb,
            organization_key(tenant.org_id),
            organization,
            records_per_minute=allowance,
        )
        _put(dynamodb, sender_key(tenant.org_id, tenant.phone_number_id), sender)
        for secret in (
            attested.secret(tenant.bearer["Authorization"]),
            bulk_consents.secret(tenant.basic["Authorization"]),
            bulk_consents.secret(tenant.key_basic["Authorization"]),
        ):
            key = credential_key(directory.hash(secret))
            texts = {"org_id": tenant.org_id, "key_id": "-", "created_at": "-"} | credential
            _put(dynamodb, key, texts, scopes={"SS": [scope]})
        return tenant

    return new_tenant


def _tenant(phone_number_id: str) -> Tenant:
    return Tenant(
        org_id=f"org_{uuid4().hex}",
        phone_number_id=phone_number_id,
        phone_number="+15550001111",
        bearer={"Authorization": f"Bearer am_live_{uuid4().hex}"},
        basic=_basic(f"AC{uuid4().hex}"),
        key_basic=_basic(f"SK{uuid4().hex}"),
    )


def _basic(sid: str) -> dict[str, str]:
    encoded = b64encode(f"{sid}:{uuid4().hex}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def _put(
    client: "DynamoDBClient", key: tuple[str, str], texts: dict[str, str], **others: Any
) -> None:
    item = {"pk": key[0], "sk": key[1]} | texts
    attributes = {name: {"S": text} for name, text in item.items()}
    client.put_item(TableName="DirectoryTable", Item=attributes | others)


@pytest.fixture
def tenant(new_tenant: NewTenant) -> Tenant:
    """An organization that may do all."""
    return new_tenant()


@dataclass(frozen=True)
class Answer:
    """What API Gateway would send."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Invocation:
    """The Lambda context of one invocation."""

    def __init__(self, milliseconds: int) -> None:
        self.aws_request_id = str(uuid4())
        self._end = time.monotonic() + milliseconds / 1000

    def get_remaining_time_in_millis(self) -> int:
        """Return the time that is left, in milliseconds."""
        return max(0, int((self._end - time.monotonic()) * 1000))


type Invoke = Callable[..., Answer]


@pytest.fixture
def invoke(engine: None) -> Invoke:
    """Run an event through a deployed handler, some of its fields changed."""

    def invoke(
        event: str,
        headers: dict[str, str] | None = None,
        milliseconds: int = 29_000,
        **changes: Any,
    ) -> Answer:
        sent = json.loads((ROOT / "events" / f"{event}.json").read_text()) | changes
        sent["headers"] = sent["headers"] | (headers or {})
        handler = import_module(f"functions.{event.split('.')[0]}.app").handler
        answer = handler(sent, Invocation(milliseconds))
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    return invoke


type Fault = Callable[..., Any]
type BreakCall = Callable[[str, Fault], None]


@pytest.fixture
def break_call(engine: None) -> Iterator[BreakCall]:
    """Let a fault answer the handlers' calls of one name in the engine's place."""
    events = wiring.dynamodb().meta.events
    broken: list[tuple[str, Fault]] = []

    def break_call(name: str, fault: Fault) -> None:
        broken.append((f"before-call.dynamodb.{name}", fault))
        events.register(*broken[-1])

    yield break_call
    for name, fault in broken:
        events.unregister(name, fault)


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
    """Return the metrics that the handlers wrote since they were last asked for."""

    def metrics() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return metrics


@pytest.fixture
def calls(engine: None) -> Iterator[list[str]]:
    """The names of the DynamoDB calls that the handlers make."""
    names: list[str] = []
    events = wiring.dynamodb().meta.events

    def count(model: Any, **_: Any) -> None:
        names.append(model.name)

    events.register("before-call.dynamodb", count)
    yield names
    events.unregister("before-call.dynamodb", count)
