"""The Attested Consent API: JSON records, each with its evidence."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from pydantic_core import ValidationError

from consents.capture.validators import validator
from consents.domain import checks, errors, formats
from consents.domain.outcome import Fault, Outcome, Rejected, Stored
from consents.domain.record import ConsentRecord, Status, Wire, text_hash
from consents.http import json_text, rejections
from consents.http.json_api import parse_object
from consents.http.response import Response

MAX_RECORDS = 1000
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_SINGLE_BYTES = 1024 * 1024

MESSAGES: Mapping[str, str] = {
    "phone_number_id": "must be a UUID",
    "contact_number": "must be E.164",
    "opted_in": "must be true or false",
    "evidence.captured_at": "must be an RFC 3339 timestamp",
    "evidence.ip_address": "must be a valid IP address",
    "evidence.user_agent": "must be 1..1024 chars",
    "evidence.agreement_text": "must be 1..10000 chars",
    "evidence.form_url": "must be an http(s) URL",
    "evidence.consent_method": "must be one of " + ", ".join(get_args(formats.ConsentMethod)),
}
_MESSAGES_BY_ERROR: Mapping[str, str] = {
    "missing": "is required",
    "dict_type": "must be an object",
    checks.IN_THE_FUTURE: "must not be in the future",
}


_NOT_OWNED = Fault("phone_number_id", "not found")


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What a record is validated against: the receipt, and the organization's senders."""

    now: datetime
    senders: Mapping[str, str]
    """`phone_number_id`, in lower case, to E.164 number."""


_OFF_BROWSER_METHODS = frozenset(get_args(formats.ConsentMethod)) - {"checkbox"}


def parse_batch(body: bytes, content_type: str | None, allowance: int = MAX_RECORDS) -> list[Any]:
    """Return the records of a bulk request, not validated. The allowance is records a minute.

    Raises:
        UnsupportedMediaType: there is a content type and it is not JSON.
        MalformedBody: not JSON, or not an object.
        Invalid: `records` is absent, not an array, empty, longer than `MAX_RECORDS` or
            than the allowance.
    """
    batch = parse_object(body, content_type)
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


def phone_number_ids(records: Iterable[Any]) -> set[str]:
    """Return the valid `phone_number_id`s of the records, in lower case."""
    named = (record.get("phone_number_id") for record in records if isinstance(record, dict))
    different = {name for name in named if isinstance(name, str)}  # mostly one, in 1000 records
    return {name.lower() for name in different if formats.is_uuid(name)}


def read(record: Any, context: ReadContext) -> ConsentRecord | Rejected:
    """Return a consent record, or all its faults."""
    try:
        read = _rules(record)(record, context=context.now)
    except ValidationError as error:
        return Rejected("VALIDATION_FAILED", _faults(error, record, context))
    phone_number_id = read["phone_number_id"].lower()
    sender = context.senders.get(phone_number_id)
    if sender is None:
        return Rejected("NOT_FOUND", (_NOT_OWNED,))
    evidence = read["evidence"]  # as sent, without the parsed date and unknown fields
    dated_at, evidence["captured_at"] = evidence["captured_at"], record["evidence"]["captured_at"]
    text = evidence.pop("agreement_text")
    evidence["agreement_text_hash"] = text_hash(text)
    if evidence["consent_method"] != "checkbox":  # browser fields may be null
        evidence = {name: value for name, value in evidence.items() if value is not None}
    status = Status.OPT_IN if read["opted_in"] else Status.OPT_OUT
    return ConsentRecord(  # positional: by keyword it would take twice as long
        Wire.ATTESTED,
        sender,
        read["contact_number"],
        status,
        dated_at,
        evidence,
        phone_number_id,
        None,  # no correlation id in this API
        text,
    )


def read_single(record: Any, context: ReadContext) -> ConsentRecord:
    """Return the consent record of a single request.

    Raises:
        NotFound: the only fault is a `phone_number_id` that the organization does not own.
        Invalid: all other faults.
    """
    result = read(record, context)
    if isinstance(result, ConsentRecord):
        return result
    not_found = result.code == "NOT_FOUND"
    error = errors.NotFound() if not_found else errors.Invalid(dict(result.faults))
    error.outcomes = [result]
    raise error


def _rules(record: Any) -> Callable[..., Any]:
    """Return the validator of a record: only a checkbox needs browser evidence."""
    try:
        is_off_browser = record["evidence"]["consent_method"] in _OFF_BROWSER_METHODS
    except (KeyError, TypeError):
        is_off_browser = False
    return validator("OffBrowserRecord" if is_off_browser else "BrowserRecord")


def _faults(error: ValidationError, record: Any, context: ReadContext) -> tuple[Fault, ...]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    faults = tuple(_fault(".".join(map(str, fault["loc"])), fault["type"]) for fault in found)
    has_id = faults[0].field not in {"", "phone_number_id"}  # its fault would come first
    if has_id and record["phone_number_id"].lower() not in context.senders:
        return (_NOT_OWNED, *faults)
    return faults


def _fault(path: str, error: str) -> Fault:
    return Fault(path, _MESSAGES_BY_ERROR.get(error) or MESSAGES[path])


def render_batch(outcomes: Sequence[Outcome]) -> Response:
    """Return the number of accepted records, and each rejected one by its index in the input."""
    listed = rejections.listed(outcomes)
    body = json_text.indented({"accepted": len(outcomes) - len(listed), "rejected": listed})
    return Response(200, body, final=Stored.UNAVAILABLE not in outcomes, outcomes=outcomes)


def render_single(consent_id: str, record: ConsentRecord, *, already_opted_in: bool) -> Response:
    """Return the response to a captured single record."""
    rendered = {
        "consent_id": consent_id,
        "agreement_text_hash": record.evidence["agreement_text_hash"],
        "already_opted_in": already_opted_in,
    }
    return Response(201, json_text.indented(rendered), outcomes=[Stored.ACCEPTED])
