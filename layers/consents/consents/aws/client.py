"""Clients of AWS's JSON services: a lean one, and boto3's behind the same two methods.

The lean client takes a response only if it is clean: a 200, or a failed condition, whole and with
the right checksum. Every other call is made once more by boto3, which is loaded then.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, Protocol

import orjson
from aws_lambda_powertools import Logger

from consents.aws import metrics
from consents.aws.connections import Broken, Connections, Response
from consents.aws.errors import CallError, call_error
from consents.aws.sigv4 import Credentials, Scope, signed_headers

log = Logger(child=True)

type Parameters = Mapping[str, Any]

MAX_EXCHANGE_SECONDS = 3.0
"""For all calls of a `call_all` together; boto3 has its own time afterwards."""

CALLS_AT_A_TIME = 10
"""Threads of boto3."""

_CLEAN_ERRORS = {"ConditionalCheckFailedException", "TransactionCanceledException"}
"""Answers as good as any: a condition did not hold, and nothing was written."""


class Client(Protocol):
    """Calls operations by their names, with the parameters that boto3 takes."""

    def call(self, operation: str, parameters: Parameters) -> dict[str, Any]:
        """Return the response, or raise `CallError`."""

    def call_all(
        self,
        operation: str,
        parameters: Sequence[Parameters],
        may_begin: Callable[[], bool] = lambda: True,
    ) -> list[dict[str, Any] | CallError]:
        """Make several calls at a time; return each response or error, in input order.

        Args:
            may_begin: returns whether there is time for a call of boto3.
        """


class Boto3Client:
    """A client of boto3 or botocore."""

    def __init__(self, client: Callable[[], Any]) -> None:
        """`client` is called at the first call."""
        self._client = cache(client)

    def call(self, operation: str, parameters: Parameters) -> dict[str, Any]:
        """Return the response, or raise `CallError`."""
        client = self._client()
        try:
            response: dict[str, Any] = client._make_api_call(operation, _with_bytes(parameters))
        except Exception as error:
            failed = call_error(error)
            if failed is None:
                raise
            raise failed from error
        return response

    def call_all(
        self,
        operation: str,
        parameters: Sequence[Parameters],
        may_begin: Callable[[], bool] = lambda: True,
    ) -> list[dict[str, Any] | CallError]:
        """Make several calls at a time; return each response or error, in input order."""

        def attempt(one: Parameters) -> dict[str, Any] | CallError:
            if not may_begin():
                return CallError("NoTimeLeft", is_transient=True)
            try:
                return self.call(operation, one)
            except CallError as error:
                return error

        if len(parameters) <= 1:
            return [attempt(one) for one in parameters]
        from concurrent.futures import ThreadPoolExecutor  # loaded only for boto3

        self._client()  # before threads make it several times
        with ThreadPoolExecutor(CALLS_AT_A_TIME) as threads:
            return list(threads.map(attempt, parameters))


def _with_bytes(parameters: Any) -> Any:
    """Return parameters with the bytes of attributes, which boto3 encodes itself."""
    if isinstance(parameters, list | tuple):
        return [_with_bytes(one) for one in parameters]
    if not isinstance(parameters, dict):
        return parameters
    if len(parameters) == 1:
        ((name, content),) = parameters.items()
        if isinstance(content, str):  # an attribute: a request of 1000 records has 12,000
            return {name: b64decode(content)} if name == "B" else parameters
    return {name: _with_bytes(one) for name, one in parameters.items()}


class Service(NamedTuple):
    """A service of AWS with a JSON protocol."""

    name: str
    target: str
    content_type: str
    has_checksum: bool


DYNAMODB = Service("dynamodb", "DynamoDB_20120810", "application/x-amz-json-1.0", True)
SECRETS_MANAGER = Service("secretsmanager", "secretsmanager", "application/x-amz-json-1.1", False)


class LeanClient:
    """Signs and sends by itself, over kept connections, several calls at a time, in one thread."""

    def __init__(
        self,
        service: Service,
        region: str,
        connections: Connections,
        host: str,
        credentials: Callable[[], Credentials],
        fallback: Client,
    ) -> None:
        self._service = service
        self._scope = Scope(region, service.name)
        self._connections = connections
        self._host = host
        self._credentials = credentials
        self._fallback = fallback

    def call(self, operation: str, parameters: Parameters) -> dict[str, Any]:
        """Return the response, or raise `CallError`."""
        (result,) = self.call_all(operation, [parameters])
        if isinstance(result, CallError):
            raise result
        return result

    def call_all(
        self,
        operation: str,
        parameters: Sequence[Parameters],
        may_begin: Callable[[], bool] = lambda: True,
    ) -> list[dict[str, Any] | CallError]:
        """Make several calls at a time; return each response or error, in input order."""
        signer = _Signer(self._service, self._scope, self._host, self._credentials())
        requests = [signer.request(operation, orjson.dumps(one)) for one in parameters]
        responses = self._connections.exchange(requests, MAX_EXCHANGE_SECONDS)
        results = [clean(one, self._service) for one in responses]
        broken = [one.reason for one in results if isinstance(one, Broken)]
        if not broken:
            return [one for one in results if not isinstance(one, Broken)]
        log.warning(
            "call.repeated", operation=operation, calls=len(broken), reasons=sorted({*broken})
        )
        metrics.write({"CallsRepeated": len(broken)})
        unclear = [
            one
            for one, result in zip(parameters, results, strict=True)
            if isinstance(result, Broken)
        ]
        again = iter(self._fallback.call_all(operation, unclear, may_begin))
        return [next(again) if isinstance(one, Broken) else one for one in results]


class _Signer(NamedTuple):
    service: Service
    scope: Scope
    host: str
    credentials: Credentials

    def request(self, operation: str, body: bytes) -> bytes:
        """Return a whole signed request."""
        headers = {
            "host": self.host,
            "content-type": self.service.content_type,
            "x-amz-target": f"{self.service.target}.{operation}",
        }
        now = datetime.now(UTC)
        signed = signed_headers("/", headers, body, self.credentials, self.scope, now)
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        lines += f"content-length: {len(body)}\r\nuser-agent: consent-ledger\r\n"
        head = f"POST / HTTP/1.1\r\n{lines}\r\n"
        return head.encode() + body


def clean(response: Response | Broken, service: Service) -> dict[str, Any] | CallError | Broken:
    """Return what a clean response says, or why it is not clean."""
    if isinstance(response, Broken):
        return response
    if response.status not in {200, 400}:
        return Broken(f"status {response.status}")
    if service.has_checksum and "x-amz-crc32" not in response.headers:
        return Broken("no checksum")
    try:
        content = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return Broken("no JSON")
    if not isinstance(content, dict):
        return Broken("no JSON object")
    if response.status == 200:
        return content
    code = str(content.get("__type", "")).rpartition("#")[2]
    if code not in _CLEAN_ERRORS:
        return Broken(code if code.isalnum() else "status 400")
    reasons = [str(reason.get("Code")) for reason in content.get("CancellationReasons", [])]
    return CallError(code, item=content.get("Item"), reasons=reasons)
