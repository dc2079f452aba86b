"""Records, items, requests and imports that tests start from, and how to change a field.

`CHECKBOX` and `ITEM` are the published examples of the two APIs. A function with `**changes`
returns a valid value with some attributes replaced.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from consents.capture import attested, bulk_consents
from consents.domain.organization import Caller, Credential, Organization, Plan, Scope
from consents.domain.outcome import Outcome, Rejected, Stored
from consents.domain.record import (
    ConsentRecord,
    Receipt,
    Status,
    StoredRecord,
    Wire,
    timestamp,
)
from consents.domain.sender_profile import SenderProfile
from consents.forms.form import Confirm, Form
from consents.http import rejections
from consents.http.request import Context
from consents.imports.drop import Drop, parse_key
from consents.imports.import_state import Import, PendingUpload
from consents.messages.texts import confirmation_text, welcome_text
from consents.opt_in.challenge import Challenge, Kind, Message, MessageState
from consents.opt_in.records import Reply

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
"""When the requests of tests are received."""

REQUEST_ID = "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"
RECEIPT = Receipt(NOW, REQUEST_ID)

ORG_ID, KEY_ID = "org_1", "key_1"
BUCKET = "drops-bucket"

OWNED = "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e"
"""A `phone_number_id` of the organization; `SENDER` is its number."""

SENDER = "+15550001111"
NOT_OWNED = "00000000-0000-4000-8000-000000000000"
READ_CONTEXT = attested.ReadContext(NOW, {OWNED: SENDER})

# ---------------------------------------------------------------- Attested records, as JSON

TEXT = "By signing up you agree to receive appointment reminders. Reply STOP to opt out."
CHECKBOX: dict[str, Any] = {
    "phone_number_id": OWNED,
    "contact_number": "+15554443333",
    "opted_in": True,
    "evidence": {
        "captured_at": "2026-04-26T12:00:00Z",
        "ip_address": "203.0.113.42",
        "user_agent": "Mozilla/5.0",
        "agreement_text": TEXT,
        "form_url": "https://example.com/signup",
        "consent_method": "checkbox",
    },
}


def attested_json(number: int = 3333, **changes: Any) -> dict[str, Any]:
    """Return a valid attested record with the contact number of this number."""
    return deepcopy(CHECKBOX) | {"contact_number": f"+1555444{number:04}"} | changes


def verbal_json() -> dict[str, Any]:
    """Return a valid attested record that was spoken: it has no evidence of a browser."""
    evidence = CHECKBOX["evidence"]
    spoken = {name: evidence[name] for name in ("captured_at", "agreement_text")}
    return CHECKBOX | {"evidence": spoken | {"consent_method": "verbal"}}


# ---------------------------------------------------------------- Bulk consents, as JSON

ITEM: dict[str, Any] = {
    "contact_id": "+19999999999",
    "correlation_id": "ad388b5a46b33b874b0d41f7226db2ef",
    "sender_id": "MG00000000000000000000000000000001",
    "date_of_consent": "2025-02-28T10:05:27Z",
    "status": "opt-out",
    "source": "website",
}
BAD_ITEM: dict[str, Any] = {
    "contact_id": "+19",
    "correlation_id": "02520cfa6c432f0e3ec3a38c122d428d",
    "sender_id": "123456",
    "date_of_consent": "2025-03-25",
    "status": "opt-in",
    "source": "opt-in-message",
}


def item_json(number: int, **changes: Any) -> dict[str, Any]:
    """Return a valid item with the contact and the correlation id of this number."""
    return ITEM | {"contact_id": contact(number), "correlation_id": f"{number:032x}"} | changes


def contact(number: int) -> str:
    """Return the contact of an item by its number."""
    return f"+1999{number:07}"


# ---------------------------------------------------------------- One field changed


def with_field(sent: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy in which the field at a dotted path has a value."""
    changed, holder, name = _holder(sent, path)
    holder[name] = value
    return changed


def without_field(sent: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a copy without the field at a dotted path."""
    changed, holder, name = _holder(sent, path)
    del holder[name]
    return changed


def _holder(sent: dict[str, Any], path: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    changed = deepcopy(sent)
    *parents, name = path.split(".")
    holder = changed
    for parent in parents:
        holder = holder[parent]
    return changed, holder, name


# ---------------------------------------------------------------- Records, and their outcomes


def attested_record(sent: Any = CHECKBOX) -> ConsentRecord:
    """Return the consent record of a valid attested record."""
    result = attested.read(sent, READ_CONTEXT)
    assert isinstance(result, ConsentRecord)
    return result


def bulk_record(item: Any = ITEM) -> ConsentRecord:
    """Return the consent record of a valid item."""
    result = bulk_consents.read(item, NOW)
    assert isinstance(result, ConsentRecord)
    return result


def statement(
    status: Status, effective_at: datetime, sender: str = SENDER, **changes: Any
) -> StoredRecord:
    """Return a stored record of a contact, received when it became effective."""
    return replace(
        StoredRecord(
            wire=Wire.BULK_CONSENTS,
            sender=sender,
            contact="+15554443333",
            status=status,
            effective_at=timestamp(effective_at),
            received_at=timestamp(changes.pop("received_at", effective_at)),
            request_id=REQUEST_ID,
            evidence={"source": "website"},
            phone_number_id=None,
            correlation_id=None,
            record_id="0" * 32,
        ),
        **changes,
    )


def attested_reason(record: Any) -> str | None:
    """Return why an attested record is rejected, None if it is valid."""
    result = attested.read(record, READ_CONTEXT)
    return rejections.reason(result) if isinstance(result, Rejected) else None


def bulk_tokens(item: Any) -> list[str]:
    """Return the error tokens of an item."""
    result = bulk_consents.read(item, NOW)
    return [fault.message for fault in result.faults] if isinstance(result, Rejected) else []


def all_stored(results: Iterable[ConsentRecord | Rejected]) -> list[Outcome]:
    """Return the outcomes of a request whose valid records were all stored."""
    return [result if isinstance(result, Rejected) else Stored.ACCEPTED for result in results]


# ---------------------------------------------------------------- Bodies of requests


def batch_body(*records: Any) -> bytes:
    """Return the body of a bulk request of the Attested Consent API."""
    return json.dumps({"records": records}).encode()


def form_body(items: Sequence[Any]) -> bytes:
    """Return items as the vendor's Python library sends them: with spaces in its JSON."""
    return urlencode([("Items", json.dumps(item)) for item in items]).encode()


# ---------------------------------------------------------------- Callers and receipts


def receipt(request_id: str = REQUEST_ID, received_at: datetime = NOW) -> Receipt:
    """Return a receipt."""
    return Receipt(received_at, request_id)


def organization(**changes: Any) -> Organization:
    """Return an organization whose plan includes consent capture."""
    valid = Organization(ORG_ID, "Clinic", Plan.PAYG, 600, timestamp(NOW - timedelta(days=90)))
    return replace(valid, **changes)


def credential(**changes: Any) -> Credential:
    """Return a credential of the organization that may write."""
    created_at = timestamp(NOW - timedelta(days=30))
    valid = Credential(ORG_ID, KEY_ID, frozenset({Scope.WRITE}), created_at, None, None)
    return replace(valid, **changes)


def caller(**changes: Any) -> Caller:
    """Return a caller; the changes are those of its organization."""
    called_by = organization(**changes)
    return Caller(credential(org_id=called_by.org_id), called_by)


# ---------------------------------------------------------------- Events of API Gateway


class FakeContext:
    """The context of an invocation, of which so many seconds are left."""

    aws_request_id = "8f5b0c9e-6b5e-4f59-9a53-0b8e7b9f5a11"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left."""
        return int(self.seconds * 1000)


def lambda_context(seconds: float = 25) -> Context:
    """Return the context of an invocation."""
    return cast(Context, FakeContext(seconds))


def gateway_event(
    route: str = "POST /v1/consent/bulk",
    body: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    path: Mapping[str, str] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return the event of a request, as API Gateway sends it; `path` holds its parameters."""
    method, resource = route.split(" ")
    return {
        "httpMethod": method,
        "resource": resource,
        "path": resource.format_map(path or {}),
        "pathParameters": path,
        "headers": {"Authorization": "Bearer am_live_x_y"} | dict(headers or {}),
        "body": body,
        "requestContext": {"requestId": "5c7b0f3e-2d7b-4f0c-8f43-6e6f0d2d9a10"},
    } | changes


# ---------------------------------------------------------------- Hosted forms

FORM_ID, FORM_SECRET = "k7m2x9qp4hw8rt3v", "0123456789abcdefABCDEF"
STAMP_KEY = b"stamp key"

COMPLETE_TEXT = (
    "I agree to receive automated appointment reminders by text message from Northside Dental at "
    "the mobile number above. Message frequency varies, about 4 a month. Message and data rates "
    "may apply. Reply STOP to opt out, HELP for help. Consent is not a condition of purchase."
)
"""An agreement text with every disclosure that carriers demand of it."""


def sender_profile(**changes: Any) -> SenderProfile:
    """Return a profile with everything but a logo."""
    valid = SenderProfile(
        "Northside Dental",
        "Northside Dental Group, Inc.",
        program="Appointment reminders and changes to your bookings",
        frequency="About 4 messages a month",
        terms_url="https://example.com/terms",
        privacy_url="https://example.com/privacy",
        help_contact="help@example.com",
    )
    return replace(valid, **changes)


def form(**changes: Any) -> Form:
    """Return a form for everybody that expires in an hour."""
    profile = changes.get("profile", sender_profile())
    valid = Form(
        FORM_ID,
        ORG_ID,
        OWNED,
        SENDER,
        contact="",
        agreement_text=COMPLETE_TEXT,
        confirm=Confirm.NONE,
        profile=profile,
        created_at=NOW,
        expires_at=NOW + timedelta(hours=1),
        headline="Get appointment reminders by text",
        intro="We'll text you before each visit, so you never have to remember it yourself.",
        program=profile.program,
        frequency=profile.frequency,
    )
    return replace(valid, **changes)


def bound_form(**changes: Any) -> Form:
    """Return a form for one contact."""
    bound = {"contact": "+15554443333", "max_submissions": 1, "secret_hash": "hash"}
    return form(**bound | changes)


# ---------------------------------------------------------------- Double opt-in

CHALLENGE_ID = "3f9c2f0e-6a52-4e0c-9a37-5d2f1f0f6a11"
MESSAGE_ID = "5c1d7a52-3b7e-4f7a-8d7b-0e6a3f1c2b44"
ASKED_CONTACT = "+14155552671"


def challenge(**changes: Any) -> Challenge:
    """Return an open challenge of a contact, which expires in a day."""
    valid = Challenge(
        challenge_id=CHALLENGE_ID,
        org_id=ORG_ID,
        phone_number_id=OWNED,
        sender=SENDER,
        contact=ASKED_CONTACT,
        agreement_text=COMPLETE_TEXT,
        confirmation_text=confirmation_text(sender_profile(), "", "", "en"),
        welcome_text=welcome_text(sender_profile(), "", "", "en"),
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    return replace(valid, **changes)


def text_of(asked: Challenge, **changes: Any) -> Message:
    """Return the text of a challenge, which was sent."""
    valid = Message(
        MESSAGE_ID,
        asked.challenge_id,
        Kind.CONFIRMATION,
        asked.sender,
        asked.contact,
        asked.confirmation_text,
        MessageState.SENT,
        NOW,
        asked.expires_at,
        attempts=1,
        provider="outbox",
        provider_message_id="outbox-1",
    )
    return replace(valid, **changes)


def reply(text: str, **changes: Any) -> Reply:
    """Return a text that the contact sent a minute after now."""
    valid = Reply("aws", "inbound-1", SENDER, ASKED_CONTACT, text, NOW + timedelta(minutes=1))
    return replace(valid, **changes)


# ---------------------------------------------------------------- Drops and imports


def drop(name: str = "bulk-consents/may.jsonl", org_id: str = ORG_ID, version: str = "1") -> Drop:
    """Return a dropped file by its key after the organization."""
    found = parse_key(BUCKET, f"drops/{org_id}/{name}", version)
    assert found is not None
    return found


def begun_import(of: Drop | None = None, **changes: Any) -> Import:
    """Return an import that began now."""
    return replace(Import(of or drop(), NOW), **changes)


def pending_upload(
    name: str = f"bulk-consents/uploads/{REQUEST_ID}.csv", **changes: Any
) -> PendingUpload:
    """Return an announced upload that expires in an hour."""
    valid = PendingUpload(drop(name, version=""), NOW, NOW + timedelta(hours=1), KEY_ID)
    return replace(valid, **changes)


def jsonl(*values: Any) -> bytes:
    """Return a file of JSON lines."""
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


# ---------------------------------------------------------------- Names of tests


def shown(value: object) -> str:
    """Return a short name for a value in the name of a test."""
    return ascii(value)[:40]
