"""A consent record: its identity (digest), and which of several counts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal, NamedTuple, Protocol

import orjson

EVERY_SENDER = "*"
"""The sender of a record that is about every sender of the organization, also a later one."""

_KNOWN_TEXTS = 256
"""A batch has few agreement texts; the longest take 10 MiB."""


class Status(StrEnum):
    """What the contact decided. Opt-out sorts last: at one instant it wins."""

    OPT_IN = "opt-in"
    OPT_OUT = "opt-out"


class Wire(StrEnum):
    """The format that a record arrived in."""

    ATTESTED = "attested"
    BULK_CONSENTS = "bulk-consents"


REVOCATION: Final = "revocation"
"""The origin of a record that revokes: of neither format, and of no file."""

HOSTED: Final = "hosted"
"""The origin of a record that a visitor of a hosted form made: of neither format, of no file."""

DOUBLE_OPT_IN: Final = "double-opt-in"
"""The origin of a record that a contact's answer to a challenge made."""

INBOUND: Final = "inbound"
"""The origin of a record that a contact's text made: STOP, or START after it."""

type Origin = Wire | Literal["revocation", "hosted", "double-opt-in", "inbound"]
"""Where a record comes from."""


def origin(text: str) -> Origin:
    """Return the origin that a text names."""
    match text:
        case "revocation" | "hosted" | "double-opt-in" | "inbound":
            return text
        case _:
            return Wire(text)


@dataclass(frozen=True, slots=True)
class Receipt:
    """When a request was received, and its request id."""

    received_at: datetime
    request_id: str


class ConsentRecord(NamedTuple):
    """One organization may, or may not, message a contact from a sender; and the evidence.

    `dated_at` is the instant that the caller sent, in UTC, or None. `evidence` is kept as sent,
    except for `agreement_text`, which it names by its hash. `not_before` is the effective time of
    what a revocation without a date revokes: it counts no earlier.
    """

    wire: Origin
    sender: str
    contact: str
    status: Status
    dated_at: datetime | None
    evidence: Mapping[str, str]
    phone_number_id: str | None = None
    correlation_id: str | None = None
    agreement_text: str | None = None
    not_before: datetime | None = None

    def digest(self) -> str:
        """Return 128 bits, in hex, of the SHA-256 of the content: everything but the receipt.

        A correlation id is content only where there is no date: there only it distinguishes a
        repeat from a new decision.
        """
        content = {
            "wire": self.wire,
            "sender": self.sender,
            "contact": self.contact,
            "status": self.status,
            "evidence": self.evidence,
            "phone_number_id": self.phone_number_id,
            "correlation_id": None if self.dated_at else self.correlation_id,
        }
        return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as the ledger holds it, with its receipt and the instant from which it counts.

    `effective_at` and `received_at` are in `timestamp` form, so that their order as text is their
    order in time. `record_id` is the digest of the content.
    """

    wire: Origin
    sender: str
    contact: str
    status: Status
    effective_at: str
    received_at: str
    request_id: str
    evidence: Mapping[str, str]
    phone_number_id: str | None
    correlation_id: str | None
    record_id: str


class Statement(Protocol):
    """What a decision needs to know of a stored record."""

    @property
    def sender(self) -> str: ...
    @property
    def status(self) -> Status: ...
    @property
    def effective_at(self) -> str: ...
    @property
    def received_at(self) -> str: ...
    @property
    def record_id(self) -> str: ...


def effective_at[Instant: (datetime, str)](
    dated_at: Instant | None, received_at: Instant, not_before: Instant | None = None
) -> Instant:
    """Return the instant from which a record counts: its date, but never later than the receipt.

    Without a date it is the receipt, or `not_before` if that is later. Instants may all be in
    `timestamp` form.
    """
    if dated_at is not None:
        return min(dated_at, received_at)
    return max(received_at, not_before or received_at)


def weight(record: Statement) -> tuple[str, Status, str]:
    """Return what orders records by effect: the greatest of those that speak decides.

    By effective time; at one instant an opt-out is greater, then the greater id.
    """
    return record.effective_at, record.status, record.record_id


def newest_first[S: Statement](records: Iterable[S]) -> list[S]:
    """Return the records by effective time, latest first; at one instant the opt-outs lead."""
    return sorted(records, key=weight, reverse=True)


def current[S: Statement](records: Iterable[S]) -> S | None:
    """Return the record that counts among those that speak about one sender and contact."""
    return max(records, key=weight, default=None)


def is_opt_in(record: Statement | None) -> bool:
    """Return whether the record that counts says opt-in; False without a record."""
    return record is not None and record.status is Status.OPT_IN


def timestamp(at: datetime) -> str:
    """Return an instant as fixed-width UTC with microseconds: order as text is order in time."""
    text = orjson.dumps(at.astimezone(UTC), option=orjson.OPT_UTC_Z)[1:-1].decode()
    return text if at.microsecond else f"{text[:-1]}.000000Z"  # orjson omits zeros


@lru_cache(_KNOWN_TEXTS)
def text_hash(text: str) -> str:
    """Return the SHA-256, in hex, of a text in UTF-8."""
    return sha256(text.encode()).hexdigest()
