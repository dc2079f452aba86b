"""The published example of each wire, and how tests change a field of it and read it."""

import json
from collections.abc import Iterable, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from consents.domain.outcome import Outcome, Rejected, Stored
from consents.domain.record import ConsentRecord
from consents.wires import attested, bulk_consents

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
"""When the calls of these tests are received."""

OWNED = "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e"
SENDER = "+15550001111"
READING = attested.Reading(NOW, {OWNED: SENDER})

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


def with_field(sent: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy in which the field at a dotted path has a value."""
    changed = deepcopy(sent)
    *parents, name = path.split(".")
    holder = changed
    for parent in parents:
        holder = holder[parent]
    holder[name] = value
    return changed


def without_field(sent: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a copy without the field at a dotted path."""
    changed = deepcopy(sent)
    *parents, name = path.split(".")
    holder = changed
    for parent in parents:
        holder = holder[parent]
    del holder[name]
    return changed


def verbal() -> dict[str, Any]:
    """Return a record with no browser behind it, and so with none of a browser's evidence."""
    evidence = CHECKBOX["evidence"]
    spoken = {name: evidence[name] for name in ("captured_at", "agreement_text")}
    return CHECKBOX | {"evidence": spoken | {"consent_method": "verbal"}}


def attested_reason(record: Any) -> str | None:
    """Return why the attested wire refuses a record, None where it does not."""
    result = attested.read(record, READING)
    return attested.reason(result) if isinstance(result, Rejected) else None


def bulk_tokens(item: Any) -> list[str]:
    """Return the error tokens of an item on the bulk wire."""
    result = bulk_consents.read(item, NOW)
    return [fault.message for fault in result.faults] if isinstance(result, Rejected) else []


def attested_record(sent: Any = CHECKBOX) -> ConsentRecord:
    """Return the consent record of what must be a good attested record."""
    result = attested.read(sent, READING)
    assert isinstance(result, ConsentRecord)
    return result


def bulk_record(item: Any = ITEM) -> ConsentRecord:
    """Return the consent record of what must be a good item."""
    result = bulk_consents.read(item, NOW)
    assert isinstance(result, ConsentRecord)
    return result


def all_stored(results: Iterable[ConsentRecord | Rejected]) -> list[Outcome]:
    """Return the outcomes of a call whose records without faults were all stored."""
    return [result if isinstance(result, Rejected) else Stored.ACCEPTED for result in results]


def form_body(items: Sequence[Any]) -> bytes:
    """Return items as the vendor's Python library sends them: with spaces in its JSON."""
    return urlencode([("Items", json.dumps(item)) for item in items]).encode()


def shown(value: object) -> str:
    """Return a short name for a value in the name of a test."""
    return ascii(value)[:40]
