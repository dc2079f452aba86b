"""The records of double opt-in: a confirmation, and what contacts text at any time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from consents.domain.record import (
    DOUBLE_OPT_IN,
    INBOUND,
    ConsentRecord,
    Status,
    StoredRecord,
    text_hash,
    timestamp,
)
from consents.opt_in.answer import Answer
from consents.opt_in.challenge import Challenge, Message

KEYWORD_METHOD = "sms_keyword"
_CONFIRMED_METHOD = "double_opt_in"

_MAX_REPLY_LENGTH = 160


@dataclass(frozen=True, slots=True)
class Reply:
    """A text that a contact sent. `at` is when the provider got it, or we did.

    `opt_out_type` is what the provider took it for, `messaging_service` the id of a group of
    numbers that the sender is one of.
    """

    provider: str
    message_id: str
    sender: str
    contact: str
    text: str
    at: datetime
    opt_out_type: str = ""
    messaging_service: str = ""

    @property
    def quoted(self) -> str:
        """The part of the text that evidence has."""
        return self.text[:_MAX_REPLY_LENGTH]


def confirmation(challenge: Challenge, message: Message, reply: Reply) -> ConsentRecord:
    """Return the opt-in that a reply to a challenge is."""
    evidence = {
        "provider": message.provider or reply.provider,
        "channel": "reply",
        "verified": "sms_reply",
        "reply_text": reply.quoted,
        "inbound_message_id": reply.message_id,
    }
    return _answered(challenge, message, Status.OPT_IN, reply.at, evidence)


def decision(challenge: Challenge, message: Message, answer: Answer) -> ConsentRecord:
    """Return the opt-in or opt-out that an answer on the page of a link is."""
    evidence = {
        "provider": message.provider or "-",
        "channel": "link",
        "verified": "sms_link",
        "ip_address": answer.ip_address,
        "user_agent": answer.user_agent,
        "form_url": answer.form_url,
        "page_hash": answer.page_hash,
        "page_lang": answer.page_lang,
    }
    status = Status.OPT_IN if answer.agrees else Status.OPT_OUT
    return _answered(challenge, message, status, answer.at, evidence)


def stops(reply: Reply) -> list[ConsentRecord]:
    """Return the opt-outs that a text is: from the number, and from its messaging service."""
    senders = filter(None, (reply.sender, reply.messaging_service))
    return [_keyword(replace(reply, sender=each), Status.OPT_OUT, "stop", {}) for each in senders]


def start(reply: Reply, revived: StoredRecord) -> ConsentRecord:
    """Return the opt-in that a text is: it revives an agreement of before."""
    agreed = {"agreement_text_hash": revived.evidence["agreement_text_hash"]}
    return _keyword(reply, Status.OPT_IN, "start", agreed)


def is_stop_by_text(record: StoredRecord) -> bool:
    """Return whether a record is an opt-out that the contact texted."""
    return record.wire == INBOUND and record.status is Status.OPT_OUT


def _answered(
    challenge: Challenge,
    message: Message,
    status: Status,
    at: datetime,
    observed: Mapping[str, str],
) -> ConsentRecord:
    """Return the record of an answer; `observed` is what only this way to answer has."""
    evidence = {
        "captured_at": timestamp(at),
        "agreement_text_hash": text_hash(challenge.agreement_text),
        "confirmation_text_hash": text_hash(challenge.kept_text),
        "consent_method": _CONFIRMED_METHOD,
        "consent_pending_id": challenge.challenge_id,
        "sent_at": timestamp(message.at),
        "provider_message_id": message.provider_message_id or "-",
        **observed,
        **({"reference": challenge.reference} if challenge.reference else {}),
        **{f"web_{name}": value for name, value in challenge.web.items()},
    }
    return ConsentRecord(
        DOUBLE_OPT_IN,
        challenge.sender,
        challenge.contact,
        status,
        at,
        evidence,
        challenge.phone_number_id,
        agreement_text=challenge.agreement_text,
    )


def _keyword(reply: Reply, status: Status, keyword: str, more: dict[str, str]) -> ConsentRecord:
    evidence = {
        "captured_at": timestamp(reply.at),
        "consent_method": KEYWORD_METHOD,
        "keyword": keyword,
        "reply_text": reply.quoted,
        "provider": reply.provider,
        "inbound_message_id": reply.message_id,
    }
    return ConsentRecord(INBOUND, reply.sender, reply.contact, status, reply.at, evidence | more)
