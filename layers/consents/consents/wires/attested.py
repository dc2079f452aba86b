"""The attested-consent wire: JSON records, each with its evidence."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NotRequired, TypedDict, get_args

from pydantic import TypeAdapter, ValidationError

from consents.domain import errors, fields
from consents.domain.outcome import Fault, Outcome, Rejected, Stored
from consents.domain.record import ConsentRecord, Status, Wire, text_hash
from consents.wires import json_text
from consents.wires.answer import Answer

MAX_RECORDS = 1000
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_SINGLE_BYTES = 1024 * 1024

REFUSALS: Mapping[type[errors.Refused], tuple[int, str, str]] = {
    errors.Unauthenticated: (401, "UNAUTHORIZED", "authentication failed"),
    errors.MissingScope: (403, "FORBIDDEN", "missing required scope"),
    errors.PlanRequired: (
        403,
        "PLAN_REQUIRED",
        "Tier 3 consent capture requires Growth or higher; use double-opt-in "
        "(POST /v1/consent/double-opt-in) or the hosted form (POST /v1/consent/hosted) on Starter",
    ),
    errors.NotFound: (404, "NOT_FOUND", "not found"),
    errors.BodyTooLarge: (413, "PAYLOAD_TOO_LARGE", "the body must be at most {limit} bytes"),
    errors.BrokenGzip: (400, "INVALID_INPUT", "the body {reason}"),
    errors.UnsupportedMediaType: (
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        "the content type must be application/json",
    ),
    errors.MalformedBody: (400, "INVALID_INPUT", "the body must be a JSON object"),
    errors.Invalid: (422, "VALIDATION_FAILED", "validation failed"),
    errors.InvalidIdempotencyKey: (422, "VALIDATION_FAILED", "validation failed"),
    errors.KeyReused: (
        422,
        "IDEMPOTENCY_KEY_REUSED",
        "the idempotency key was used before with another body",
    ),
    errors.InProgress: (
        409,
        "IDEMPOTENCY_IN_PROGRESS",
        "the first call with this idempotency key is still running",
    ),
    errors.RateLimited: (429, "RATE_LIMITED", "rate limited"),
    errors.Unavailable: (503, "UNAVAILABLE", "temporarily unavailable; safe to repeat"),
    errors.Internal: (500, "INTERNAL", "internal error"),
}

MESSAGES: Mapping[str, str] = {
    "phone_number_id": "must be a UUID",
    "contact_number": "must be E.164",
    "opted_in": "must be true or false",
    "evidence.captured_at": "must be an RFC 3339 timestamp",
    "evidence.ip_address": "must be a valid IP address",
    "evidence.user_agent": "must be 1..1024 chars",
    "evidence.agreement_text": "must be 1..10000 chars",
    "evidence.form_url": "must be an http(s) URL",
    "evidence.consent_method": "must be one of " + ", ".join(get_args(fields.ConsentMethod)),
}
_MESSAGES_BY_ERROR: Mapping[str, str] = {
    "missing": "is required",
    "dict_type": "must be an object",
    fields.IN_THE_FUTURE: "must not be in the future",
}


_NOT_OWNED = Fault("phone_number_id", "not found")
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.!#$&^_-]+\+)?json\s*(?:;|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a record is read against: the receipt, and the organization's own senders."""

    now: datetime
    senders: Mapping[str, str]
    """`phone_number_id`, in lower case, to E.164 number."""


class _BrowserEvidence(TypedDict):
    captured_at: fields.CapturedAt
    ip_address: fields.IpAddress
    user_agent: fields.UserAgent
    agreement_text: fields.AgreementText
    form_url: fields.FormUrl
    consent_method: fields.ConsentMethod


class _OffBrowserEvidence(TypedDict):
    captured_at: fields.CapturedAt
    ip_address: NotRequired[fields.IpAddress | None]
    user_agent: NotRequired[fields.UserAgent | None]
    agreement_text: fields.AgreementText
    form_url: NotRequired[fields.FormUrl | None]
    consent_method: fields.ConsentMethod


class _Record[Evidence](TypedDict):
    phone_number_id: fields.Uuid
    contact_number: fields.ContactNumber
    opted_in: fields.OptedIn
    evidence: Evidence


_OFF_BROWSER_METHODS = frozenset(get_args(fields.ConsentMethod)) - {"checkbox"}


def secret(authorization: str) -> str:
    """Return the secret of a bearer key, in the form in which the directory hashes it."""
    scheme, _, key = authorization.partition(" ")
    return f"bearer:{key}" if scheme.lower() == "bearer" else ""


def parse_batch(body: bytes, content_type: str | None, allowance: int = MAX_RECORDS) -> list[Any]:
    """Return the records of a bulk call, unread. The allowance is in records a minute.

    Raises:
        UnsupportedMediaType: the content type is given and is not JSON.
        MalformedBody: not JSON, or not an object.
        Invalid: `records` is absent, not an array, empty, longer than `MAX_RECORDS`, or more than
            the allowance will ever admit.
    """
    batch = parse_single(body, content_type)
    if "records" not in batch:
        raise errors.Invalid({"records": "is required"})
    records = batch["records"]
    if not isinstance(records, list):
        raise errors.Invalid({"records": "must be an array"})
    if not 1 <= len(records) <= MAX_RECORDS:
        raise errors.Invalid({"records": f"must hold 1..{MAX_RECORDS} records, got {len(records)}"})
    if len(records) > allowance:
        hint = f"{len(records)} exceed the allowance of {allowance} a minute: split the batch"
        raise errors.Invalid({"records": hint})
    return records


def parse_single(body: bytes, content_type: str | None) -> dict[str, Any]:
    """Return a JSON object, unread.

    Raises:
        UnsupportedMediaType: the content type is given and is not JSON.
        MalformedBody: not JSON, or not an object.
    """
    if content_type and not _JSON_TYPE.match(content_type.strip()):
        raise errors.UnsupportedMediaType
    value = json_text.parse(body)
    if not isinstance(value, dict):
        raise errors.MalformedBody
    return value


def phone_number_ids(records: Iterable[Any]) -> set[str]:
    """Return the well-formed `phone_number_id`s that the records name, in lower case."""
    named = (record.get("phone_number_id") for record in records if isinstance(record, dict))
    return {name.lower() for name in named if fields.is_uuid(name)}


def read(record: Any, reading: Reading) -> ConsentRecord | Rejected:
    """Return a consent record, or all the faults of what was sent."""
    try:
        read = _rules(record)(record, context=reading.now)
    except ValidationError as error:
        return Rejected("VALIDATION_FAILED", _faults(error, record, reading))
    phone_number_id = read["phone_number_id"].lower()
    sender = reading.senders.get(phone_number_id)
    if sender is None:
        return Rejected("NOT_FOUND", (_NOT_OWNED,))
    evidence = read["evidence"]  # as it was sent, but for the date and for fields that nobody knows
    dated_at, evidence["captured_at"] = evidence["captured_at"], record["evidence"]["captured_at"]
    text = evidence.pop("agreement_text")
    evidence["agreement_text_hash"] = text_hash(text)
    if evidence["consent_method"] != "checkbox":  # what a browser tells may be null
        evidence = {name: value for name, value in evidence.items() if value is not None}
    status = Status.OPT_IN if read["opted_in"] else Status.OPT_OUT
    return ConsentRecord(  # in its own order: by name it would take as long again
        Wire.ATTESTED,
        sender,
        read["contact_number"],
        status,
        dated_at,
        evidence,
        phone_number_id,
        None,  # no correlation id on this wire
        text,
    )


def read_single(record: Any, reading: Reading) -> ConsentRecord:
    """Return the consent record of a single call.

    Raises:
        NotFound: the only fault is a `phone_number_id` that the organization does not own.
        Invalid: all other faults.
    """
    result = read(record, reading)
    if isinstance(result, ConsentRecord):
        return result
    raise errors.NotFound if result.code == "NOT_FOUND" else errors.Invalid(dict(result.faults))


def _rules(record: Any) -> Callable[..., Any]:
    """Return what reads a record by its rules: only a checkbox needs a browser behind it."""
    try:
        is_off_browser = record["evidence"]["consent_method"] in _OFF_BROWSER_METHODS
    except (KeyError, TypeError):
        is_off_browser = False
    return _off_browser() if is_off_browser else _browser()


@cache  # at the first record: the function that answers unknown routes has none
def _browser() -> Callable[..., Any]:
    return TypeAdapter(_Record[_BrowserEvidence]).validator.validate_python


@cache
def _off_browser() -> Callable[..., Any]:
    return TypeAdapter(_Record[_OffBrowserEvidence]).validator.validate_python


def _faults(error: ValidationError, record: Any, reading: Reading) -> tuple[Fault, ...]:
    told = error.errors(include_url=False, include_context=False, include_input=False)
    faults = tuple(_fault(".".join(map(str, fault["loc"])), fault["type"]) for fault in told)
    is_sound = faults[0].field not in {"", "phone_number_id"}  # or it would be told first
    if is_sound and record["phone_number_id"].lower() not in reading.senders:
        return (_NOT_OWNED, *faults)
    return faults


def _fault(path: str, error: str) -> Fault:
    return Fault(path, _MESSAGES_BY_ERROR.get(error) or MESSAGES[path])


def render_batch(outcomes: Sequence[Outcome]) -> Answer:
    """Return how many records were accepted, and each refused one by its index in the input."""
    rejected = [
        {"index": index, "code": _code(outcome), "reason": reason(outcome)}
        for index, outcome in enumerate(outcomes)
        if outcome is not Stored.ACCEPTED
    ]
    body = json_text.indented({"accepted": len(outcomes) - len(rejected), "rejected": rejected})
    return Answer(200, body, final=Stored.UNAVAILABLE not in outcomes, outcomes=outcomes)


def _code(outcome: Outcome) -> str:
    return outcome.code if isinstance(outcome, Rejected) else "UNAVAILABLE"


def reason(outcome: Outcome) -> str:
    """Return all the faults of a refused record in one line, in field order."""
    if not isinstance(outcome, Rejected):
        return "could not be stored; safe to repeat"
    return "; ".join(
        f"{field}: {message}" if field else message for field, message in outcome.faults
    )


def render_single(consent_id: str, record: ConsentRecord, *, already_opted_in: bool) -> Answer:
    """Return the answer to a captured single record."""
    answer = {
        "consent_id": consent_id,
        "agreement_text_hash": record.evidence["agreement_text_hash"],
        "already_opted_in": already_opted_in,
    }
    return Answer(201, json_text.indented(answer), outcomes=[Stored.ACCEPTED])


def render_refusal(refused: errors.Refused, request_id: str) -> Answer:
    """Return the answer to a request refused as a whole."""
    status, code, message = REFUSALS[type(refused)]
    error: dict[str, Any] = {
        "code": code,
        "message": message.format_map(vars(refused)),
        "request_id": request_id,
    }
    if isinstance(refused, errors.Invalid):
        error["details"] = refused.details
    return Answer(status, json_text.indented({"success": False, "error": error}), code=code)
