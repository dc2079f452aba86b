"""How the decision routes respond to the examples of the API description, over a small ledger."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, cast

from consents.decisions import api, check_api, revoke_api, search_api
from consents.decisions.check import Asker, check, valid_contacts
from consents.decisions.consent_ids import ConsentIds, Pair
from consents.decisions.decide import Question
from consents.decisions.decision_ids import Circumstances, DecisionIds
from consents.decisions.revoke import Revocation, Revoker
from consents.decisions.search import (
    find_consents,
    find_history,
    get_consent,
    page_after,
)
from consents.decisions.verify import replay
from consents.domain.errors import NotFound, RequestError
from consents.domain.organization import Bucket
from consents.domain.outcome import InsertResult
from consents.domain.record import (
    EVERY_SENDER,
    REVOCATION,
    ConsentRecord,
    Receipt,
    Status,
    StoredRecord,
    Wire,
    text_hash,
)
from consents.domain.rules import DEFAULT_RULES
from consents.http import json_api
from consents.http.request import Request, Stores
from consents.http.response import Response
from consents.proof import proof_api
from consents.proof.pack_store import LINK_LIFETIME
from consents.proof.proof_api import Link
from consents.proof.prove import Pack

from tests.factories import (
    NOW,
    ORG_ID,
    OWNED,
    RECEIPT,
    REQUEST_ID,
    SENDER,
    TEXT,
    caller,
    gateway_event,
    lambda_context,
    statement,
)

BOB, EVE = "+15554443333", "+15554443334"
CONSENT_IDS = ConsentIds(lambda: b"pepper")
DECISION_IDS = DecisionIds(lambda: b"pepper")
OPTED_IN_AT = datetime.fromisoformat("2026-04-26T12:00:00Z")
EVIDENCE = {
    "captured_at": "2026-04-26T12:00:00Z",
    "ip_address": "203.0.113.42",
    "user_agent": "Mozilla/5.0",
    "form_url": "https://example.com/signup",
    "consent_method": "checkbox",
    "agreement_text_hash": text_hash(TEXT),
}


def opted_in(contact: str, record_id: str) -> StoredRecord:
    return statement(
        Status.OPT_IN,
        OPTED_IN_AT,
        wire=Wire.ATTESTED,
        contact=contact,
        received_at=datetime.fromisoformat("2026-04-26T12:00:01.123456Z"),
        phone_number_id=OWNED,
        evidence=EVIDENCE,
        record_id=record_id,
    )


RECORDS = [
    opted_in(BOB, "0f3c5a1e9b7d42c68f1a0b2c3d4e5f60"),
    opted_in(EVE, "5d2e8b7c1a9f43e0b6c4d8f2a1e37095"),
    statement(
        Status.OPT_OUT,
        datetime.fromisoformat("2026-05-01T11:59:59Z"),
        EVERY_SENDER,
        wire=REVOCATION,
        contact=EVE,
        evidence={"method": "sms_keyword", "text": "STOP", "revoked_at": "2026-05-01T11:59:59Z"},
        record_id="77ab1c90de344f0f9a6be1d2c3b4a596",
        received_at=NOW,
    ),
]
"""One contact opted in; another did, and revoked for every sender."""


class SmallLedger:
    """The records above; it takes every record, and keeps none."""

    def records(self, contact: str) -> list[StoredRecord]:
        return [record for record in RECORDS if record.contact == contact]

    def statements(
        self, _org_id: str, contacts: Iterable[str], _time_left: Callable[[], float]
    ) -> dict[str, list[StoredRecord]]:
        return {contact: self.records(contact) for contact in contacts}

    def insert(
        self,
        _org_id: str,
        records: list[ConsentRecord],
        _receipt: Receipt,
        _time_left: Callable[[], float],
    ) -> list[InsertResult]:
        return [InsertResult.NEW] * len(records)


class OwnSenders:
    """The directory: the organization owns one phone number."""

    def senders(self, _org_id: str, phone_number_ids: Iterable[str]) -> dict[str, str]:
        return {name: SENDER for name in phone_number_ids if name == OWNED}


LEDGER, DIRECTORY = SmallLedger(), cast(Any, OwnSenders())
CONSENTS = search_api.Renderer(CONSENT_IDS)
BOBS = CONSENT_IDS.seal(ORG_ID, SENDER, BOB)


def request(
    body: bytes = b"",
    query: Mapping[str, str] | None = None,
    bucket: Bucket = Bucket.CONTACTS,
) -> Request:
    return Request(
        gateway_event("POST /", body.decode(), queryStringParameters=query),
        lambda_context(),
        caller(contacts_per_minute=600),
        RECEIPT,
        max_bytes=api.MAX_BYTES,
        stores=cast(Stores, None),
        bucket=bucket,
        takes_dry_run=bucket is Bucket.REVOCATIONS,
    )


def resolve(name: api.SenderName) -> api.Sender:
    return api.resolve(name, ORG_ID, DIRECTORY)


def check_consents(body: bytes) -> Response:
    question = api.parse_check(request(body))
    sender = resolve(question.sender)
    asker = Asker(ORG_ID, sender.key, DEFAULT_RULES)
    found = check(question.contacts, asker, LEDGER, now=NOW, time_left=lambda: 25)
    return check_api.Renderer(CONSENT_IDS, DECISION_IDS).check(found, asker, sender)


def verify_decision(body: bytes) -> Response:
    sent = api.parse_verify(request(body))
    sender = resolve(sent.sender)
    said = Circumstances(ORG_ID, sent.asked_at, sender.sender_id, sent.rules_version)
    if not DECISION_IDS.is_genuine(said, sent.result):
        return check_api.render_verified(None)
    contact = sent.result["contact_number"]
    question = Question(sender.key, contact, sent.at, DEFAULT_RULES)
    return check_api.render_verified(replay(LEDGER.records(contact), question, sent.result))


def search_consents(body: bytes) -> Response:
    question = api.parse_search(request(body))
    after = CONSENTS.sender_after(ORG_ID, question.contact, question.cursor)
    records = LEDGER.records(question.contact)
    found = find_consents(records, question.contact, DEFAULT_RULES, NOW)
    later = [consent for consent in found if consent.pair.sender > after]
    return CONSENTS.consents(ORG_ID, later, question.limit)


def make_proof(body: bytes) -> Response:
    """Return the response with the link to a pack of one byte."""
    proof_api.parse_question(request(body))
    pack = Pack(b"1", 300, {"verdict": "VERIFIED, WITH OPEN POINTS"})
    url = f"https://drops.example.com/proofs/{REQUEST_ID}.zip"
    return proof_api.render(REQUEST_ID, pack, Link(url, NOW + LINK_LIFETIME))


def get_bobs_consent() -> Response:
    pair = Pair(SENDER, BOB)
    return CONSENTS.consent(ORG_ID, get_consent(LEDGER.records(BOB), pair, DEFAULT_RULES, NOW))


def list_history(contact: str, limit: int = 20) -> Response:
    events = page_after(find_history(LEDGER.records(contact), SENDER, DEFAULT_RULES), None)
    return CONSENTS.history(ORG_ID, events, limit, lambda _, names: dict.fromkeys(names, TEXT))


def revoke_consents(body: bytes) -> Response:
    sent = revoke_api.parse_revoke(request(body, bucket=Bucket.REVOCATIONS))
    sender = resolve(sent.sender).key
    found = LEDGER.statements(ORG_ID, sorted(valid_contacts(sent.contacts)), lambda: 25)
    revoker = Revoker(ORG_ID, LEDGER, LEDGER, RECEIPT, lambda: 25)  # type: ignore[arg-type]
    revoked = revoker.revoke(found, Revocation(sender, sent.revoked_at, sent.evidence))
    return revoke_api.Renderer(CONSENT_IDS).revoked(ORG_ID, sender, sent.contacts, revoked)


def half_revoked() -> Response:
    """Return the response where the second of two contacts could not be stored."""
    body = {"contact_numbers": [BOB], "all_senders": True, "evidence": {"method": "reply"}}
    sent = revoke_api.parse_revoke(request(json.dumps(body).encode(), bucket=Bucket.REVOCATIONS))
    revoker = Revoker(ORG_ID, LEDGER, LEDGER, RECEIPT, lambda: 25)  # type: ignore[arg-type]
    found = LEDGER.statements(ORG_ID, [BOB], lambda: 25)
    revoked = revoker.revoke(found, Revocation(EVERY_SENDER, None, sent.evidence))
    return revoke_api.Renderer(CONSENT_IDS).revoked(ORG_ID, EVERY_SENDER, [BOB, EVE], revoked)


def revoke_bobs_consent() -> Response:
    """Return the consent as it is after a DELETE."""
    evidence = {"method": "api", "revokes": RECORDS[0].record_id}
    pair = Pair(SENDER, BOB)
    record = ConsentRecord(REVOCATION, SENDER, BOB, Status.OPT_OUT, None, evidence)
    stored = statement(Status.OPT_OUT, NOW, wire=REVOCATION, contact=BOB, record_id=record.digest())
    return CONSENTS.consent(ORG_ID, get_consent([RECORDS[0], stored], pair, DEFAULT_RULES, NOW))


def refused(error: Callable[[], object]) -> Response:
    """Return the response to the error that a call raises."""
    try:
        error()
    except RequestError as raised:
        return json_api.render_error(raised, REQUEST_ID)
    raise AssertionError("nothing was refused")


def _not_found() -> None:
    raise NotFound


unknown_id = partial(refused, _not_found)


def refused_page() -> Response:
    return refused(lambda: api.parse_page(request(query={"limit": "0", "cursor": "x"})))


def refused_query() -> Response:
    return refused(lambda: api.check_no_query(request(query={"limit": "5"})))
