"""API Gateway events to requests, answers to API Gateway responses: the door of every route."""

import base64
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial, wraps
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError
from ulid import ULID

from consents.aws import telemetry
from consents.aws.directory import Caller, Directory, Organization
from consents.aws.dynamodb import LONGEST_CALL, error_code, frames, is_transient
from consents.aws.idempotency import Claim, Idempotency
from consents.aws.rate_limits import RateLimits
from consents.domain.errors import (
    BodyTooLarge,
    Internal,
    InvalidIdempotencyKey,
    RateLimited,
    Refused,
    Unavailable,
)
from consents.domain.outcome import Outcome, Rejected, Stored
from consents.domain.record import Receipt
from consents.domain.token_bucket import WINDOW_SECONDS, Level
from consents.wires import gzipped
from consents.wires.answer import Answer

ANSWERING_TIME = 0.5
"""Seconds of an invocation kept back for writing the answer."""

LONGEST_IDEMPOTENCY_KEY = 255

_GZIP_TYPE = re.compile(r"application/gzip\s*(?:;|$)", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

log = Logger()

type Context = LambdaContext
type Event = Mapping[str, Any]
type Response = dict[str, Any]
type Handler = Callable[[Event, Context], Response]


@dataclass(frozen=True, slots=True)
class Stores:
    """What stands behind every route."""

    directory: Directory
    idempotency: Idempotency
    rate_limits: RateLimits


class Wire(Protocol):
    """What the door needs of a wire: how it names a caller, and how it refuses."""

    def secret(self, authorization: str) -> str:
        """Return the whole secret of an Authorization header, or an empty text."""

    def render_refusal(self, refused: Refused, request_id: str) -> Answer:
        """Return the wire's answer to a refused request."""


class Request:
    """A request of a known caller."""

    def __init__(
        self,
        event: Event,
        context: Context,
        organization: Organization,
        receipt: Receipt,
        *,
        max_bytes: int,
        stores: Stores,
    ) -> None:
        self.organization = organization
        self.receipt = receipt
        self.content_type = _content_type(event)
        self.level: Level | None = None
        """The level of the organization's bucket, once it was drawn on."""
        self.records = 0
        """How many records the call has, once they are counted."""
        self._sent_key = header(event, "idempotency-key")
        self._event = event
        self._context = context
        self._max_bytes = max_bytes
        self._stores = stores

    @cached_property
    def body(self) -> bytes:
        """The decoded body, inflated if it is gzip; or a `BodyTooLarge` or a `BrokenGzip`."""
        text: str = self._event.get("body") or ""
        encoded = self._event.get("isBase64Encoded", False)
        body = base64.b64decode(text) if encoded else text.encode(errors="surrogatepass")
        if body.startswith(gzipped.MAGIC):
            return gzipped.inflate(body, self._max_bytes)
        if len(body) > self._max_bytes:
            raise BodyTooLarge(self._max_bytes)
        return body

    def path(self, name: str) -> str:
        """Return a part of the path by the name that the route gives it."""
        return str(self._event["pathParameters"][name])

    def query(self, name: str) -> str | None:
        """Return a parameter of the query, the last where it is repeated."""
        parameters: Mapping[str, str] = self._event.get("queryStringParameters") or {}
        return parameters.get(name)

    def time_left(self) -> float:
        """Return seconds until the work must be done: what comes after it may take its time."""
        keeping = LONGEST_CALL if self._sent_key is not None else 0
        return self._context.get_remaining_time_in_millis() / 1000 - ANSWERING_TIME - keeping

    def once(self, work: Callable[[], Answer]) -> Answer:
        """Do the work, or give its kept answer if the request repeats an idempotency key."""
        if self._sent_key is None:
            return work()
        scope = f"{self.organization.org_id}#{route(self._event)}"
        claim = Claim(scope, _idempotency_key(self._sent_key), self.body)
        return self._stores.idempotency.once(claim, work, self._context)

    def spend(self, records: int) -> None:
        """Draw records from the organization's bucket, or raise `RateLimited`."""
        caller = self.organization
        self.records = records
        log.append_keys(records=records)
        try:
            self.level = self._stores.rate_limits.spend(
                caller.org_id, records, caller.records_per_minute, self.receipt
            )
        except RateLimited as limited:
            self.level = limited.level
            raise


def endpoint(
    wire: Wire,
    *,
    stores: Stores,
    scope: str,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
) -> Callable[[Callable[[Request], Answer]], Handler]:
    """Make a function of a request the Lambda handler of a route of a wire.

    Checks who calls and what for; whatever then happens is answered in the wire's envelope, with
    `headers`, the request id and the level of the caller's bucket. A preflight is answered without
    a caller.
    """

    def decorate(handle: Callable[[Request], Answer]) -> Handler:
        def answer(event: Event, context: Context, receipt: Receipt) -> Answer:
            if event["httpMethod"] == "OPTIONS":
                return Answer(204, b"")
            caller = _caller(event, wire, stores.directory, receipt)
            request = Request(
                event, context, caller.organization, receipt, max_bytes=max_bytes, stores=stores
            )

            def admitted() -> Answer:
                caller.must_have(scope)
                return handle(request)

            return _with_limits(_answered(wire, admitted, receipt), request, stores.rate_limits)

        @wraps(handle)
        def handler(event: Event, context: Context) -> Response:
            answering = partial(answer, event, context)
            return respond(event, context, wire, answering, headers=headers or {})

        return handler

    return decorate


def _caller(event: Event, wire: Wire, directory: Directory, receipt: Receipt) -> Caller:
    started = time.perf_counter()
    secret = wire.secret(header(event, "authorization") or "")
    caller = directory.authenticate(secret, receipt.received_at)
    log.append_keys(
        organization=caller.organization.org_id,
        authenticated_after=telemetry.milliseconds_since(started),
    )
    return caller


def _with_limits(answered: Answer, request: Request, rate_limits: RateLimits) -> Answer:
    """Return an answer with the level of the caller's bucket, and what became of its records."""
    limits = _rate_limit_headers(request, rate_limits)
    return replace(
        answered,
        headers={**answered.headers, **limits},
        outcomes=answered.outcomes or _refused_together(answered, request.records),
    )


def respond(
    event: Event,
    context: Context,
    wire: Wire,
    answer: Callable[[Receipt], Answer],
    *,
    headers: Mapping[str, str],
) -> Response:
    """Run one request to its API Gateway response, whatever happens, and log it in one line."""
    started = time.perf_counter()
    now = datetime.now(UTC)
    receipt = Receipt(now, str(ULID.from_datetime(now)))
    log.clear_state()
    log.append_keys(
        request_id=receipt.request_id,
        gateway_request_id=_gateway_request_id(event),
        lambda_request_id=context.aws_request_id,
    )
    answered = _answered(wire, lambda: answer(receipt), receipt)
    telemetry.report_request(route(event), answered, telemetry.milliseconds_since(started))
    return {
        "statusCode": answered.status,
        "headers": {
            **({"Content-Type": "application/json"} if answered.body else {}),
            "X-Request-Id": receipt.request_id,
            **headers,
            **answered.headers,
        },
        "body": answered.body.decode(),
        "isBase64Encoded": False,
    }


def route(event: Event) -> str:
    """Return the method and the path template that API Gateway matched."""
    return f"{event['httpMethod']} {event['resource']}"


def header(event: Event, name: str) -> str | None:
    """Return a header by its name in lower case, whatever case it was sent in."""
    headers: Mapping[str, str] = event.get("headers") or {}
    return next((value for key, value in headers.items() if key.lower() == name), None)


def _gateway_request_id(event: Event) -> str | None:
    """Return API Gateway's id of a call, if it is a UUID: a caller may choose it, and any text.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
    """
    told: str = event.get("requestContext", {}).get("requestId") or ""
    return told if _UUID.fullmatch(told) else None


def _content_type(event: Event) -> str | None:
    """Return the type of the body, None where it was not sent or tells only that it is gzip."""
    sent = header(event, "content-type")
    return None if sent and _GZIP_TYPE.match(sent.strip()) else sent


def _answered(wire: Wire, answer: Callable[[], Answer], receipt: Receipt) -> Answer:
    try:
        return answer()
    except Refused as refused:
        return _refusal(wire, refused, receipt)
    except (BotoCoreError, ClientError) as error:
        log.error("storage failed", code=error_code(error), frames=frames(error))
        return _refusal(wire, Unavailable() if is_transient(error) else Internal(), receipt)
    except Exception as error:  # noqa: BLE001 - the last door before the caller
        log.error("unexpected", error=type(error).__name__, frames=frames(error))
        return _refusal(wire, Internal(), receipt)


def _refusal(wire: Wire, refused: Refused, receipt: Receipt) -> Answer:
    answer = wire.render_refusal(refused, receipt.request_id)
    if refused.retry_after is None:
        return answer
    return replace(answer, headers={**answer.headers, "Retry-After": str(refused.retry_after)})


def _refused_together(answered: Answer, records: int) -> list[Outcome]:
    """Return what became of the records of a call that was refused when it had paid for them."""
    if answered.status == 503:
        return [Stored.UNAVAILABLE] * records
    if answered.status in {404, 422}:  # a single record, refused for its faults
        return [Rejected(str(answered.code), ())] * records
    return []


def _rate_limit_headers(request: Request, rate_limits: RateLimits) -> dict[str, str]:
    """Return the bucket's policy and level (draft-ietf-httpapi-ratelimit-headers-10).

    A request that drew nothing asks for the level; no answer is held up or lost for it.
    """
    per_minute = request.organization.records_per_minute
    policy = {"RateLimit-Policy": f'"records";q={per_minute};w={WINDOW_SECONDS}'}
    level = request.level or _level(request, rate_limits)
    if level is None:
        return policy
    return policy | {"RateLimit": f'"records";r={level.left};t={level.reset}'}


def _level(request: Request, rate_limits: RateLimits) -> Level | None:
    if request.time_left() < LONGEST_CALL:
        return None
    caller = request.organization
    try:
        return rate_limits.level(
            caller.org_id, caller.records_per_minute, request.receipt.received_at
        )
    except (BotoCoreError, ClientError) as error:
        log.warning("rate limit not read", code=error_code(error))
        return None


def _idempotency_key(sent: str) -> str:
    """Return a key that was sent bare or as a quoted string (RFC 9651, section 3.3.3)."""
    text = sent.strip()
    quoted = re.fullmatch(r'"((?:[^"\\]|\\["\\])*)"', text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if not 1 <= len(key) <= LONGEST_IDEMPOTENCY_KEY:
        raise InvalidIdempotencyKey
    return key
