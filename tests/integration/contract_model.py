"""The whole service in dicts and sets: what the contract promises, nothing of how it is kept."""

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from math import ceil, floor
from typing import Any
from urllib.parse import urlencode

BULK_CONSENTS, ATTESTED, SINGLE = "create_bulk_consents", "capture_consents", "capture_consent"

OWNED = "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e"
NOBODYS = "00000000-0000-4000-8000-000000000000"
PHONE_NUMBER = "+15550001111"

CLOCK_SKEW = timedelta(minutes=5)
WINDOW = 60

ATTESTED_FIELDS = {
    "sender": "phone_number_id",
    "contact": "contact_number",
    "status": "opted_in",
    "date": "evidence.captured_at",
    "proof": "evidence.ip_address",
    "name": "evidence.agreement_text",
}
ATTESTED_FLAWS: dict[str, tuple[Any, str]] = {
    "sender": (NOBODYS, "not found"),
    "contact": ("+1555", "must be E.164"),
    "status": ("yes", "must be true or false"),
    "date": ("2026-02-30T00:00:00Z", "must be an RFC 3339 timestamp"),
    "proof": ("999.9.9.9", "must be a valid IP address"),
    "name": ("", "must be 1..10000 chars"),
}
BULK_CONSENTS_FIELDS = {
    "name": "correlation_id",
    "sender": "sender_id",
    "contact": "contact_id",
    "status": "status",
    "proof": "source",
    "date": "date_of_consent",
}
BULK_CONSENTS_FLAWS = {
    "name": "xyz",
    "sender": "MG1",
    "contact": "+19",
    "status": "OPT-IN",
    "proof": "web",
    "date": "2025-03-25",
}
NOT_AN_OBJECT = "object"


def timestamp(at: datetime) -> str:
    """Return an instant in UTC as the ledger shows it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Draft:
    """A record before it is spelled for a wire. `flaws` names the parts that break their rules."""

    contact: str
    opted_in: bool
    dated_at: datetime | None
    sender: str
    name: str
    """Distinguishes records: a correlation id ends in it, an agreement text is it."""
    spelling: int
    """What has no meaning: letter case, extra fields, the ways to leave a date out."""
    flaws: frozenset[str]


@dataclass(frozen=True)
class Entry:
    """A record as one wire spells it, and what the contract says of it."""

    sent: Any
    faults: tuple[tuple[str, str], ...]
    """Field to message, in field order, the date in the future apart."""
    dated_at: datetime | None
    sender: str
    contact: str
    status: str
    evidence: dict[str, str]
    phone_number_id: str | None = None
    correlation_id: str | None = None
    text: str | None = None

    @cached_property
    def content(self) -> str:
        """Everything but the receipt; the correlation id only where there is no date."""
        apart = None if self.dated_at else self.correlation_id
        parts = [
            self.sender,
            self.contact,
            self.status,
            self.evidence,
            self.phone_number_id,
            apart,
        ]
        return json.dumps(parts, sort_keys=True)


def attested_entry(draft: Draft) -> Entry:
    """Spell a draft for the attested wire."""
    method = "verbal" if draft.spelling % 2 else "checkbox"
    evidence: dict[str, Any] = {
        "ip_address": "203.0.113.42",
        "agreement_text": draft.name,
        "consent_method": method,
    }
    if method == "checkbox":
        evidence |= {"user_agent": "Mozilla/5.0", "form_url": "https://example.com/signup"}
    if draft.dated_at:
        evidence["captured_at"] = timestamp(draft.dated_at)
    sent: dict[str, Any] = {
        "phone_number_id": OWNED.upper() if draft.spelling % 3 else OWNED,
        "contact_number": draft.contact,
        "opted_in": draft.opted_in,
        "evidence": evidence,
    }
    proof = {name: text for name, text in evidence.items() if name != "agreement_text"}
    proof["agreement_text_hash"] = sha256(draft.name.encode()).hexdigest()
    faults: list[tuple[str, str]] = []
    for part, path in ATTESTED_FIELDS.items():
        if part in draft.flaws:
            value, message = ATTESTED_FLAWS[part]
            holder, name = (evidence, path[9:]) if "." in path else (sent, path)
            holder[name] = value
            faults.append((path, message))
        elif part == "date" and draft.dated_at is None:
            faults.append((path, "is required"))
    if draft.spelling % 5 == 1:
        sent["note"] = evidence["note"] = "ignored"
    if NOT_AN_OBJECT in draft.flaws:
        sent, faults = [7], [("", "must be an object")]  # type: ignore[assignment]
    return Entry(
        sent=sent,
        faults=tuple(faults),
        dated_at=None if "date" in draft.flaws else draft.dated_at,
        sender=PHONE_NUMBER,
        contact=draft.contact,
        status="opt-in" if draft.opted_in else "opt-out",
        evidence=proof,
        phone_number_id=OWNED,
        text=draft.name,
    )


def bulk_consents_entry(draft: Draft) -> Entry:
    """Spell a draft for the bulk-consents wire."""
    correlation_id = sha256(draft.name.encode()).hexdigest()[:32]
    sent: Any = {
        "correlation_id": correlation_id,
        "sender_id": draft.sender,
        "contact_id": draft.contact,
        "status": "opt-in" if draft.opted_in else "opt-out",
        "source": "website",
    }
    evidence = {"source": "website"}
    if draft.dated_at:
        sent["date_of_consent"] = evidence["date_of_consent"] = timestamp(draft.dated_at)
    elif draft.spelling % 3:
        sent["date_of_consent"] = None if draft.spelling % 3 == 1 else ""
    if draft.spelling % 5 == 1:
        sent["note"] = "ignored"
    wrong = [part for part in BULK_CONSENTS_FIELDS if part in draft.flaws]
    sent |= {BULK_CONSENTS_FIELDS[part]: BULK_CONSENTS_FLAWS[part] for part in wrong}
    if NOT_AN_OBJECT in draft.flaws:
        sent, wrong = None, [part for part in BULK_CONSENTS_FIELDS if part != "date"]
    names = [BULK_CONSENTS_FIELDS[part] for part in wrong]
    return Entry(
        sent=sent,
        faults=tuple((name, f"INVALID_{name.upper()}") for name in names),
        dated_at=None if "date" in draft.flaws else draft.dated_at,
        sender=draft.sender,
        contact=draft.contact,
        status="opt-in" if draft.opted_in else "opt-out",
        evidence=evidence,
        correlation_id=correlation_id,
    )


@dataclass(frozen=True)
class Call:
    """A request: its route, its records, and its idempotency key if it has one."""

    route: str
    entries: tuple[Entry, ...]
    key: str | None
    padding: str = ""
    """Bytes that make another body of the same records."""

    @property
    def body(self) -> str:
        """The body as text, before it is encoded by anybody."""
        values = [entry.sent for entry in self.entries]
        if self.route == ATTESTED:
            return json.dumps({"records": values}) + self.padding
        if self.route == SINGLE:
            return json.dumps(values[0]) + self.padding
        items = [("Items", "no JSON" if value is None else json.dumps(value)) for value in values]
        return urlencode(items) + ("&Other=1" if self.padding else "")

    def changes(self, *, encoded: bool, quoted: bool) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the headers and the fields of its event, spelled in one of the ways allowed."""
        headers = {}
        if self.key is not None:
            headers["Idempotency-Key"] = f'"{self.key}"' if quoted else self.key
        body = b64encode(self.body.encode()).decode() if encoded else self.body
        return headers, {"body": body, "isBase64Encoded": encoded}


@dataclass(frozen=True)
class Faults:
    """What fails during one call: in the ledger, in the bucket's table, in the keys' table."""

    ledger: str | None = None
    victim: str = ""
    """The contact whose statements the ledger's fault befalls, where it befalls some."""
    bucket: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Expected:
    """The response that the contract expects. `code` is that of a rejected request."""

    status: int
    body: Any = None
    code: str | int | None = None
    retry_after: int | None = None
    replayed: bool = False
    final: bool = False


@dataclass(frozen=True)
class Kept:
    """A record in the ledger, under its first receipt."""

    entry: Entry
    route: str
    received_at: datetime
    request_id: str

    @property
    def effective_at(self) -> datetime:
        """Its date, but never later than the receipt."""
        return min(self.entry.dated_at or self.received_at, self.received_at)

    @property
    def rank(self) -> tuple[str, str]:
        """The latest counts, and at the same instant opt-out wins."""
        return timestamp(self.effective_at), self.entry.status


@dataclass
class Claim:
    """An idempotency key in use: its body, and the response kept for it."""

    body: str
    expected: Expected | None = None
    text: str = ""


REFUSED: dict[str, tuple[tuple[int, int], tuple[int, str]]] = {
    "shape": ((400, 20001), (422, "VALIDATION_FAILED")),
    "reused": ((422, 20001), (422, "IDEMPOTENCY_KEY_REUSED")),
    "running": ((409, 20409), (409, "IDEMPOTENCY_IN_PROGRESS")),
    "spent": ((429, 20429), (429, "RATE_LIMITED")),
    "unavailable": ((503, 20503), (503, "UNAVAILABLE")),
    "bug": ((500, 20500), (500, "INTERNAL")),
    "malformed": ((400, 0), (400, "INVALID_INPUT")),
    "not found": ((404, 0), (404, "NOT_FOUND")),
    "invalid": ((422, 0), (422, "VALIDATION_FAILED")),
}
"""Status and code of a refused request, on the bulk-consents wire and on the attested one."""


def refused(call: Call, why: str, retry_after: int | None = None) -> Expected:
    """Return the refusal of a whole request in the words of its wire."""
    status, code = REFUSED[why][0 if call.route == BULK_CONSENTS else 1]
    return Expected(status, code=code, retry_after=retry_after)


@dataclass
class Model:
    """One organization: its ledger, its bucket, its idempotency keys, and the clock."""

    per_minute: int
    now: datetime
    full_at: Fraction = Fraction(0)
    """When the bucket is full again, in seconds since 1970."""
    drawn: int = 0
    ledger: dict[str, Kept] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    """Agreement texts that the ledger said it holds."""
    keys: dict[tuple[str, str], Claim] = field(default_factory=dict)

    @property
    def seconds(self) -> Fraction:
        """The clock, in seconds since 1970, exactly."""
        return Fraction(round(self.now.timestamp() * 10**6), 10**6)

    @property
    def lead(self) -> Fraction:
        """Seconds until the bucket is full."""
        return max(self.full_at - self.seconds, Fraction(0))

    def level(self) -> tuple[int, int]:
        """Return records left, and whole seconds until the bucket is full."""
        left = self.per_minute - self.lead * self.per_minute / WINDOW
        return max(floor(left), 0), ceil(self.lead)

    def history(self, contact: str) -> list[Kept]:
        """Return the contact's records."""
        return [kept for kept in self.ledger.values() if kept.entry.contact == contact]

    def current(self, sender: str, contact: str) -> Kept | None:
        """Return the record that counts."""
        mine = (kept for kept in self.history(contact) if kept.entry.sender == sender)
        return max(mine, key=lambda kept: kept.rank, default=None)

    def take(
        self, call: Call, faults: Faults, request_id: str, text: str, *, was_drawn: bool
    ) -> Expected:
        """Return the response to a request, and change what it changes.

        `text` is the body that a repeat of its key must see again. `was_drawn` says of a spending
        whose answer was lost for good whether the table had applied it.
        """
        if call.route == SINGLE and not isinstance(call.entries[0].sent, dict):
            return refused(call, "malformed")
        if not 1 <= len(call.entries) <= self.per_minute:
            return refused(call, "shape")
        if call.key is None:
            return self._work(call, faults, request_id, was_drawn=was_drawn)
        slot = (call.route, call.key)
        known = self.keys.get(slot)
        if faults.key in ("claim dead", "claim lost for good"):
            if known is None and faults.key == "claim lost for good":
                self.keys[slot] = Claim(call.body)
            return refused(call, "unavailable", 1)
        if known:
            if known.body != call.body:
                return refused(call, "reused")
            return (
                replace(known.expected, replayed=True)
                if known.expected
                else refused(call, "running", 1)
            )
        expected = self._work(call, faults, request_id, was_drawn=was_drawn)
        if expected.final and faults.key == "completion dead":
            self.keys[slot] = Claim(call.body)
        elif expected.final:
            self.keys[slot] = Claim(call.body, expected, text)
        elif faults.key == "release dead":
            self.keys[slot] = Claim(call.body)
        return expected

    def _work(self, call: Call, faults: Faults, request_id: str, *, was_drawn: bool) -> Expected:
        records = len(call.entries)
        if faults.bucket == "dead":
            return refused(call, "unavailable", 1)
        if faults.bucket == "lost for good":
            if was_drawn:
                self._draw(records)
            return refused(call, "unavailable", 1)
        wait = self._draw(records)
        if wait:
            return refused(call, "spent", wait)
        readings = self._read(call)
        if call.route == SINGLE and readings[0]:
            only_unknown = readings[0] == [("phone_number_id", "not found")]
            return refused(call, "not found" if only_unknown else "invalid")
        return self._store(call, faults, request_id, readings)

    def _draw(self, records: int) -> int:
        """Take records out of the bucket; return 0, or seconds until it holds as many."""
        now, price = self.seconds, Fraction(records * WINDOW, self.per_minute)
        if self.full_at > now + 2 * WINDOW:  # under a clock that has been set back since
            self.full_at = now + WINDOW
        after = max(self.full_at, now) + price
        if after > now + WINDOW:
            return ceil(after - WINDOW - now)
        self.full_at = after
        self.drawn += records
        return 0

    def _read(self, call: Call) -> list[list[tuple[str, str]]]:
        """Return the faults of each record at this receipt."""
        if call.route != BULK_CONSENTS:
            return [self._attested_faults(entry) for entry in call.entries]
        seen: set[str | None] = set()
        readings = []
        for entry in call.entries:
            faults = dict(entry.faults)
            if entry.dated_at and entry.sent and entry.dated_at > self.now + CLOCK_SKEW:
                faults["date_of_consent"] = "INVALID_DATE_OF_CONSENT"
            correlation_id = entry.sent and entry.sent["correlation_id"]
            if correlation_id in seen:
                faults["correlation_id"] = "INVALID_CORRELATION_ID"
            elif "correlation_id" not in faults:
                seen.add(correlation_id)
            order = BULK_CONSENTS_FIELDS.values()
            readings.append([(name, faults[name]) for name in order if name in faults])
        return readings

    def _attested_faults(self, entry: Entry) -> list[tuple[str, str]]:
        faults = dict(entry.faults)
        if entry.dated_at and "" not in faults and entry.dated_at > self.now + CLOCK_SKEW:
            faults["evidence.captured_at"] = "must not be in the future"
        order = ["", *ATTESTED_FIELDS.values()]
        return [(name, faults[name]) for name in order if name in faults]

    def _store(
        self,
        call: Call,
        faults: Faults,
        request_id: str,
        readings: Sequence[Sequence[tuple[str, str]]],
    ) -> Expected:
        sound = [e for e, reading in zip(call.entries, readings, strict=True) if not reading]
        if call.route == SINGLE and faults.ledger == "reads dead":
            return refused(call, "unavailable", 1)
        if sound and faults.ledger == "bug":
            return refused(call, "bug")
        before = self.current(call.entries[0].sender, call.entries[0].contact)
        is_lost = self._insert(call, sound, faults, request_id)
        if sound and all(is_lost(entry) for entry in sound):
            return refused(call, "unavailable", 1)
        lost = [not r and is_lost(e) for e, r in zip(call.entries, readings, strict=True)]
        if call.route == SINGLE:
            return Expected(
                201,
                {
                    "agreement_text_hash": call.entries[0].evidence["agreement_text_hash"],
                    "already_opted_in": before is not None and before.entry.status == "opt-in",
                },
                final=True,
            )
        if call.route == ATTESTED:
            return Expected(200, _batch(readings, lost), final=not any(lost))
        return Expected(201, _items(call.entries, readings, lost), final=not any(lost))

    def _insert(
        self, call: Call, sound: Iterable[Entry], faults: Faults, request_id: str
    ) -> "Losses":
        """Store the sound records, and return which of them the caller hears are not."""
        new = {entry.text for entry in sound if entry.text is not None} - self.texts
        if faults.ledger == "dead" or (faults.ledger == "lost for good" and new):
            return Losses(everything=True)
        losses = Losses(everything=faults.ledger == "lost for good")
        if faults.ledger == "texts refused":
            losses.texts = frozenset(new)
        else:
            self.texts |= {text for text in new if text}
        if faults.ledger in ("refused", "throttled for good"):
            losses.contact = faults.victim
        for entry in sound:
            if losses.contact == entry.contact or entry.text in losses.texts:
                continue
            kept = Kept(entry, call.route, self.now, request_id)
            self.ledger.setdefault(entry.content, kept)
        return losses


@dataclass
class Losses:
    """Which records a caller hears are not stored."""

    everything: bool = False
    contact: str | None = None
    texts: frozenset[str | None] = frozenset()

    def __call__(self, entry: Entry) -> bool:
        """Return whether a record is one of them."""
        return self.everything or entry.contact == self.contact or entry.text in self.texts


def _batch(readings: Sequence[Sequence[tuple[str, str]]], lost: Sequence[bool]) -> Any:
    rejected = []
    for index, (reading, is_lost) in enumerate(zip(readings, lost, strict=True)):
        if is_lost:
            reason = "may not have been stored; repeat the same call"
            rejected.append({"index": index, "code": "UNAVAILABLE", "reason": reason})
        elif reading:
            unknown = reading == [("phone_number_id", "not found")]
            code = "NOT_FOUND" if unknown else "VALIDATION_FAILED"
            reason = "; ".join(f"{path}: {text}" if path else text for path, text in reading)
            rejected.append({"index": index, "code": code, "reason": reason})
    return {"accepted": len(readings) - len(rejected), "rejected": rejected}


def _items(
    entries: Sequence[Entry],
    readings: Sequence[Sequence[tuple[str, str]]],
    lost: Sequence[bool],
) -> Any:
    items = []
    for entry, reading, is_lost in zip(entries, readings, lost, strict=True):
        tokens = ["INTERNAL_SERVER_ERROR"] if is_lost else [token for _, token in reading]
        correlation_id = entry.sent["correlation_id"] if entry.sent else None
        items.append(
            {
                "correlation_id": correlation_id,
                "error_code": 30646 if tokens else 0,
                "error_messages": tokens,
            }
        )
    return {"items": items}
