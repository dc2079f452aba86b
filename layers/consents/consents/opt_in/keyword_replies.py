"""Answers to STOP and HELP, for senders whose provider does not answer them itself."""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol
from uuid import NAMESPACE_URL, uuid5

from consents.domain.record import Status, StoredRecord, timestamp
from consents.domain.sender_profile import SenderProfile
from consents.messages import numbers
from consents.messages.texts import help_text, stop_text
from consents.opt_in.challenge import Kind, Message, MessageState
from consents.opt_in.records import Reply

ANSWERED_WITHIN = timedelta(minutes=5)
"""A later answer to a STOP would need consent itself (47 CFR 64.1200(a)(12))."""


class History(Protocol):
    """The ledger, of which only the records of one contact are read."""

    def history(self, org_id: str, contact: str, sender: str | None = None) -> list[StoredRecord]:
        """Return a contact's records, of one sender or of all, newest first."""


class Texts(Protocol):
    """The texts to send."""

    def add_message(self, message: Message) -> None:
        """Store one more text; the same one again changes nothing."""


class KeywordReplies:
    """Answers keywords, each at most once: an answer's id follows from what it answers."""

    def __init__(
        self,
        profile: Callable[[str], SenderProfile | None],
        ledger: History,
        texts: Texts,
        enqueue: Callable[[str, Message], None],
    ) -> None:
        """`profile` returns the profile of the sender with a number."""
        self._profile = profile
        self._ledger = ledger
        self._texts = texts
        self._enqueue = enqueue

    def answer_stop(self, org_id: str, reply: Reply) -> None:
        """Answer a STOP, unless an earlier STOP took the same opt-in back."""
        history = self._ledger.history(org_id, reply.contact, reply.sender)
        sent_at = timestamp(reply.at)
        opt_ins = (
            record.record_id
            for record in history
            if record.status is Status.OPT_IN and record.effective_at <= sent_at
        )
        revoked = next(opt_ins, "-")
        answered = f"stop:{org_id}:{reply.sender}:{reply.contact}:{revoked}"
        self._answer(org_id, reply, answered, stop_text)

    def answer_help(self, org_id: str, reply: Reply) -> None:
        """Answer a HELP."""
        self._answer(org_id, reply, f"help:{reply.provider}:{reply.message_id}", help_text)

    def _answer(
        self, org_id: str, reply: Reply, answered: str, text: Callable[[SenderProfile], str]
    ) -> None:
        profile = self._profile(reply.sender)
        if profile is None or numbers.fault(reply.contact, reply.sender, profile.countries):
            return
        answer_id = str(uuid5(NAMESPACE_URL, answered))
        message = Message(
            message_id=answer_id,
            challenge_id=answer_id,  # of no challenge
            kind=Kind.KEYWORD,
            sender=reply.sender,
            contact=reply.contact,
            body=text(profile),
            state=MessageState.QUEUED,
            at=reply.at,
            expires_at=reply.at + ANSWERED_WITHIN,
        )
        self._texts.add_message(message)
        self._enqueue(org_id, message)
