"""API Gateway events to requests, answers to API Gateway responses: the door of every route."""

import base64
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError
from ulid import ULID

from consents.aws.directory import Directory, Organization
from consents.aws.dynamodb import error_code, is_transient
from consents.domain.errors import BodyTooLarge, Internal, Refused, Unavailable
from consents.domain.record import Receipt
from consents.wires.answer import Answer

ANSWERING_TIME = 0.5
"""Seconds of an invocation kept back for writing the answer."""

log = Logger()

type Context = LambdaContext
type Event = Mapping[str, Any]
type Response = dict[str, Any]
type Handler = Callable[[Event, Context], Response]


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose caller is known and whose body is of a legal size."""

    organization: Organization
    body: bytes
    content_type: str | None
    receipt: Receipt
    time_left: Callable[[], float]
    """Seconds until the answer must be ready."""


class Wire(Protocol):
    """What the door needs of a wire: how it names a caller, and how it refuses."""

    def secret(self, authorization: str) -> str:
        """Return the whole secret of an Authorization header, or an empty text."""

    def render_refusal(self, refused: Refused, request_id: str) -> Answer:
        """Return the wire's answer to a refused request."""


def endpoint(
    wire: Wire,
    *,
    directory: Directory,
    scope: str,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
) -> Callable[[Callable[[Request], Answer]], Handler]:
    """Make a function of a request the Lambda handler of a route of a wire.

    Checks who calls, what for, and the size of the body, in this order; whatever then happens is
    answered in the wire's envelope, with `headers` and the request id. A preflight is answered
    without a caller.
    """

    def decorate(handle: Callable[[Request], Answer]) -> Handler:
        @wraps(handle)
        def handler(event: Event, context: Context) -> Response:
            def answer(receipt: Receipt) -> Answer:
                if event["httpMethod"] == "OPTIONS":
                    return Answer(204, b"")
                now = receipt.received_at
                caller = directory.authenticate(
                    wire.secret(_header(event, "authorization")), scope, now
                )
                return handle(
                    Request(
                        organization=caller,
                        body=_body(event, max_bytes),
                        content_type=_header(event, "content-type") or None,
                        receipt=receipt,
                        time_left=_time_left(context),
                    )
                )

            return respond(event, wire, answer, headers or {})

        return handler

    return decorate


def respond(
    event: Event,
    wire: Wire,
    answer: Callable[[Receipt], Answer],
    headers: Mapping[str, str],
) -> Response:
    """Run one request to its API Gateway response, whatever happens, and log it in one line."""
    started = time.perf_counter()
    now = datetime.now(UTC)
    receipt = Receipt(now, str(ULID.from_datetime(now)))
    log.append_keys(request_id=receipt.request_id)
    answered = _answered(wire, answer, receipt)
    log.info(
        "answered",
        route=f"{event['httpMethod']} {event['resource']}",
        status=answered.status,
        milliseconds=round((time.perf_counter() - started) * 1000, 1),
    )
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


def _answered(wire: Wire, answer: Callable[[Receipt], Answer], receipt: Receipt) -> Answer:
    try:
        return answer(receipt)
    except Refused as refused:
        return _refusal(wire, refused, receipt)
    except (BotoCoreError, ClientError) as error:
        log.error("storage failed", code=error_code(error), frames=_frames(error))
        return _refusal(wire, Unavailable() if is_transient(error) else Internal(), receipt)
    except Exception as error:  # noqa: BLE001 - the last door before the caller
        log.error("unexpected", error=type(error).__name__, frames=_frames(error))
        return _refusal(wire, Internal(), receipt)


def _refusal(wire: Wire, refused: Refused, receipt: Receipt) -> Answer:
    answer = wire.render_refusal(refused, receipt.request_id)
    if refused.retry_after is None:
        return answer
    return replace(answer, headers={**answer.headers, "Retry-After": str(refused.retry_after)})


def _frames(error: Exception) -> list[str]:
    """Return where an error came from, without its text, which may repeat what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def _header(event: Event, name: str) -> str:
    """Return a header by its name in lower case, whatever case it was sent in."""
    headers: Mapping[str, str] = event.get("headers") or {}
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _body(event: Event, max_bytes: int) -> bytes:
    text: str = event.get("body") or ""
    encoded = event.get("isBase64Encoded", False)
    body = base64.b64decode(text) if encoded else text.encode(errors="surrogatepass")
    if len(body) > max_bytes:
        raise BodyTooLarge(max_bytes)
    return body


def _time_left(context: Context) -> Callable[[], float]:
    return lambda: context.get_remaining_time_in_millis() / 1000 - ANSWERING_TIME
