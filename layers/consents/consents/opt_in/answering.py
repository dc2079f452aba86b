"""Answer a challenge on the page of its link: one answer, whatever is repeated or crashes.

The order of writes matters: the page and the text, then the answer together with the decision of
the challenge, then the record and the welcome text. A crash between any two is healed by the same
answer sent again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from consents.capture.capture import Ledger, capture
from consents.domain import formats
from consents.domain.errors import NotFound, Unavailable
from consents.domain.record import Receipt
from consents.opt_in import records
from consents.opt_in.answer import Answer
from consents.opt_in.ask import new_welcome
from consents.opt_in.challenge import Challenge, Counted, Message, Rate, last_question
from consents.opt_in.link_pages import bare_page
from consents.opt_in.link_visit import Visit
from consents.opt_in.links import Link, LinkKeys, Question, is_secret
from consents.pages import stamps
from consents.pages.errors import LinkClosed, ReadAgain
from consents.pages.page import page_hash
from consents.pages.stamps import Stamp

MAX_USER_AGENT_LENGTH = 1024


class Challenges(Protocol):
    """Challenges, their links and texts, and the answers on pages."""

    def find(self, challenge_id: str) -> Challenge | None:
        """Return a challenge, or None."""

    def link(self, secret_hash: str) -> Link | None:
        """Return the link with this secret, or None."""

    def messages(self, challenge_id: str) -> list[Message]:
        """Return the texts of a challenge, oldest first."""

    def answered(self, challenge_id: str) -> tuple[Answer, Message] | None:
        """Return the answer on a challenge's page and the text that it answers, or None."""

    def answer(self, answer: Answer, asked: Message, expires_at: datetime) -> bool:
        """Store an answer and decide its challenge, both or neither, and return whether it is."""

    def count(self, challenge: Challenge, counted: Counted) -> Rate:
        """Count a challenge to its country on its UTC day, and return the day's numbers."""

    def add_message(self, message: Message) -> None:
        """Store one more text of a challenge; the same one again changes nothing."""


class KeptEvidence(Ledger, Protocol):
    """The ledger, which keeps pages and texts beside records."""

    def keep_page(
        self, org_id: str, page_hash: str, page: str, time_left: Callable[[], float]
    ) -> bool:
        """Store a page once, and return whether the ledger holds it."""

    def keep_text(self, org_id: str, text: str, time_left: Callable[[], float]) -> bool:
        """Store a text that evidence names by its hash, and return whether the ledger holds it."""


class Answers:
    """Takes answers on the pages of links."""

    def __init__(
        self,
        challenges: Challenges,
        ledger: KeptEvidence,
        keys: LinkKeys,
        *,
        limit: Callable[[str, Receipt], None],
        enqueue: Callable[[str, Message], None],
    ) -> None:
        """`limit` counts an answer from an address; `enqueue` lets a text be sent."""
        self._challenges = challenges
        self._ledger = ledger
        self._keys = keys
        self._limit = limit
        self._enqueue = enqueue

    def open(self, token: str) -> Question:
        """Return what a link is about: by its secret, or by the challenge's id for a specimen.

        Raises:
            NotFound: there is no such link.
        """
        secret = self._keys.secret(token) if formats.is_uuid(token) else token
        link = self._challenges.link(self._keys.secret_hash(secret)) if is_secret(secret) else None
        challenge = self._challenges.find(link.challenge_id) if link else None
        if link is None or challenge is None:
            raise NotFound
        return Question(link, challenge)

    def answer(self, visit: Visit) -> Answer:
        """Record an answer, and return it as it was first received.

        Raises:
            LinkClosed: the challenge takes no answer any more.
            ReadAgain: the stamp does not show that a person read this page just before.
            RateLimited: too many answers from one address.
            Unavailable: the ledger does not hold the record, or is not known to.
        """
        challenge = visit.question.challenge
        stamp = stamps.read(self._keys.stamp, challenge.challenge_id, visit.post.stamp)
        if challenge.decided:
            return self._repeat(visit, stamp)
        if not challenge.takes_answer(visit.receipt.received_at):
            raise LinkClosed
        if visit.post.trap:
            raise ReadAgain
        page = bare_page(visit.question, visit.lang)
        stamp = stamps.check(stamp, page_hash(page), visit.receipt.received_at)
        self._limit(visit.ip_address, visit.receipt)
        return self._store(_answer(visit, stamp, page), stamp, page, visit)

    def _store(self, answer: Answer, stamp: Stamp, page: bytes, visit: Visit) -> Answer:
        challenge, kept = visit.question.challenge, page.decode()
        org_id, ledger = challenge.org_id, self._ledger
        if not ledger.keep_page(org_id, answer.page_hash, kept, visit.time_left):
            raise Unavailable
        if not ledger.keep_text(org_id, challenge.kept_text, visit.time_left):
            raise Unavailable
        asked = last_question(self._challenges.messages(challenge.challenge_id))
        if not self._challenges.answer(answer, asked, challenge.expires_at):
            return self._repeat(visit, stamp)  # another answer was first, or this one before
        if answer.agrees:
            self._challenges.count(challenge, Counted.CONFIRMED)
        return self._record(answer, asked, visit)

    def _repeat(self, visit: Visit, stamp: Stamp | None) -> Answer:
        """Record the same answer again, or raise `LinkClosed` where another one was first."""
        found = self._challenges.answered(visit.question.challenge.challenge_id)
        if stamp is None or found is None:
            raise LinkClosed
        first, asked = found
        if (first.nonce, first.agrees) != (stamp.nonce, visit.post.agrees):
            raise LinkClosed
        return self._record(first, asked, visit)

    def _record(self, answer: Answer, asked: Message, visit: Visit) -> Answer:
        challenge = visit.question.challenge
        record = records.decision(challenge, asked, answer)
        capture(
            [record],
            challenge.org_id,
            self._ledger,
            receipt=visit.receipt,
            time_left=visit.time_left,
        )
        if answer.agrees:
            welcome = new_welcome(challenge, answer.at)
            self._challenges.add_message(welcome)
            self._enqueue(challenge.org_id, welcome)
        return answer


def _answer(visit: Visit, stamp: Stamp, page: bytes) -> Answer:
    return Answer(
        challenge_id=visit.question.challenge.challenge_id,
        nonce=stamp.nonce,
        agrees=visit.post.agrees,
        at=visit.receipt.received_at,
        ip_address=visit.ip_address,
        user_agent=visit.user_agent[:MAX_USER_AGENT_LENGTH] or "-",
        form_url=visit.form_url,
        page_hash=page_hash(page),
        page_lang=visit.lang,
    )
