"""The lean client: what is a clean response, and which calls boto3 repeats."""

import json
from collections.abc import Callable, Sequence
from typing import Any, cast
from zlib import crc32

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from consents.aws import metrics
from consents.aws.client import (
    DYNAMODB,
    MAX_EXCHANGE_SECONDS,
    SECRETS_MANAGER,
    Boto3Client,
    LeanClient,
    clean,
)
from consents.aws.connections import Broken, Response
from consents.aws.errors import CallError
from consents.aws.sigv4 import Credentials

PREFIX = "com.amazonaws.dynamodb.v20120810#"


def response(content: Any, status: int = 200, **headers: str) -> Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Response(status, {"x-amz-crc32": str(crc32(body)), **headers}, body)


def failed(code: str, **content: Any) -> Response:
    return response({"__type": f"{PREFIX}{code}", **content}, 400)


# ---------------------------------------------------------------- Clean responses


def test_a_200_with_a_checksum_is_clean() -> None:
    assert clean(response({"Item": {}}), DYNAMODB) == {"Item": {}}


def test_a_failed_condition_is_clean_and_has_its_item() -> None:
    item = {"pk": {"S": "a"}}
    error = clean(failed("ConditionalCheckFailedException", Item=item), DYNAMODB)

    assert isinstance(error, CallError)
    assert (error.code, error.item) == ("ConditionalCheckFailedException", item)
    assert not error.is_transient


def test_a_cancelled_transaction_is_clean_and_has_its_reasons() -> None:
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed"}]
    error = clean(failed("TransactionCanceledException", CancellationReasons=reasons), DYNAMODB)

    assert isinstance(error, CallError)
    assert error.reasons == ["None", "ConditionalCheckFailed"]


UNCLEAN = {
    "timeout": Broken("timeout"),
    "status 500": response({}, 500),
    "status 503": response({}, 503),
    "status 301": response({}, 301),
    "status 206": response({}, 206),
    "no checksum": Response(200, {}, b"{}"),
    "no JSON": response(b"<html>"),
    "no JSON object": response([1]),
    "ThrottlingException": failed("ThrottlingException"),
    "ValidationException": failed("ValidationException"),
    "status 400": response({}, 400),
}


@pytest.mark.parametrize(("reason", "received"), UNCLEAN.items(), ids=UNCLEAN)
def test_any_other_response_is_not_clean(reason: str, received: Response | Broken) -> None:
    assert clean(received, DYNAMODB) == Broken(reason)


@pytest.mark.parametrize("code", ["+15554443333", "Throttling Exception", "é" * 3 + "."])
def test_a_reason_never_repeats_a_strange_code(code: str) -> None:
    assert clean(failed(code), DYNAMODB) == Broken("status 400")


def test_secrets_manager_sends_no_checksum() -> None:
    assert clean(Response(200, {}, b"{}"), SECRETS_MANAGER) == {}


# ---------------------------------------------------------------- Repeats


class Wire:
    """Connections whose responses a test has prepared."""

    def __init__(self, *responses: Response | Broken) -> None:
        self.requests: list[bytes] = []
        self.seconds: list[float] = []
        self._responses = iter(responses)

    def exchange(self, requests: Sequence[bytes], seconds: float) -> list[Response | Broken]:
        self.requests += requests
        self.seconds.append(seconds)
        return [next(self._responses) for _ in requests]


class Fallback:
    """A client that says which call it made."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def call(self, operation: str, parameters: Any) -> dict[str, Any]:
        raise NotImplementedError

    def call_all(
        self,
        operation: str,  # noqa: ARG002 - it repeats any
        parameters: Sequence[Any],
        may_begin: Callable[[], bool] = lambda: True,
    ) -> list[dict[str, Any] | CallError]:
        self.calls += parameters
        return [
            {"boto3": one["n"]} if may_begin() else CallError("NoTimeLeft", is_transient=True)
            for one in parameters
        ]


def lean(
    *responses: Response | Broken,
    credentials: Callable[[], Credentials] = lambda: Credentials("id", "secret", ""),
) -> tuple[LeanClient, Wire, Fallback]:
    wire, fallback = Wire(*responses), Fallback()
    host = "dynamodb.us-east-1.amazonaws.com"
    made = LeanClient(DYNAMODB, "us-east-1", cast(Any, wire), host, credentials, fallback)
    return made, wire, fallback


def numbered(count: int) -> list[dict[str, int]]:
    return [{"n": number} for number in range(count)]


type Counted = list[dict[str, float]]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The metrics that are written."""
    written: Counted = []
    monkeypatch.setattr(metrics, "write", written.append)
    return written


def test_only_unclean_calls_are_repeated_and_order_is_kept(counted: Counted) -> None:
    client, _, fallback = lean(
        response({"lean": 0}), Broken("closed"), response({"lean": 2}), response({}, 500)
    )

    assert client.call_all("Query", numbered(4)) == [
        {"lean": 0},
        {"boto3": 1},
        {"lean": 2},
        {"boto3": 3},
    ]
    assert fallback.calls == [{"n": 1}, {"n": 3}]
    assert counted == [{"CallsRepeated": 2}]


def test_clean_calls_write_no_metric(counted: Counted) -> None:
    client, _, fallback = lean(response({}), failed("ConditionalCheckFailedException"))

    client.call_all("PutItem", numbered(2))
    assert fallback.calls == []
    assert counted == []


def test_no_call_is_repeated_without_time() -> None:
    client, _, _ = lean(Broken("timeout"))

    (result,) = client.call_all("Query", numbered(1), lambda: False)
    assert isinstance(result, CallError)
    assert result.is_transient


def test_a_failed_condition_of_one_call_is_raised() -> None:
    client, _, _ = lean(failed("ConditionalCheckFailedException"))

    with pytest.raises(CallError, match="ConditionalCheckFailedException"):
        client.call("PutItem", {})


def test_no_calls_make_no_request() -> None:
    client, wire, _ = lean()

    assert client.call_all("Query", []) == []
    assert wire.requests == []


def test_all_calls_together_have_three_seconds() -> None:
    client, wire, _ = lean(*[response({})] * 50)
    client.call_all("Query", numbered(50))

    assert wire.seconds == [MAX_EXCHANGE_SECONDS]


def test_a_request_is_whole_and_names_its_operation() -> None:
    client, wire, _ = lean(response({}))
    client.call("GetItem", {"TableName": "é"})
    head, _, body = wire.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")

    assert json.loads(body) == {"TableName": "é"}
    assert lines[0] == "POST / HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert headers["host"] == "dynamodb.us-east-1.amazonaws.com"
    assert headers["x-amz-target"] == "DynamoDB_20120810.GetItem"
    assert headers["content-length"] == str(len(body))
    assert "x-amz-security-token" not in headers


def test_bytes_are_sent_as_base64_that_boto3_encodes_itself() -> None:
    client, wire, _ = lean(response({}))
    given = Botocore({})
    parameters = {
        "Item": {"salt": {"B": "AP8="}, "B": {"S": "AP8="}, "seeds": {"L": [{"B": ""}]}},
        "ExpressionAttributeNames": {"#b": "B"},
    }
    client.call("PutItem", parameters)
    Boto3Client(lambda: given).call("PutItem", parameters)

    assert json.loads(wire.requests[0].partition(b"\r\n\r\n")[2]) == parameters
    assert given.parameters == [
        {
            "Item": {"salt": {"B": b"\0\xff"}, "B": {"S": "AP8="}, "seeds": {"L": [{"B": b""}]}},
            "ExpressionAttributeNames": {"#b": "B"},
        }
    ]


def test_each_exchange_has_the_credentials_of_its_moment() -> None:
    rotated = iter([Credentials("first", "x", "t1"), Credentials("second", "y", "t2")])
    client, wire, _ = lean(*[response({})] * 3, credentials=lambda: next(rotated))
    client.call("GetItem", {})
    client.call_all("GetItem", [{}, {}])

    first, *others = wire.requests
    assert b"Credential=first/" in first
    assert b"x-amz-security-token: t1\r\n" in first
    assert all(b"Credential=second/" in one for one in others)


# ---------------------------------------------------------------- boto3


class Botocore:
    """A client of botocore that returns or raises."""

    def __init__(self, *results: Any) -> None:
        self._results = iter(results)
        self.parameters: list[Any] = []

    def _make_api_call(self, _operation: str, parameters: dict[str, Any]) -> Any:
        self.parameters.append(parameters)
        result = next(self._results)
        if isinstance(result, Exception):
            raise result
        return result


def client_error(code: str, status: int) -> ClientError:
    content: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(content, "PutItem")


BOTO3_ERRORS = {
    "ThrottlingException": (client_error("ThrottlingException", 400), True),
    "Other": (client_error("Other", 503), True),
    "ValidationException": (client_error("ValidationException", 400), False),
    "ReadTimeoutError": (ReadTimeoutError(endpoint_url="-"), True),
}


@pytest.mark.parametrize(
    ("code", "error", "is_transient"),
    [(code, *case) for code, case in BOTO3_ERRORS.items()],
    ids=BOTO3_ERRORS,
)
def test_an_error_of_boto3_is_a_call_error(code: str, error: Exception, is_transient: bool) -> None:
    client = Boto3Client(lambda: Botocore(error))

    with pytest.raises(CallError) as raised:
        client.call("PutItem", {})
    assert (raised.value.code, raised.value.is_transient) == (code, is_transient)


def test_a_bug_is_no_call_error() -> None:
    with pytest.raises(KeyError):
        Boto3Client(lambda: Botocore(KeyError("bug"))).call("PutItem", {})


def test_boto3_makes_calls_in_order_and_stops_in_time() -> None:
    client = Boto3Client(lambda: Botocore({"first": 1}, ReadTimeoutError(endpoint_url="-")))
    one, two = (client.call_all("Query", [{}]) for _ in range(2))

    assert one == [{"first": 1}]
    assert isinstance(two[0], CallError)
    (late,) = client.call_all("Query", [{}], lambda: False)
    assert isinstance(late, CallError)
    assert late.code == "NoTimeLeft"
