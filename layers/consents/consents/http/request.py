"""A request of an authenticated caller, read from an API Gateway event."""

import base64
import re
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from consents.accounts.directory import Directory
from consents.aws.dynamodb import MAX_CALL_SECONDS
from consents.domain.errors import (
    BodyTooLarge,
    InvalidDryRun,
    InvalidIdempotencyKey,
    RateLimited,
)
from consents.domain.organization import Bucket, Caller
from consents.domain.record import Receipt
from consents.domain.token_bucket import Level
from consents.http import gzip_body
from consents.http.consent_log import NO_LOG, ConsentLog
from consents.http.idempotency import Claim, Idempotency
from consents.http.public_url import public_url, route_path
from consents.http.rate_limits import RateLimits, bucket_name

RESPONSE_SECONDS = 0.5
"""Seconds of an invocation that are kept for writing the response."""

MAX_IDEMPOTENCY_KEY_LENGTH = 255

_GZIP_TYPE = re.compile(r"application/gzip\s*(?:;|$)", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

log = Logger()

type Context = LambdaContext
type Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores that every route needs."""

    directory: Directory
    idempotency: Idempotency
    rate_limits: RateLimits
    consent_log: ConsentLog = NO_LOG


class Request:
    """A request of an authenticated caller."""

    def __init__(
        self,
        event: Event,
        context: Context,
        caller: Caller,
        receipt: Receipt,
        *,
        max_bytes: int,
        stores: Stores,
        bucket: Bucket = Bucket.RECORDS,
        takes_dry_run: bool = False,
    ) -> None:
        """`bucket` is what the route spends from; a dry run spends contacts."""
        self.organization = caller.organization
        self.credential = caller.credential
        self.receipt = receipt
        self.content_type = _content_type(event)
        self.level: Level | None = None
        """The level of the organization's bucket, after spending."""
        self.spent = 0
        """The amount that was spent, or that the bucket did not hold."""
        sent = query_parameters(event).get("dry_run") if takes_dry_run else None
        self.is_dry_run = sent == "true"
        self._has_valid_dry_run = sent in {None, "true", "false"}
        self.bucket = Bucket.CONTACTS if self.is_dry_run else bucket
        self._sent_key = header(event, "idempotency-key")
        self._event = event
        self._context = context
        self._max_bytes = max_bytes
        self._stores = stores

    @cached_property
    def body(self) -> bytes:
        """The decoded body, decompressed if it is gzip; may raise BodyTooLarge or BrokenGzip."""
        body = sent_body(self._event)
        if body.startswith(gzip_body.MAGIC):
            return gzip_body.inflate(body, self._max_bytes)
        if len(body) > self._max_bytes:
            raise BodyTooLarge(self._max_bytes)
        return body

    def path(self, name: str) -> str:
        """Return a path parameter."""
        return str(self._event["pathParameters"][name])

    @property
    def route_path(self) -> str:
        """The path of the route, with its parameters filled in."""
        return route_path(self._event)

    def header(self, name: str) -> str:
        """Return a header by its name in lower case, or an empty text."""
        return header(self._event, name) or ""

    def query(self, name: str) -> str | None:
        """Return a query parameter, the last where it is repeated."""
        return query_parameters(self._event).get(name)

    def unknown_query(self, known: Collection[str] = ()) -> dict[str, str]:
        """Return a fault per query parameter that the route does not take."""
        return not_known(query_parameters(self._event), known)

    @property
    def allowance(self) -> int:
        """The size of the bucket: a larger request never fits."""
        return self.organization.per_minute(self.bucket)

    @property
    def bucket_name(self) -> str:
        """The name of the bucket that the request spends from."""
        return bucket_name(self.organization.org_id, self.bucket)

    def public_url(self, configured: str) -> str:
        """Return the URL of the API for links, without a slash at the end."""
        return public_url(configured, self._event)

    def time_left(self) -> float:
        """Return the seconds left for the work; what follows it has its own."""
        keeping = MAX_CALL_SECONDS if self._sent_key is not None else 0
        return self._context.get_remaining_time_in_millis() / 1000 - RESPONSE_SECONDS - keeping

    def claim(self) -> AbstractContextManager[Claim]:
        """Claim the request's idempotency key, if it has one, for the work in a `with` block.

        A dry run claims nothing.

        Raises on entry what `Idempotency.claim` raises.
        """
        if not self._has_valid_dry_run:
            raise InvalidDryRun
        key = None if self._sent_key is None else _idempotency_key(self._sent_key)
        if key is None or self.is_dry_run:
            return nullcontext(Claim())
        return self._stores.idempotency.claim(
            f"{self.organization.org_id}#{_resource(self._event)}",
            key,
            self.body,
            datetime.now(UTC),
            timedelta(milliseconds=self._context.get_remaining_time_in_millis()),
        )

    def spend(self, amount: int) -> None:
        """Spend from the organization's bucket, or raise RateLimited."""
        self.spent = amount
        log.append_keys(**{self.bucket: amount})
        try:
            self.level = self._stores.rate_limits.spend(
                self.bucket_name,
                amount,
                self.allowance,
                self.receipt,
            )
        except RateLimited as limited:
            self.level = limited.level
            raise


def route(event: Event) -> str:
    """Return the method and the path template that API Gateway matched."""
    return f"{event['httpMethod']} {event['resource']}"


def not_known(sent: Collection[str], known: Collection[str]) -> dict[str, str]:
    """Return a fault per name that is not known; one that is no plain word is not repeated."""
    names = sorted({*sent} - {*known})
    return {name if _PLAIN_NAME.fullmatch(name) else "?": "must not be sent" for name in names}


def query_parameters(event: Event) -> Mapping[str, str]:
    """Return the query parameters, of a repeated one the last."""
    parameters: Mapping[str, str] = event.get("queryStringParameters") or {}
    return parameters


def sent_body(event: Event) -> bytes:
    """Return the body as it was sent; without one, empty."""
    text: str = event.get("body") or ""
    encoded = event.get("isBase64Encoded", False)
    return base64.b64decode(text) if encoded else text.encode(errors="surrogatepass")


def header(event: Event, name: str) -> str | None:
    """Return a header by its name in lower case, in whatever case it was sent."""
    headers: Mapping[str, str] = event.get("headers") or {}
    return next((value for key, value in headers.items() if key.lower() == name), None)


def gateway_request_id(event: Event) -> str | None:
    """Return API Gateway's request id if it is a UUID: a caller may set it to any text.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
    """
    sent: str = event.get("requestContext", {}).get("requestId") or ""
    return sent if _UUID.fullmatch(sent) else None


def _resource(event: Event) -> str:
    """Return the route with its path parameters: two resources never share an idempotency key."""
    parameters: Mapping[str, str] = event.get("pathParameters") or {}
    if not parameters:
        return route(event)
    named = orjson.dumps(dict(parameters), option=orjson.OPT_SORT_KEYS).decode()
    return f"{route(event)} {named}"


def _content_type(event: Event) -> str | None:
    """Return the type of the body; None where it is absent or says only that it is gzip."""
    sent = header(event, "content-type")
    return None if sent and _GZIP_TYPE.match(sent.strip()) else sent


def _idempotency_key(sent: str) -> str:
    """Return a key that was sent bare or as a quoted string (RFC 9651, section 3.3.3)."""
    text = sent.strip()
    quoted = re.fullmatch(r'"((?:[^"\\]|\\["\\])*)"', text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY_LENGTH:
        raise InvalidIdempotencyKey
    return key
