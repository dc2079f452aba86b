"""The bodies and responses of the routes that revoke."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from consents.decisions import api
from consents.decisions.consent_ids import ConsentIds, Pair
from consents.decisions.revoke import Revoked
from consents.domain import dates, formats
from consents.domain.outcome import Fault, Outcome, Rejected, Stored
from consents.domain.record import EVERY_SENDER
from consents.http import json_text, rejections
from consents.http.idempotency import Replay
from consents.http.json_api import parse_object
from consents.http.request import Request, not_known
from consents.http.response import Response


class Method(StrEnum):
    """How a contact revoked; the law allows any means."""

    SMS_KEYWORD = "sms_keyword"
    REPLY = "reply"
    WEB = "web"
    EMAIL = "email"
    PHONE = "phone"
    LETTER = "letter"
    IN_PERSON = "in_person"
    OTHER = "other"


MAX_TEXT = 1000
MESSAGES: Mapping[str, str] = {
    "evidence.revoked_at": "must be an RFC 3339 timestamp",
    "evidence.method": "must be one of " + ", ".join(Method),
    "evidence.text": f"must be 1..{MAX_TEXT} chars",
}
_FUTURE = "must not be in the future"
_NOT_E164 = Rejected(
    "VALIDATION_FAILED", (Fault("contact_number", api.MESSAGES["contact_number"]),)
)


@dataclass(frozen=True, slots=True)
class RevokeRequest:
    """Which contacts revoked, for which sender, and how. The contacts are not validated."""

    contacts: list[Any]
    sender: api.SenderName
    revoked_at: datetime | None
    evidence: Mapping[str, str]


def parse_revoke(request: Request) -> RevokeRequest:
    """Return who revoked and how.

    Raises:
        UnsupportedMediaType, MalformedBody: as for every JSON body.
        Invalid: some members or parameters break their rule, or the contacts the allowance.
    """
    sent = parse_object(request.body, request.content_type)
    known = {"contact_numbers", "phone_number_id", "sender_id", "all_senders", "evidence"}
    faults = not_known(sent, known) | request.unknown_query({"dry_run"})
    contacts = api.contacts_of(sent, faults)
    sender = _sender(sent, faults)
    revoked_at = _evidence(sent, faults, request.receipt.received_at)
    api.refuse(faults)
    api.check_allowance(len(contacts), request.allowance)
    return RevokeRequest(contacts, sender, revoked_at, sent["evidence"])


def _sender(sent: Mapping[str, Any], faults: api.Faults) -> api.SenderName:
    named = [name for name in ("phone_number_id", "sender_id", "all_senders") if name in sent]
    if len(named) != 1 or sent.get("all_senders", True) is not True:
        faults["all_senders"] = api.ONE_OF_ALL
        return api.SenderName()
    if named == ["all_senders"]:
        return api.SenderName(sender_id=EVERY_SENDER)
    return api.sender_of(sent, faults)


def _evidence(sent: Mapping[str, Any], faults: api.Faults, now: datetime) -> datetime | None:
    """Return when the contacts revoked, if the evidence says so."""
    evidence = sent.get("evidence")
    if not isinstance(evidence, dict):
        faults["evidence"] = api.NOT_AN_OBJECT if "evidence" in sent else api.REQUIRED
        return None
    unknown = not_known(evidence, {"revoked_at", "method", "text"})
    faults |= {f"evidence.{name}": message for name, message in unknown.items()}
    if "method" not in evidence:
        faults["evidence.method"] = api.REQUIRED
    elif evidence["method"] not in list(Method):
        faults["evidence.method"] = MESSAGES["evidence.method"]
    if "text" in evidence and not _is_text(evidence["text"]):
        faults["evidence.text"] = MESSAGES["evidence.text"]
    return _revoked_at(evidence, faults, now) if "revoked_at" in evidence else None


def _revoked_at(evidence: Mapping[str, Any], faults: api.Faults, now: datetime) -> datetime | None:
    try:
        at = dates.rfc3339(evidence["revoked_at"])
    except ValueError:
        faults["evidence.revoked_at"] = MESSAGES["evidence.revoked_at"]
        return None
    if dates.is_in_the_future(at, now):
        faults["evidence.revoked_at"] = _FUTURE
    return at


def _is_text(value: Any) -> bool:
    """Return whether a value is a text that UTF-8 can hold, and not too long."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT:
        return False
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


# ---------------------------------------------------------------- Responses


class Renderer:
    """Renders revocations, each with the id of its consent."""

    def __init__(self, consent_ids: ConsentIds) -> None:
        self._consent_ids = consent_ids

    def revoked(
        self, org_id: str, sender: str, contacts: Sequence[Any], revoked: Mapping[str, Revoked]
    ) -> Response:
        """Return the revocations in the order of the input, and what was rejected."""
        outcomes = [_outcome(contact, revoked) for contact in contacts]
        results = [
            self._result(index, org_id, sender, revoked[contacts[index]])
            for index, outcome in enumerate(outcomes)
            if outcome is Stored.ACCEPTED
        ]
        body = {
            "revoked": sum(not result["opted_in"] for result in results),
            "rejected": rejections.listed(outcomes),
            "results": results,
        }
        is_final = Stored.UNAVAILABLE not in outcomes
        return Response(200, json_text.indented(body), final=is_final, outcomes=outcomes)

    def _result(self, index: int, org_id: str, sender: str, revoked: Revoked) -> dict[str, Any]:
        return {
            "index": index,
            "consent_id": self._consent_ids.seal(org_id, sender, revoked.contact),
            "opted_in": revoked.opted_in,
            "record_id": revoked.record_id,
            "effective_at": revoked.effective_at,
            "already_opted_out": revoked.already_opted_out,
        }


def _outcome(contact: Any, revoked: Mapping[str, Revoked]) -> Outcome:
    if not formats.is_contact(contact):
        return _NOT_E164
    return Stored.ACCEPTED if contact in revoked else Stored.UNAVAILABLE


# A kept response holds no phone number: the id in the path says whose consent it was.


def without_names(response: Response) -> Response:
    """Return the response about a consent without its sender and its contact."""
    return _renamed(response, None, None)


@contextmanager
def names_restored(pair: Callable[[], Pair]) -> Iterator[None]:
    """Add sender and contact to a response that is replayed in the `with` block."""
    try:
        yield
    except Replay as replay:
        raise Replay(_renamed(replay.response, *pair())) from None


def _renamed(response: Response, sender: str | None, contact: str | None) -> Response:
    consent = orjson.loads(response.body) | {"sender_id": sender, "contact_number": contact}
    return replace(response, body=json_text.indented(consent))
