"""The bodies and parameters of the decision routes: parsed once, every fault collected.

An unknown member is a fault: a yes to a question that is half read would be worse than none.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consents.accounts.directory import Directory
from consents.domain import dates, formats
from consents.domain.errors import Invalid, NotFound
from consents.domain.record import EVERY_SENDER
from consents.http.json_api import parse_object
from consents.http.request import Request, not_known

MAX_BYTES = 256 * 1024
MAX_CONTACTS = 1000
DEFAULT_PAGE, MAX_PAGE = 20, 100

REQUIRED, NOT_AN_OBJECT = "is required", "must be an object"
ONE_OF = "name one of phone_number_id, sender_id"
ONE_OF_ALL = f"{ONE_OF}, all_senders"
MESSAGES: Mapping[str, str] = {
    "contact_number": "must be E.164",
    "phone_number_id": "must be a UUID",
    "sender_id": "must be E.164, a short code or a messaging service SID",
    "asked_at": "must be an RFC 3339 timestamp",
    "rules_version": "must be a whole number",
    "result": NOT_AN_OBJECT,
    "limit": f"must be 1..{MAX_PAGE}",
    "cursor": "must be a next_cursor of this list",
}

_LIMIT = re.compile("[0-9]{1,3}")
_POSITION = re.compile(r"[0-9TZ:.-]{27}#opt-(?:in|out)#[0-9a-f]{32}")

_NO_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)

type Faults = dict[str, str]


@dataclass(frozen=True, slots=True)
class SenderName:
    """How a request names its sender: by one of the two, or `*`."""

    phone_number_id: str | None = None
    sender_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender as the response shows it."""

    sender_id: str
    phone_number_id: str | None

    @property
    def key(self) -> str:
        """The sender as the ledger spells it."""
        return formats.canonical_sender(self.sender_id)


@dataclass(frozen=True, slots=True)
class CheckQuestion:
    """Which contacts, for which sender. The contacts are not validated."""

    sender: SenderName
    contacts: list[Any]


@dataclass(frozen=True, slots=True)
class VerifyQuestion:
    """A decision as a caller kept it. `asked_at` is as sent; `at` is its instant."""

    sender: SenderName
    asked_at: str
    at: datetime
    rules_version: int
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SearchQuestion:
    """A contact, perhaps one sender, and a page."""

    contact: str
    sender: SenderName | None
    limit: int
    cursor: str | None


# ---------------------------------------------------------------- Whole bodies


def parse_check(request: Request) -> CheckQuestion:
    """Return the question of a check.

    Raises:
        UnsupportedMediaType, MalformedBody: as for every JSON body.
        Invalid: some members or parameters break their rule, or the contacts the allowance.
    """
    sent, faults = _members(request, {"contact_numbers", "phone_number_id", "sender_id"})
    contacts = contacts_of(sent, faults)
    sender = sender_of(sent, faults)
    refuse(faults)
    check_allowance(len(contacts), request.allowance)
    return CheckQuestion(sender, contacts)


def parse_verify(request: Request) -> VerifyQuestion:
    """Return a decision to verify; raise Invalid for all faults of the body."""
    names = ("asked_at", "phone_number_id", "sender_id", "rules_version", "result")
    sent, faults = _members(request, names)
    at = _instant(sent, faults)
    sender = sender_of(sent, faults)
    version, result = sent.get("rules_version"), sent.get("result")
    if not isinstance(version, int) or isinstance(version, bool):
        faults["rules_version"] = _fault(sent, "rules_version")
    if not isinstance(result, dict):
        faults["result"] = _fault(sent, "result")
    refuse(faults)
    return VerifyQuestion(sender, sent["asked_at"], at, sent["rules_version"], sent["result"])


def parse_search(request: Request) -> SearchQuestion:
    """Return whose consents to search; raise Invalid for all faults of the body."""
    names = ("contact_number", "phone_number_id", "sender_id", "limit", "cursor")
    sent, faults = _members(request, names)
    contact = sent.get("contact_number")
    if not formats.is_contact(contact):
        faults["contact_number"] = _fault(sent, "contact_number")
    names_sender = "phone_number_id" in sent or "sender_id" in sent
    sender = sender_of(sent, faults) if names_sender else None
    limit, cursor = sent.get("limit", DEFAULT_PAGE), sent.get("cursor")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_PAGE:
        faults["limit"] = MESSAGES["limit"]
    if "cursor" in sent and not isinstance(cursor, str):
        faults["cursor"] = MESSAGES["cursor"]
    refuse(faults)
    return SearchQuestion(sent["contact_number"], sender, limit, cursor)


def parse_page(request: Request) -> tuple[int, str | None]:
    """Return the size of a page of a history, and the position after which it begins.

    Raises:
        Invalid: a parameter breaks its rule, or is unknown.
    """
    faults = request.unknown_query({"limit", "cursor"})
    limit, cursor = request.query("limit"), request.query("cursor")
    size = DEFAULT_PAGE
    if limit is not None:
        size = int(limit) if _LIMIT.fullmatch(limit) else 0
    if not 1 <= size <= MAX_PAGE:
        faults["limit"] = MESSAGES["limit"]
    position = None if cursor is None else _position(cursor)
    if cursor is not None and position is None:
        faults["cursor"] = MESSAGES["cursor"]
    refuse(faults)
    return size, position


def check_no_query(request: Request) -> None:
    """Raise Invalid for any query parameter."""
    refuse(request.unknown_query())


# ---------------------------------------------------------------- Parts of bodies


def refuse(faults: Faults) -> None:
    """Raise Invalid if there are faults."""
    if faults:
        raise Invalid(faults)


def check_allowance(contacts: int, allowance: int) -> None:
    """Raise Invalid if a bucket never holds so many contacts."""
    if contacts > allowance:
        hint = f"{contacts} exceed the allowance of {allowance} a minute: split the batch"
        raise Invalid({"contact_numbers": hint})


def contacts_of(sent: Mapping[str, Any], faults: Faults) -> list[Any]:
    """Return the contacts of a body, not validated."""
    contacts = sent.get("contact_numbers")
    if "contact_numbers" not in sent:
        faults["contact_numbers"] = REQUIRED
    elif not isinstance(contacts, list):
        faults["contact_numbers"] = "must be an array"
    elif not 1 <= len(contacts) <= MAX_CONTACTS:
        faults["contact_numbers"] = f"must hold 1..{MAX_CONTACTS} contacts, got {len(contacts)}"
    return contacts if isinstance(contacts, list) else []


def sender_of(sent: Mapping[str, Any], faults: Faults) -> SenderName:
    """Return the sender of a body, which is named by exactly one member."""
    phone_number_id, sender_id = sent.get("phone_number_id"), sent.get("sender_id")
    if ("phone_number_id" in sent) == ("sender_id" in sent):
        faults["phone_number_id"] = ONE_OF
    elif "sender_id" in sent:
        if formats.is_sender_id(sender_id):
            return SenderName(sender_id=sender_id)
        faults["sender_id"] = MESSAGES["sender_id"]
    elif formats.is_uuid(phone_number_id):
        return SenderName(phone_number_id=phone_number_id.lower())
    else:
        faults["phone_number_id"] = MESSAGES["phone_number_id"]
    return SenderName()


def resolve(name: SenderName, org_id: str, directory: Directory) -> Sender:
    """Return the sender that a request names.

    Raises:
        NotFound: the organization does not own the phone number id.
    """
    if name.phone_number_id is None:
        return Sender(name.sender_id or EVERY_SENDER, None)
    numbers = directory.senders(org_id, [name.phone_number_id])
    if name.phone_number_id not in numbers:
        raise NotFound
    return Sender(numbers[name.phone_number_id], name.phone_number_id)


def cursor_of(position: str) -> str:
    """Return the cursor of a page of a history that begins after a position."""
    return urlsafe_b64encode(position.encode()).decode()


def _members(request: Request, known: Collection[str]) -> tuple[dict[str, Any], Faults]:
    """Return the members of a body, and the faults of its and the query's names."""
    sent = parse_object(request.body, request.content_type)
    return sent, not_known(sent, known) | request.unknown_query()


def _fault(sent: Mapping[str, Any], name: str) -> str:
    return MESSAGES[name] if name in sent else REQUIRED


def _instant(sent: Mapping[str, Any], faults: Faults) -> datetime:
    try:
        return dates.rfc3339(sent.get("asked_at"))
    except ValueError:
        faults["asked_at"] = _fault(sent, "asked_at")
        return _NO_INSTANT


def _position(cursor: str) -> str | None:
    try:
        position = urlsafe_b64decode(cursor).decode()
    except ValueError:  # not base64, or not UTF-8
        return None
    return position if _POSITION.fullmatch(position) else None
