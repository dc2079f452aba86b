"""The bulk-consents wire: form-encoded `Items`, one result for each, in order."""

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, Any, NotRequired, TypedDict

import orjson
from pydantic import PlainValidator, TypeAdapter, ValidationError, ValidationInfo

from consents.domain import errors, fields
from consents.domain.outcome import Fault, Outcome, Rejected, Stored
from consents.domain.record import ConsentRecord, Status, Wire
from consents.wires import form
from consents.wires.answer import Answer

MAX_ITEMS = 1000
MAX_BATCH_BYTES = 8 * 1024 * 1024

MOST_PARAMETERS = 100_000
"""Of a form, each item having a hundred: to find out that there are too many takes time as well."""

INVALID_ITEM = 30646
"""The vendor's error code of an item that was not recorded."""

REFUSALS: Mapping[type[errors.Refused], tuple[int, int, str]] = {
    errors.Unauthenticated: (401, 20003, "Authenticate"),
    errors.MissingScope: (403, 20403, "Forbidden: missing required scope"),
    errors.PlanRequired: (403, 20403, "Forbidden: the plan does not include consent capture"),
    errors.NotFound: (404, 20404, "The requested resource was not found"),
    errors.BodyTooLarge: (413, 20001, "The post body must be at most {limit} bytes"),
    errors.BrokenGzip: (400, 20001, "The post body {reason}"),
    errors.Invalid: (400, 20001, "{details[Items]}"),
    errors.InvalidIdempotencyKey: (400, 20001, "Idempotency-Key {details[Idempotency-Key]}"),
    errors.KeyReused: (422, 20001, "The Idempotency-Key was used before with another body"),
    errors.InProgress: (409, 20409, "The first call with this Idempotency-Key is still running"),
    errors.RateLimited: (429, 20429, "Too Many Requests"),
    errors.Unavailable: (503, 20503, "Service unavailable; safe to repeat"),
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
"""The token of each field, in the order in which an answer lists them."""

_REPEATED = Fault("correlation_id", TOKENS["correlation_id"])
_LONGEST_ECHO = 64


def _optional_date(value: object, info: ValidationInfo[Any]) -> datetime | None:
    return None if value is None or value == "" else fields.iso8601(value, info)


class _Item(TypedDict):
    correlation_id: fields.CorrelationId
    sender_id: fields.SenderId
    contact_id: fields.ContactNumber
    status: fields.Status
    source: fields.Source
    date_of_consent: NotRequired[Annotated[datetime | None, PlainValidator(_optional_date)]]


@cache  # at the first item: the function that answers unknown routes has none
def _rules() -> TypeAdapter[Any]:
    return TypeAdapter(_Item)


def secret(authorization: str) -> str:
    """Return an account's or a key's SID and secret, in the form in which the directory hashes it.

    The SID is `AC` or `SK` and 32 hex digits; the secret its auth token or key secret.
    """
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        return ""
    return f"basic:{decoded}" if scheme.lower() == "basic" else ""


def parse_batch(body: bytes, allowance: int = MAX_ITEMS) -> list[Any]:
    """Return the items of a call, unread; an item that is not JSON is None.

    The allowance is in items a minute.

    Raises:
        Invalid: there are no items, more than `MAX_ITEMS`, more than the allowance will ever admit,
            or more than `MOST_PARAMETERS`.
    """
    parameters = body.count(b"&") + 1
    if parameters > MOST_PARAMETERS:
        hint = f"The post body must hold at most {MOST_PARAMETERS} parameters, got {parameters}"
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
    seen: set[str] = set()
    results = []
    for item in items:
        correlation_id = _correlation_id(item)
        result = read(item, now)
        if correlation_id in seen:
            others = result.faults if isinstance(result, Rejected) else ()
            result = Rejected(str(INVALID_ITEM), (_REPEATED, *others))
        elif fields.is_correlation_id(correlation_id):
            seen.add(correlation_id)
        results.append(result)
    return results


def read(item: Any, now: datetime) -> ConsentRecord | Rejected:
    """Return a consent record, or all the faults of what was sent; `now` is the receipt."""
    try:
        sent = _rules().validate_python(item, context=now)
    except ValidationError as error:
        return Rejected(str(INVALID_ITEM), tuple(_faults(error)))
    date = sent.get("date_of_consent")
    return ConsentRecord(
        wire=Wire.BULK_CONSENTS,
        sender=canonical_sender(sent["sender_id"]),
        contact=sent["contact_id"],
        status=Status(sent["status"]),
        dated_at=date,
        evidence={"source": sent["source"]}
        | ({"date_of_consent": item["date_of_consent"]} if date else {}),
        correlation_id=sent["correlation_id"].lower(),
    )


def canonical_sender(sender_id: str) -> str:
    """Return one spelling for one sender: the hex of a messaging service SID in lower case."""
    return "MG" + sender_id[2:].lower() if sender_id.startswith("MG") else sender_id


def _faults(error: ValidationError) -> Iterator[Fault]:
    told = error.errors(include_url=False, include_context=False, include_input=False)
    named = {fault["loc"][0] for fault in told if fault["loc"]}
    wrong = named or _Item.__required_keys__  # not an object: all that it must have is missing
    return (Fault(field, token) for field, token in TOKENS.items() if field in wrong)


def render_batch(items: Sequence[Any], outcomes: Sequence[Outcome]) -> Answer:
    """Return one result for each item, in the order of the input."""
    results = [
        {
            "correlation_id": echo(item),
            "error_code": 0 if outcome is Stored.ACCEPTED else INVALID_ITEM,
            "error_messages": _messages(outcome),
        }
        for item, outcome in zip(items, outcomes, strict=True)
    ]
    body = orjson.dumps({"items": results})
    return Answer(201, body, final=Stored.UNAVAILABLE not in outcomes, outcomes=outcomes)


def _messages(outcome: Outcome) -> list[str]:
    if isinstance(outcome, Rejected):
        return [message for _, message in outcome.faults]
    return [] if outcome is Stored.ACCEPTED else ["INTERNAL_SERVER_ERROR"]


def _correlation_id(item: Any) -> str:
    value = item.get("correlation_id") if isinstance(item, dict) else None
    return value.lower() if isinstance(value, str) else ""


def echo(item: Any) -> str | None:
    """Return the `correlation_id` as it was sent, so far as it is a short plain text."""
    value = item.get("correlation_id") if isinstance(item, dict) else None
    plain = isinstance(value, str) and len(value) <= _LONGEST_ECHO and value.isascii()
    return value if plain else None


def render_refusal(refused: errors.Refused, _request_id: str) -> Answer:
    """Return the answer to a request refused as a whole, in the vendor's own envelope."""
    status, code, message = REFUSALS[type(refused)]
    body = {
        "code": code,
        "message": message.format_map(vars(refused)),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return Answer(status, orjson.dumps(body), code=str(code))


def cors_headers(allowed_origin: str) -> dict[str, str]:
    """Return the five CORS headers. Credentials are never allowed to every origin at once."""
    return {
        "Access-Control-Allow-Origin": allowed_origin,
        "Access-Control-Allow-Methods": "POST, OPTIONS",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
        "Access-Control-Allow-Credentials": "false" if allowed_origin == "*" else "true",
        "Access-Control-Expose-Headers": (
            "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Idempotent-Replayed"
        ),
    }
