"""What contacts text back: first the ledger, then the challenge, then a welcome text.

A message of a queue comes at least once: its first receipt is stored, so that a repeat has the same
record, and a crash between two writes is healed by the repeat.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from aws_lambda_powertools import Logger

from consents.aws import metrics
from consents.capture.capture import Ledger, capture
from consents.domain.errors import Unavailable
from consents.domain.record import ConsentRecord, Receipt, Status, StoredRecord
from consents.opt_in import records, replies
from consents.opt_in.ask import new_welcome
from consents.opt_in.challenge import Challenge, Counted, Message, Rate, State, last_question
from consents.opt_in.keyword_replies import KeywordReplies
from consents.opt_in.records import Reply
from consents.opt_in.replies import Meaning

log = Logger()


class Challenges(Protocol):
    """Challenges, their texts, and what contacts sent."""

    def latest(self, org_id: str, sender: str, contact: str) -> Challenge | None:
        """Return the latest challenge of a contact, whatever its state, or None."""

    def messages(self, challenge_id: str) -> list[Message]:
        """Return the texts of a challenge, oldest first."""

    def keep_asked(self, provider: str, message_id: str, asked: Message, now: datetime) -> Message:
        """Store the text that a contact's text answers, and return it as it was at first."""

    def decide(self, challenge_id: str, decided: State, at: datetime) -> bool:
        """Set what was answered, once, and return whether it was."""

    def count(self, challenge: Challenge, counted: Counted) -> Rate:
        """Count a challenge to its country on its UTC day, and return the day's numbers."""

    def confirm_after(self, challenge_id: str, at: datetime) -> None:
        """Set that a contact who declined before confirmed after all."""

    def add_message(self, message: Message) -> None:
        """Store one more text of a challenge; the same one again changes nothing."""


class ContactHistory(Ledger, Protocol):
    """The ledger, with the records of one contact."""

    def history(self, org_id: str, contact: str, sender: str | None = None) -> list[StoredRecord]:
        """Return a contact's records, of one sender or of all, newest first."""

    def keep_text(self, org_id: str, text: str, time_left: Callable[[], float]) -> bool:
        """Store a text that evidence names by its hash, and return whether the ledger holds it."""


class Keep(Protocol):
    """Stores a record, and first the text that it names."""

    def __call__(self, record: ConsentRecord, text: str = "") -> None: ...


class Inbox:
    """Takes what contacts text."""

    def __init__(
        self,
        challenges: Challenges,
        ledger: ContactHistory,
        owner: Callable[[str], str | None],
        enqueue: Callable[[str, Message], None],
        keyword_replies: KeywordReplies | None = None,
    ) -> None:
        """`owner` returns the organization that has a number; `enqueue` lets a text be sent.

        Without `keyword_replies` the provider answers STOP and HELP.
        """
        self._keyword_replies = keyword_replies
        self._challenges = challenges
        self._ledger = ledger
        self._owner = owner
        self._enqueue = enqueue

    def take(self, reply: Reply, receipt: Receipt, time_left: Callable[[], float]) -> Meaning:
        """Act on a text, and return what it means; a repeat changes nothing.

        Raises:
            Unavailable: the ledger does not hold the record, or is not known to.
        """
        org_id = self._owner(reply.sender)
        if org_id is None:
            log.warning("reply.unassigned", provider=reply.provider)
            metrics.write({"MessagesUnassigned": 1})
            return Meaning.OTHER
        challenge = self._challenges.latest(org_id, reply.sender, reply.contact)
        own = challenge.own_texts if challenge else ()
        meaning = replies.read(reply.text, own, reply.opt_out_type)

        def keep(record: ConsentRecord, text: str = "") -> None:
            if text and not self._ledger.keep_text(org_id, text, time_left):
                raise Unavailable
            capture([record], org_id, self._ledger, receipt=receipt, time_left=time_left)

        match meaning:
            case Meaning.STOP:
                for record in records.stops(reply):
                    keep(record)
                self._decline(challenge, reply)
                if self._keyword_replies:
                    self._keyword_replies.answer_stop(org_id, reply)
            case Meaning.HELP if self._keyword_replies:
                self._keyword_replies.answer_help(org_id, reply)
            case Meaning.CONFIRM | Meaning.START if self._is_answer(challenge, reply):
                assert challenge is not None  # noqa: S101 - what an answer is to
                self._confirm(challenge, reply, keep)
            case Meaning.START:
                self._restart(org_id, challenge, reply, keep)
        return meaning

    def _is_answer(self, challenge: Challenge | None, reply: Reply) -> bool:
        """Return whether a reply answers a challenge, now or in the run that was killed."""
        if challenge is None or reply.at >= challenge.expires_at:
            return False
        is_repeat = challenge.decided == State.CONFIRMED and challenge.decided_at == reply.at
        return not challenge.decided or is_repeat

    def _decline(self, challenge: Challenge | None, reply: Reply) -> None:
        if challenge is not None and challenge.takes_answer(reply.at):
            self._challenges.decide(challenge.challenge_id, State.DECLINED, reply.at)

    def _confirm(self, challenge: Challenge, reply: Reply, keep: Keep) -> None:
        asked = self._challenges.keep_asked(
            reply.provider,
            reply.message_id,
            last_question(self._challenges.messages(challenge.challenge_id)),
            reply.at,
        )
        keep(records.confirmation(challenge, asked, reply), challenge.kept_text)
        if self._challenges.decide(challenge.challenge_id, State.CONFIRMED, reply.at):
            self._challenges.count(challenge, Counted.CONFIRMED)
        else:
            self._challenges.confirm_after(challenge.challenge_id, reply.at)
        self._welcome(challenge, reply)

    def _restart(
        self,
        org_id: str,
        challenge: Challenge | None,
        reply: Reply,
        keep: Keep,
    ) -> None:
        """Opt in again where a stop by text took an agreement back, or declined a challenge."""
        before = self._ledger.history(org_id, reply.contact, reply.sender)
        if not before or not records.is_stop_by_text(before[0]):
            return
        is_in_time = challenge is not None and reply.at < challenge.expires_at
        if challenge is not None and is_in_time and challenge.decided == State.DECLINED:
            self._confirm(challenge, reply, keep)
            return
        agreed = next((one for one in before[1:] if _is_agreement(one)), None)
        if agreed is not None:
            keep(records.start(reply, agreed))

    def _welcome(self, challenge: Challenge, reply: Reply) -> None:
        message = new_welcome(challenge, reply.at)
        self._challenges.add_message(message)
        self._enqueue(challenge.org_id, message)


def _is_agreement(record: StoredRecord) -> bool:
    return record.status is Status.OPT_IN and "agreement_text_hash" in record.evidence
