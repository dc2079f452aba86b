"""The Bulk Consents API: form-encoded `Items`, one result for each, in order."""

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from pydantic_core import ValidationError

from consents.capture import form
from consents.capture.validators import validator
from consents.domain import errors, formats
from consents.domain.outcome import Fault, Outcome, Rejected, Stored
from consents.domain.record import ConsentRecord, Status, Wire
from consents.http.response import Response

MAX_ITEMS = 1000
MAX_BATCH_BYTES = 8 * 1024 * 1024

MAX_PARAMETERS = 100_000
"""Of a form, a hundred per item: counting the items of a longer one takes too long."""

INVALID_ITEM = 30646
"""The vendor's error code of an item that was not stored."""

ERRORS: Mapping[type[errors.RequestError], tuple[int, int, str]] = {
    errors.Unauthenticated: (401, 20003, "Authenticate"),
    errors.MissingScope: (403, 20403, "Forbidden: missing required scope"),
    errors.PlanRequired: (403, 20403, "Forbidden: the plan does not include consent capture"),
    errors.NotFound: (404, 20404, "The requested resource was not found"),
    errors.BodyTooLarge: (413, 20001, "The post body must be at most {limit} bytes"),
    errors.BrokenGzip: (400, 20001, "The post body {reason}"),
    errors.Invalid: (400, 20001, "{details[Items]}"),
    errors.InvalidIdempotencyKey: (400, 20001, "Idempotency-Key {details[Idempotency-Key]}"),
    errors.InvalidDryRun: (400, 20001, "dry_run {details[dry_run]}"),
    errors.KeyReused: (422, 20001, "The Idempotency-Key was used before with another body"),
    errors.InProgress: (409, 20409, "The first call with this Idempotency-Key is still running"),
    errors.RateLimited: (429, 20429, "Too Many Requests"),
    errors.Unavailable: (503, 20503, "Service unavailable: repeat the same request"),
    errors.Internal: (500, 20500, "Internal server error"),
}

TOKENS: Mapping[str, str] = {
    "correlation_id": "INVALID_CORRELATION_ID",
    "sender_id": "INVALID_SENDER_ID",
    "contact_id": "INVALID_CONTACT_ID",
    "status": "INVALID_STATUS",
    "source": "INVALID_SOURCE",
    "date_of_consent": "INVALID_DATE_OF_CONSENT",
}
"""The token of each field, in the order of a response."""

_REQUIRED = TOKENS.keys() - {"date_of_consent"}

_REPEATED = Fault("correlation_id", TOKENS["correlation_id"])
_MAX_ECHO_LENGTH = 64


def secret(authorization: str) -> str:
    """Return an account's or a key's SID and secret, in the form that the directory hashes.

    The SID is `AC` or `SK` and 32 hex digits; the secret its auth token or key secret.
    """
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        return ""
    return f"basic:{decoded}" if scheme.lower() == "basic" else ""


def parse_batch(body: bytes, allowance: int = MAX_ITEMS) -> list[Any]:
    """Return the items of a request, not validated; an item that is not JSON is None.

    The allowance is in items a minute.

    Raises:
        Invalid: no items, more than `MAX_ITEMS` or than the allowance, or more than
            `MAX_PARAMETERS`.
    """
    parameters = body.count(b"&") + 1
    if parameters > MAX_PARAMETERS:
        hint = f"The post body must hold at most {MAX_PARAMETERS} parameters, got {parameters}"
        raise errors.Invalid({"Items": hint})
    items = form.items(body, MAX_ITEMS)
    if not items:
        raise errors.Invalid({"Items": "Missing required parameter Items in the post body"})
    if len(items) > MAX_ITEMS:
        raise errors.Invalid({"Items": f"Items must hold at most {MAX_ITEMS}, got {len(items)}"})
    if len(items) > allowance:
        hint = f"{len(items)} Items exceed the allowance of {allowance} a minute: split the batch"
        raise errors.Invalid({"Items": hint})
    return items


def read_batch(items: Iterable[Any], now: datetime) -> list[ConsentRecord | Rejected]:
    """Return each item's consent record or faults; a repeated `correlation_id` is a fault."""
    seen: set[str | None] = set()
    results = []
    for item in items:
        result = read(item, now)
        if isinstance(result, ConsentRecord):
            correlation_id, has_one = result.correlation_id, True
        else:
            correlation_id = _correlation_id(item)
            has_one = formats.is_correlation_id(correlation_id)
        if correlation_id in seen:
            others = result.faults if isinstance(result, Rejected) else ()
            result = Rejected(str(INVALID_ITEM), (_REPEATED, *others))
        elif has_one:
            seen.add(correlation_id)
        results.append(result)
    return results


def read(item: Any, now: datetime) -> ConsentRecord | Rejected:
    """Return a consent record, or all its faults; `now` is the receipt."""
    try:
        sent = validator("Item")(item, context=now)
    except ValidationError as error:
        return Rejected(str(INVALID_ITEM), tuple(_faults(error)))
    evidence = {"source": sent["source"]}
    if date := sent.get("date_of_consent"):
        evidence["date_of_consent"] = item["date_of_consent"]
    return ConsentRecord(  # positional: by keyword it would take twice as long
        Wire.BULK_CONSENTS,
        formats.canonical_sender(sent["sender_id"]),
        sent["contact_id"],
        Status.OPT_IN if sent["status"] == Status.OPT_IN else Status.OPT_OUT,
        date,
        evidence,
        None,  # no phone number id in this API
        sent["correlation_id"].lower(),
    )


def _faults(error: ValidationError) -> Iterator[Fault]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    named = {fault["loc"][0] for fault in found if fault["loc"]}
    wrong = named or _REQUIRED  # not an object: every required field is missing
    return (Fault(field, token) for field, token in TOKENS.items() if field in wrong)


def render_batch(items: Sequence[Any], outcomes: Sequence[Outcome]) -> Response:
    """Return one result for each item, in the order of the input."""
    results = [_result(item, outcome) for item, outcome in zip(items, outcomes, strict=True)]
    body = orjson.dumps({"items": results})
    return Response(201, body, final=Stored.UNAVAILABLE not in outcomes, outcomes=outcomes)


def _result(item: Any, outcome: Outcome) -> dict[str, Any]:
    if outcome is Stored.ACCEPTED:
        return {"correlation_id": item["correlation_id"], "error_code": 0, "error_messages": []}
    messages = ["INTERNAL_SERVER_ERROR"]
    if isinstance(outcome, Rejected):
        messages = [message for _, message in outcome.faults]
    return {
        "correlation_id": echo(item),
        "error_code": INVALID_ITEM,
        "error_messages": messages,
    }


def _correlation_id(item: Any) -> str:
    value = item.get("correlation_id") if isinstance(item, dict) else None
    return value.lower() if isinstance(value, str) else ""


def echo(item: Any) -> str | None:
    """Return the `correlation_id` as sent if it is short ASCII text, else None."""
    value = item.get("correlation_id") if isinstance(item, dict) else None
    plain = isinstance(value, str) and len(value) <= _MAX_ECHO_LENGTH and value.isascii()
    return value if plain else None


def render_error(error: errors.RequestError, _request_id: str) -> Response:
    """Return the response to a request that is rejected as a whole, in the vendor's format."""
    status, code, message = ERRORS[type(error)]
    body = {
        "code": code,
        "message": message.format_map(vars(error)),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return Response(status, orjson.dumps(body), code=str(code))


def cors_headers(allowed_origin: str) -> dict[str, str]:
    """Return the five CORS headers. Credentials are never allowed together with `*`."""
    return {
        "Access-Control-Allow-Origin": allowed_origin,
        "Access-Control-Allow-Methods": "POST, OPTIONS",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
        "Access-Control-Allow-Credentials": "false" if allowed_origin == "*" else "true",
        "Access-Control-Expose-Headers": (
            "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Idempotent-Replayed, "
            "Consent-Log"
        ),
    }
