"""Lambda handlers of routes: authenticate, authorize, run, and turn every error into a response."""

import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial, wraps
from typing import Any, Protocol

from aws_lambda_powertools import Logger

from consents.accounts.directory import Directory
from consents.aws import metrics
from consents.aws.dynamodb import MAX_CALL_SECONDS
from consents.aws.errors import CallError, call_error, frames
from consents.domain.errors import Internal, RequestError, Unavailable
from consents.domain.organization import Bucket, Caller, Scope
from consents.domain.outcome import Outcome, Stored
from consents.domain.record import Receipt
from consents.domain.token_bucket import WINDOW_SECONDS, Level
from consents.domain.ulid import new_ulid
from consents.http.access_log import report_request
from consents.http.idempotency import Replay
from consents.http.rate_limits import RateLimits
from consents.http.request import (
    Context,
    Event,
    Request,
    Stores,
    gateway_request_id,
    header,
    route,
)
from consents.http.response import Response

log = Logger()

type GatewayResponse = dict[str, Any]
type Handler = Callable[[Event, Context], GatewayResponse]


class ErrorFormat(Protocol):
    """What differs between routes without a caller: the error format."""

    def render_error(self, error: RequestError, request_id: str) -> Response:
        """Return the response to a request that is rejected as a whole."""


class Api(ErrorFormat, Protocol):
    """What differs between the two APIs: credentials, and the error format."""

    def secret(self, authorization: str) -> str:
        """Return the whole secret of an Authorization header, or an empty text."""


def endpoint(
    api: Api,
    *,
    stores: Stores,
    scope: Scope,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    bucket: Bucket = Bucket.RECORDS,
    needs_capture: bool = True,
    takes_dry_run: bool = False,
) -> Callable[[Callable[[Request], Response]], Handler]:
    """Return a decorator that makes a function of a request the Lambda handler of a route.

    The handler authenticates the caller and checks the scope and, if the route needs capture, the
    plan. Every response, also to an error, has the format of the API, `headers`, the request id,
    the level of the caller's bucket and the checkpoint of the log. A preflight needs no caller.
    """

    def decorate(handle: Callable[[Request], Response]) -> Handler:
        def run(event: Event, context: Context, receipt: Receipt) -> Response:
            if event["httpMethod"] == "OPTIONS":
                return Response(204, b"")
            stores.consent_log.refresh()
            caller = _caller(event, api, stores.directory, receipt)
            request = Request(
                event,
                context,
                caller,
                receipt,
                max_bytes=max_bytes,
                stores=stores,
                bucket=bucket,
                takes_dry_run=takes_dry_run,
            )

            def authorized() -> Response:
                caller.check_may(scope, needs_capture=needs_capture)
                return handle(request)

            response = _guarded(api, authorized, receipt, request)
            added = _rate_limit_headers(request, stores.rate_limits) | stores.consent_log.headers()
            response = replace(response, headers={**response.headers, **added})
            return _dry(response) if request.is_dry_run else response

        @wraps(handle)
        def handler(event: Event, context: Context) -> GatewayResponse:
            return respond(event, context, api, partial(run, event, context), headers=headers or {})

        return handler

    return decorate


def respond(
    event: Event,
    context: Context,
    api: ErrorFormat,
    run: Callable[[Receipt], Response],
    *,
    headers: Mapping[str, str],
) -> GatewayResponse:
    """Run one request, turn any error into a response, and log one line."""
    started = time.perf_counter()
    now = datetime.now(UTC)
    receipt = Receipt(now, new_ulid(now))
    log.clear_state()
    log.append_keys(
        request_id=receipt.request_id,
        gateway_request_id=gateway_request_id(event),
        lambda_request_id=context.aws_request_id,
    )
    response = _guarded(api, lambda: run(receipt), receipt)
    report_request(route(event), response, metrics.milliseconds_since(started))
    return {
        "statusCode": response.status,
        "headers": {
            **({"Content-Type": "application/json"} if response.body else {}),
            "X-Request-Id": receipt.request_id,
            **headers,
            **response.headers,
        },
        "body": b64encode(response.body).decode() if response.is_binary else response.body.decode(),
        "isBase64Encoded": response.is_binary,
    }


def _caller(event: Event, api: Api, directory: Directory, receipt: Receipt) -> Caller:
    started = time.perf_counter()
    secret = api.secret(header(event, "authorization") or "")
    caller = directory.authenticate(secret, receipt.received_at)
    log.append_keys(
        organization=caller.organization.org_id,
        authenticated_after=metrics.milliseconds_since(started),
    )
    return caller


def _guarded(
    api: ErrorFormat, run: Callable[[], Response], receipt: Receipt, request: Request | None = None
) -> Response:
    """Return the response of `run`, or the response to whatever it raises."""
    try:
        return run()
    except Replay as replay:
        return replay.response
    except RequestError as error:
        return _error_response(api, error, receipt, request)
    except Exception as error:  # noqa: BLE001 - nothing but a response leaves a handler
        return _error_response(api, _failure(error), receipt, request)


def _failure(error: Exception) -> RequestError:
    """Log an unexpected error, and return the request error that stands for it."""
    failed = call_error(error)
    if failed is None:
        log.error("request.failed", error=type(error).__name__, frames=frames(error))
        return Internal()
    log.error("storage.failed", code=failed.code, frames=frames(error))
    return Unavailable() if failed.is_transient else Internal()


def _error_response(
    api: ErrorFormat, error: RequestError, receipt: Receipt, request: Request | None
) -> Response:
    response = api.render_error(error, receipt.request_id)
    retry = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return replace(
        response,
        headers={**response.headers, **retry},
        outcomes=error.outcomes or _unresolved(error, request),
    )


def _unresolved(error: RequestError, request: Request | None) -> list[Outcome]:
    """Return the outcomes of the records of a request that storage did not answer."""
    if request is None or not isinstance(error, Unavailable) or request.bucket is Bucket.CONTACTS:
        return []
    return [Stored.UNAVAILABLE] * request.spent


def _dry(response: Response) -> Response:
    """Mark the response of a dry run: none of its records is counted as stored."""
    log.append_keys(dry_run=True)
    return replace(response, headers={**response.headers, "Dry-Run": "true"}, outcomes=())


def _rate_limit_headers(request: Request, rate_limits: RateLimits) -> dict[str, str]:
    """Return the bucket's policy and level (draft-ietf-httpapi-ratelimit-headers-10).

    A request that spent nothing reads the level; no response waits or is lost for it.
    """
    bucket = request.bucket
    policy = {"RateLimit-Policy": f'"{bucket}";q={request.allowance};w={WINDOW_SECONDS}'}
    level = request.level or _level(request, rate_limits)
    if level is None:
        return policy
    return policy | {"RateLimit": f'"{bucket}";r={level.left};t={level.reset}'}


def _level(request: Request, rate_limits: RateLimits) -> Level | None:
    if request.time_left() < MAX_CALL_SECONDS:
        return None
    try:
        return rate_limits.level(
            request.bucket_name, request.allowance, request.receipt.received_at
        )
    except CallError as error:
        log.warning("rate_limit.read_failed", code=error.code)
        return None
