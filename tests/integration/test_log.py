"""The log behind its functions: sealed, published, served, and handed to every caller."""

import json
from base64 import b64decode
from dataclasses import replace
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from consents import wiring
from consents.aws import session
from consents.domain.organization import Scope
from consents.http import json_api
from consents.http.consent_log import NAME, ConsentLog
from consents.http.endpoint import Handler, endpoint
from consents.http.request import Request
from consents.http.response import Response
from consents.proof import notes

from tests.integration.conftest import LOG_BUCKET, Invoke, NewTenant, Tenant
from tests.integration.invocation import Invocation, event_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TILE, SIZE, KEYS = "get_log.missing_tile", "get_log.invalid_size", "get_log_keys.policy"


def run(event: str) -> Any:
    """Run the event of a function that nobody calls."""
    handler = import_module(f"functions.{event.split('.')[0]}.app").handler
    return handler(event_of(event), Invocation(120_000))


@pytest.fixture(scope="module")
def published(engine: None) -> notes.Note:
    """The checkpoint after a change of the ledger was sealed."""
    assert engine is None  # it runs
    assert run("seal_records.insert") is None
    assert run("publish_log.minute") is None
    s3 = boto3.client("s3")
    return notes.parse_note(s3.get_object(Bucket=LOG_BUCKET, Key="checkpoint")["Body"].read())


@pytest.fixture
def reader(new_tenant: NewTenant) -> Tenant:
    """An organization with a key that may read the log."""
    return new_tenant(scope="log:read")


def test_a_sealed_change_is_under_the_signed_checkpoint(published: notes.Note) -> None:
    checkpoint = notes.parse_checkpoint(published.text)

    assert checkpoint.origin == "log.example.com/test"
    assert checkpoint.size >= 3  # the log's first leaf, an organization, a record


def test_anybody_gets_the_key_that_signs(published: notes.Note, invoke: Invoke) -> None:
    answer = invoke(KEYS)
    (line, quorum) = answer.body.splitlines()
    _, key, url = line.split(" ")

    assert (answer.status, quorum) == (200, "quorum none")
    assert notes.parse_key(key).has_signed(published)
    assert url == "https://text.example.com/v1/log"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_reader_gets_the_checkpoint(
    published: notes.Note, invoke: Invoke, reader: Tenant
) -> None:
    answer = invoke(SIZE, reader.bearer, queryStringParameters=None)

    assert (answer.status, answer.body) == (200, bytes(published).decode())
    assert answer.headers["Cache-Control"] == "max-age=5"


def test_a_checkpoint_of_a_larger_size_is_not_there_yet(
    published: notes.Note, invoke: Invoke, reader: Tenant
) -> None:
    size = notes.parse_checkpoint(published.text).size
    answer = invoke(SIZE, reader.bearer, queryStringParameters={"min_size": str(size + 1)})

    assert (answer.status, answer.headers["Retry-After"]) == (409, "60")
    assert answer.json["error"]["code"] == "LOG_BEHIND"


def test_a_reader_gets_the_bytes_of_a_tile(
    published: notes.Note, invoke: Invoke, reader: Tenant
) -> None:
    tile = f"0/000.p/{notes.parse_checkpoint(published.text).size}"
    answer = invoke(TILE, reader.bearer, pathParameters={"tile": tile})

    stored = boto3.client("s3").get_object(Bucket=LOG_BUCKET, Key=f"tile/{tile}")["Body"].read()
    assert (answer.status, b64decode(answer.body)) == (200, stored)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Cache-Control"] == "max-age=31536000, immutable"


def test_a_client_that_takes_no_bytes_is_led_to_the_bucket(
    published: notes.Note, invoke: Invoke, reader: Tenant
) -> None:
    tile = f"0/000.p/{notes.parse_checkpoint(published.text).size}"
    answer = invoke(TILE, reader.bearer | {"Accept": "*/*"}, pathParameters={"tile": tile})

    assert (answer.status, answer.body) == (302, "")
    assert f"/{LOG_BUCKET}/tile/{tile}?" in answer.headers["Location"]


@pytest.mark.parametrize("event", [TILE, SIZE])
def test_a_key_without_the_scope_reads_nothing_of_the_log(
    invoke: Invoke, tenant: Tenant, event: str
) -> None:
    answer = invoke(event, tenant.bearer)

    assert (answer.status, answer.json["error"]["code"]) == (403, "FORBIDDEN")


def test_anchors_are_listed_newest_first(invoke: Invoke, reader: Tenant) -> None:
    s3 = boto3.client("s3")
    for name in (f"anchors/{7:020}", f"anchors/{300:020}", f"anchors/{300:020}.tsr"):
        s3.put_object(Bucket=LOG_BUCKET, Key=name, Body=b"note")
    anchors = {"resource": "/v1/log/anchors", "pathParameters": None}
    one = {"resource": "/v1/log/anchors/{anchor}", "pathParameters": {"anchor": f"{7:020}"}}

    assert invoke(TILE, reader.bearer, **anchors).body.startswith("300\n7\n")
    assert invoke(TILE, reader.bearer | {"Accept": "*/*"}, **one).body == "note"


def test_timestamp_of_an_anchor_is_returned_as_bytes(invoke: Invoke, reader: Tenant) -> None:
    name = f"{301:020}.tsr"
    boto3.client("s3").put_object(Bucket=LOG_BUCKET, Key=f"anchors/{name}", Body=b"\x30\xff")
    one = {"resource": "/v1/log/anchors/{anchor}", "pathParameters": {"anchor": name}}
    answer = invoke(TILE, reader.bearer, **one)

    assert (answer.status, b64decode(answer.body)) == (200, b"\x30\xff")
    assert answer.headers["Content-Type"] == "application/octet-stream"


@pytest.fixture
def handler(dynamodb: "DynamoDBClient") -> Handler:
    """A route whose process has just read the checkpoint, as at any time but the first."""
    assert dynamodb
    found = session.small_object(LOG_BUCKET, "checkpoint")
    assert found is not None
    log = ConsentLog(found.read)
    thread = log.refresh()
    assert thread is not None
    thread.join(10)
    stores = replace(wiring.stores(), consent_log=log)

    @endpoint(json_api, stores=stores, scope=Scope.WRITE, max_bytes=0)
    def handler(_request: Request) -> Response:
        return Response(200, b"{}")

    return handler


def test_a_caller_is_handed_the_published_checkpoint(
    published: notes.Note, handler: Handler, tenant: Tenant
) -> None:
    event, context = event_of(SIZE) | {"headers": tenant.bearer}, Invocation(29_000)
    answer = handler(event, cast(Any, context))

    assert b64decode(answer["headers"][NAME]) == bytes(published)
    assert answer["body"] == "{}"


def test_process_without_credentials_logs_a_warning_and_sends_no_checkpoint(
    logged: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(_seconds: float) -> bytes:
        raise LookupError("no AWS credentials")

    log = ConsentLog(read)
    thread = log.refresh()
    assert thread is not None
    thread.join(10)

    (line,) = map(json.loads, logged.getvalue().splitlines())
    assert (line["level"], line["message"]) == ("WARNING", "checkpoint.read_failed")
    assert line["error"] == "LookupError"
    assert "no AWS credentials" not in logged.getvalue() + capsys.readouterr().err
    assert log.headers() == {}
