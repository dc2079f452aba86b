"""Challenges and their texts in the forms table."""

from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from consents.aws.dynamodb import Table, encode_item
from consents.domain.record import timestamp
from consents.messages.numbers import region
from consents.opt_in.answer import Answer
from consents.opt_in.challenge import Challenge, Counted, Message, MessageState, Rate, State
from consents.opt_in.items import (
    INBOUND_KEPT_FOR,
    KEPT_FOR,
    asked_key,
    challenge_item,
    challenge_key,
    challenge_of,
    expiring,
    inbound_key,
    message_item,
    message_key,
    message_of,
    pending_key,
    rate_key,
)
from consents.opt_in.link_items import (
    answer_item,
    answer_key,
    answer_of,
    link_item,
    link_key,
    link_of,
)
from consents.opt_in.links import Link
from consents.opt_in.records import Reply

_NOT_DECIDED = "decided = :nothing"
_NO_LONGER_OPEN = "(attribute_not_exists(pk) OR expires_at <= :now OR challenge_id = :decided)"
_NOT_COUNTED_YET = "counted <> :this"
_QUEUED = "#state = :queued"
_SENDING = "#state = :sending"
_STILL_CLAIMED = "claimed_by = :us"


class Challenges:
    """Stores challenges, their texts, and what contacts sent."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, challenge_id: str) -> Challenge | None:
        """Return a challenge, or None."""
        item = self._table.get(challenge_key(challenge_id))
        return challenge_of(item) if item else None

    def latest(self, org_id: str, sender: str, contact: str) -> Challenge | None:
        """Return the latest challenge of a contact, whatever its state, or None."""
        item = self._table.get(pending_key(org_id, sender, contact))
        return self.find(item["challenge_id"]) if item else None

    def messages(self, challenge_id: str) -> list[Message]:
        """Return the texts of a challenge, oldest first."""
        key = challenge_key(challenge_id)
        found = self._table.query(
            "pk = :pk AND begins_with(sk, :prefix)", pk=key["pk"], prefix="MESSAGE#"
        )
        return sorted(map(message_of, found), key=lambda each: each.at)

    def open(
        self,
        challenge: Challenge,
        message: Message,
        latest: Challenge | None,
        now: datetime,
        *,
        link: Link | None,
    ) -> bool:
        """Store a challenge with its text and link, and return whether no other is open.

        `latest` is the one before, which was decided. Of the challenges that all saw none open, one
        is stored.
        """
        lock = self._table.update_if(
            pending_key(challenge.org_id, challenge.sender, challenge.contact),
            "SET challenge_id = :id, expires_at = :expires_at, expiration = :expiration",
            _NO_LONGER_OPEN,
            id=challenge.challenge_id,
            expires_at=timestamp(challenge.expires_at),
            now=timestamp(now),
            decided=latest.challenge_id if latest and latest.decided else "-",
            **expiring(challenge.expires_at, KEPT_FOR),
        )
        items = [challenge_item(challenge), message_item(message)]
        items += [link_item(link, challenge.expires_at)] if link else []
        new = (self._table.put_new(item, unless="pk") for item in items)
        return self._table.transact(lock, *new) is None

    def add_message(self, message: Message) -> None:
        """Store one more text; the same one again changes nothing."""
        item = encode_item(message_item(message))
        self._table.put(item, "attribute_not_exists(pk)")

    def decide(self, challenge_id: str, decided: State, at: datetime) -> bool:
        """Set what was answered, once, and return whether it was."""
        held, _ = self._table.update(
            challenge_key(challenge_id),
            "SET decided = :decided, decided_at = :at",
            _NOT_DECIDED,
            decided=decided,
            at=timestamp(at),
            nothing="",
        )
        return held

    def link(self, secret_hash: str) -> Link | None:
        """Return the link with this secret, or None."""
        item = self._table.get(link_key(secret_hash))
        return link_of(item) if item else None

    def answered(self, challenge_id: str) -> tuple[Answer, Message] | None:
        """Return the answer on a challenge's page and the text that it answers, or None."""
        item = self._table.get(answer_key(challenge_id))
        return answer_of(item) if item else None

    def answer(self, answer: Answer, asked: Message, expires_at: datetime) -> bool:
        """Store an answer and decide its challenge, both or neither, and return whether it is.

        Of answers at once, on pages or by reply, one decides.
        """
        failed = self._table.transact(
            self._table.put_new(answer_item(answer, asked, expires_at), unless="pk"),
            self._table.update_if(
                challenge_key(answer.challenge_id),
                "SET decided = :decided, decided_at = :at",
                f"{_NOT_DECIDED} AND expires_at > :at",
                decided=State.CONFIRMED if answer.agrees else State.DECLINED,
                at=timestamp(answer.at),
                nothing="",
            ),
        )
        return failed is None

    def confirm_after(self, challenge_id: str, at: datetime) -> None:
        """Set that a contact who declined before confirmed after all."""
        self._table.update(
            challenge_key(challenge_id),
            "SET decided = :decided, decided_at = :at",
            "decided = :before AND decided_at < :at",
            decided=State.CONFIRMED,
            at=timestamp(at),
            before=State.DECLINED,
        )

    def message(self, challenge_id: str, message_id: str) -> Message | None:
        """Return a text, or None."""
        item = self._table.get(message_key(challenge_id, message_id))
        return message_of(item) if item else None

    def claim(self, message: Message, now: datetime) -> Message | None:
        """Set that a queued text is being sent; return it, or None if another run sends it."""
        us = uuid4().hex
        held, found = self._table.update(
            message_key(message.challenge_id, message.message_id),
            "SET #state = :sending, #at = :at, claimed_by = :us ADD attempts :one",
            _QUEUED,
            sending=MessageState.SENDING,
            queued=MessageState.QUEUED,
            at=timestamp(now),
            us=us,
            one=1,
        )
        # A repeat of the update whose response was lost meets its own claim.
        return message_of(found) if held or found.get("claimed_by") == us else None

    def give_back(self, message: Message, now: datetime) -> None:
        """Set that a claimed text was surely not sent, and waits again."""
        self.end(message, MessageState.QUEUED, now)

    def end(self, message: Message, state: MessageState, now: datetime) -> None:
        """Set the end of a claimed text."""
        self._table.update(
            message_key(message.challenge_id, message.message_id),
            "SET #state = :after, #at = :at",
            f"{_SENDING} AND {_STILL_CLAIMED}",
            after=state,
            at=timestamp(now),
            sending=MessageState.SENDING,
            us=message.claimed_by,
        )

    def sent(self, message: Message, provider: str, provider_id: str, now: datetime) -> None:
        """Set that the provider took a claimed text, also where a repeat took it for unknown."""
        self._table.update(
            message_key(message.challenge_id, message.message_id),
            "SET #state = :sent, #at = :at, provider = :provider, provider_message_id = :id",
            _STILL_CLAIMED,
            sent=MessageState.SENT,
            at=timestamp(now),
            provider=provider,
            id=provider_id,
            us=message.claimed_by,
        )

    def receive(self, reply: Reply, now: datetime) -> tuple[Reply, datetime]:
        """Store the times of a contact's text; return it with its first ones, and the receipt.

        A provider that repeats a text may give it a later time: its record must not change.
        """
        times = {"sent_at": timestamp(min(reply.at, now)), "received_at": timestamp(now)}
        item = inbound_key(reply.provider, reply.message_id) | times
        held, found = self._table.put(
            encode_item(item | expiring(now, INBOUND_KEPT_FOR)), "attribute_not_exists(pk)"
        )
        kept = times if held else found
        first = replace(reply, at=datetime.fromisoformat(kept["sent_at"]))
        return first, datetime.fromisoformat(kept["received_at"])

    def keep_asked(self, provider: str, message_id: str, asked: Message, now: datetime) -> Message:
        """Store the text that a contact's text answers, and return it as it was at first.

        Its state changes later; the record of a repeat must not.
        """
        kept = message_item(asked) | expiring(now, INBOUND_KEPT_FOR)
        item = encode_item(kept | asked_key(provider, message_id))
        held, found = self._table.put(item, "attribute_not_exists(pk)")
        return asked if held else message_of(found)

    def count(self, challenge: Challenge, counted: Counted) -> Rate:
        """Count a challenge to its country on its UTC day, and return the day's numbers.

        A count whose response was lost is not repeated, unless another came in between.
        """
        day = challenge.created_at
        _, item = self._table.update(
            rate_key(challenge.org_id, region(challenge.contact), timestamp(day)[:10]),
            f"SET expiration = :expiration, counted = :this ADD {counted} :one",
            _NOT_COUNTED_YET,
            this=f"{challenge.challenge_id} {counted}",
            one=1,
            **expiring(day, KEPT_FOR),
        )
        return Rate(item.get(Counted.OPENED, 0), item.get(Counted.CONFIRMED, 0))
