"""Ask a contact by text message: one open challenge for a sender and a contact, one text."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import NAMESPACE_URL, uuid4, uuid5

from consents.aws import metrics
from consents.domain.errors import Invalid, OptedOut, RateLimited, Unavailable
from consents.domain.record import Receipt, Status, StoredRecord
from consents.domain.sender_profile import SenderProfile
from consents.messages import numbers
from consents.messages.texts import confirmation_text, welcome_text
from consents.opt_in import links, sms
from consents.opt_in.challenge import Challenge, Channel, Counted, Kind, Message, MessageState, Rate
from consents.opt_in.links import Link, LinkKeys
from consents.pages import languages

DEFAULT_SECONDS = 86_400
"""How long a challenge is open, unless the caller says otherwise."""

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller wants a contact to be asked; a text that is not set is empty."""

    phone_number_id: str
    sender: str
    contact: str
    agreement_text: str
    expires_in: timedelta
    confirmation_text: str = ""
    resends: bool = False
    locale: str = ""
    program: str = ""
    frequency: str = ""
    reference: str = ""
    channel: str = Channel.REPLY
    link: str = ""
    """The link without its secret, if the text has one."""
    web: Mapping[str, str] = field(default_factory=dict)
    """The evidence of the form that asks, if one does."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of a question. No challenge: the contact is opted in already."""

    challenge: Challenge | None
    message_id: str | None
    is_reused: bool
    is_sent: bool


class Challenges(Protocol):
    """Challenges and their texts."""

    def latest(self, org_id: str, sender: str, contact: str) -> Challenge | None:
        """Return the latest challenge of a contact, whatever its state, or None."""

    def messages(self, challenge_id: str) -> list[Message]:
        """Return the texts of a challenge, oldest first."""

    def open(
        self,
        challenge: Challenge,
        message: Message,
        latest: Challenge | None,
        now: datetime,
        *,
        link: Link | None,
    ) -> bool:
        """Store a challenge with its text and link, and return whether no other is open."""

    def add_message(self, message: Message) -> None:
        """Store one more text of a challenge."""

    def count(self, challenge: Challenge, counted: Counted) -> Rate:
        """Count a challenge to its country on its UTC day, and return the day's numbers."""


class Limits(Protocol):
    """How many texts an organization may send."""

    def take(self, org_id: str, contact: str, receipt: Receipt) -> None:
        """Count one text, or raise `RateLimited`."""


class Asker:
    """Opens challenges."""

    def __init__(
        self,
        challenges: Challenges,
        current: Callable[[str, str, str], StoredRecord | None],
        limits: Limits,
        enqueue: Callable[[str, Message], None],
        *,
        keys: LinkKeys,
    ) -> None:
        """`current` returns the record that counts; `enqueue` lets a text be sent."""
        self._challenges = challenges
        self._current = current
        self._limits = limits
        self._enqueue = enqueue
        self._keys = keys

    def ask(
        self, question: Question, org_id: str, profile: SenderProfile, receipt: Receipt
    ) -> Opened:
        """Ask a contact, or return what stands in the way.

        Raises:
            Invalid: the contact is not to be texted.
            OptedOut: the contact has opted out; only the contact can sign up again.
            RateLimited: too many texts; nothing was sent.
        """
        found = numbers.fault(question.contact, question.sender, profile.countries)
        if found:
            raise Invalid({"contact_number": found})
        record = self._current(org_id, question.sender, question.contact)
        if record is not None:
            if record.status is Status.OPT_OUT:
                raise OptedOut
            return Opened(None, None, is_reused=False, is_sent=False)
        return self._open(question, org_id, profile, receipt)

    def _open(
        self, question: Question, org_id: str, profile: SenderProfile, receipt: Receipt
    ) -> Opened:
        now, contact = receipt.received_at, (org_id, question.sender, question.contact)
        for _ in range(_TRIES):  # again only where another request opened one in between
            latest = self._challenges.latest(*contact)
            if latest is not None and latest.takes_answer(now):
                return self._reuse(latest, question, receipt)
            challenge = new_challenge(question, org_id, profile, now)
            try:
                self._limits.take(org_id, question.contact, _shared(receipt, question, latest))
            except RateLimited:
                if self._challenges.latest(*contact) == latest:
                    raise
                continue
            message = new_message(challenge, Kind.CONFIRMATION, now)
            link = self._link(challenge, question, profile)
            if self._challenges.open(challenge, message, latest, now, link=link):
                self._enqueue(org_id, message)
                if self._challenges.count(challenge, Counted.OPENED).is_low:
                    metrics.write({"MessagesUnconfirmed": 1})
                return Opened(challenge, message.message_id, is_reused=False, is_sent=True)
        raise Unavailable

    def ask_visitor(
        self,
        org_id: str,
        profile: SenderProfile,
        receipt: Receipt,
        *,
        web: Mapping[str, str],
        **fields: str,
    ) -> None:
        """Ask a visitor of a form, or not: nobody learns from the page who is signed up.

        `fields` are those of a question, `web` is the evidence of the form.
        """
        expires_in = timedelta(seconds=DEFAULT_SECONDS)
        question = Question(**fields, expires_in=expires_in, resends=False, web=web)
        with suppress(OptedOut, RateLimited, Invalid):
            self.ask(question, org_id, profile, receipt)

    def _link(
        self, challenge: Challenge, question: Question, profile: SenderProfile
    ) -> Link | None:
        if not challenge.link:
            return None
        return Link(
            self._keys.secret_hash(self._keys.secret(challenge.challenge_id)),
            challenge.challenge_id,
            profile,
            question.program or profile.program,
            question.frequency or profile.frequency,
            question.locale,
        )

    def _reuse(self, challenge: Challenge, question: Question, receipt: Receipt) -> Opened:
        sent = [
            each
            for each in self._challenges.messages(challenge.challenge_id)
            if each.kind is Kind.CONFIRMATION
        ]
        if question.resends:
            self._limits.take(challenge.org_id, challenge.contact, receipt)
            message = new_message(challenge, Kind.CONFIRMATION, receipt.received_at)
            self._challenges.add_message(message)
            self._enqueue(challenge.org_id, message)
            return Opened(challenge, message.message_id, is_reused=True, is_sent=True)
        for message in sent:
            if message.state is MessageState.QUEUED:  # it may have been stored and not enqueued
                self._enqueue(challenge.org_id, message)
        last = sent[-1].message_id if sent else None
        return Opened(challenge, last, is_reused=True, is_sent=False)


def _shared(receipt: Receipt, question: Question, latest: Challenge | None) -> Receipt:
    """Return the receipt with which all requests after the same challenge count one text.

    Only one of them opens a challenge and sends it, or a later one if that one was killed.
    """
    after = latest.challenge_id if latest else "-"
    return replace(receipt, request_id=f"{question.sender}#{question.contact}#{after}")


def new_challenge(
    question: Question, org_id: str, profile: SenderProfile, now: datetime
) -> Challenge:
    """Return a challenge with its texts; its times are whole seconds.

    Raises:
        Invalid: the default text is too long with the link in it.
    """
    created_at = now.replace(microsecond=0)
    said = (question.program, question.frequency, question.locale or languages.DEFAULT)
    default = confirmation_text(profile, *said, channel=question.channel)
    text = question.confirmation_text or default
    if sms.parts(links.longest(text, question.link)) > sms.MAX_PARTS:
        raise Invalid({"confirmation_text": sms.TOO_LONG})
    return Challenge(
        challenge_id=str(uuid4()),
        org_id=org_id,
        phone_number_id=question.phone_number_id,
        sender=question.sender,
        contact=question.contact,
        agreement_text=question.agreement_text,
        confirmation_text=text,
        welcome_text=welcome_text(profile, *said),
        created_at=created_at,
        expires_at=created_at + question.expires_in,
        reference=question.reference,
        link=question.link,
        web=question.web,
    )


def new_welcome(challenge: Challenge, now: datetime) -> Message:
    """Return the one welcome text of a challenge: a repeat adds none, since its id is the same."""
    message_id = str(uuid5(NAMESPACE_URL, f"welcome:{challenge.challenge_id}"))
    return new_message(challenge, Kind.WELCOME, now, message_id)


def new_message(challenge: Challenge, kind: Kind, now: datetime, message_id: str = "") -> Message:
    """Return a text of a challenge that waits to be sent."""
    is_welcome = kind is Kind.WELCOME
    return Message(
        message_id=message_id or str(uuid4()),
        challenge_id=challenge.challenge_id,
        kind=kind,
        sender=challenge.sender,
        contact=challenge.contact,
        body=challenge.welcome_text if is_welcome else challenge.confirmation_text,
        state=MessageState.QUEUED,
        at=now,
        expires_at=challenge.expires_at,
    )
