"""Challenges and their messages as items of the forms table.

`CHALLENGE#{id}` / `CHALLENGE`, its texts `CHALLENGE#{id}` / `MESSAGE#{message id}`. The lock of an
open challenge is `PENDING#{org}#{sender}#{contact}` / `PENDING`. A text that a contact sent is
`INBOUND#{provider}#{id}` / `INBOUND`, with its first receipt; what it answered is under `ASKED`.
"""

from datetime import datetime, timedelta
from typing import Any

from consents.aws.dynamodb import Values
from consents.domain.record import timestamp
from consents.opt_in.challenge import Challenge, Kind, Message, MessageState

KEPT_FOR = timedelta(days=30)
INBOUND_KEPT_FOR = timedelta(days=90)

_TIMES = ("created_at", "expires_at", "decided_at", "at")


def challenge_key(challenge_id: str) -> Values:
    """Return the key of a challenge."""
    return {"pk": f"CHALLENGE#{challenge_id}", "sk": "CHALLENGE"}


def message_key(challenge_id: str, message_id: str) -> Values:
    """Return the key of a text message of a challenge."""
    return {"pk": f"CHALLENGE#{challenge_id}", "sk": f"MESSAGE#{message_id}"}


def pending_key(org_id: str, sender: str, contact: str) -> Values:
    """Return the key of the open challenge of a contact."""
    return {"pk": f"PENDING#{org_id}#{sender}#{contact}", "sk": "PENDING"}


def inbound_key(provider: str, message_id: str) -> Values:
    """Return the key of a text that a contact sent."""
    return {"pk": f"INBOUND#{provider}#{message_id}", "sk": "INBOUND"}


def asked_key(provider: str, message_id: str) -> Values:
    """Return the key of the text that a contact's text answered, as it was then."""
    return {"pk": f"INBOUND#{provider}#{message_id}", "sk": "ASKED"}


def rate_key(org_id: str, region: str, day: str) -> Values:
    """Return the key of the challenges of an organization to one country on one UTC day."""
    return {"pk": f"RATE#{org_id}#{region}", "sk": day}


def challenge_item(challenge: Challenge) -> Values:
    """Return the item of a challenge."""
    key = challenge_key(challenge.challenge_id)
    return key | _kept(challenge) | expiring(challenge.expires_at, KEPT_FOR)


def message_item(message: Message) -> Values:
    """Return the item of a message."""
    key = message_key(message.challenge_id, message.message_id)
    return key | _kept(message) | expiring(message.expires_at, KEPT_FOR)


def challenge_of(item: Values) -> Challenge:
    """Return the challenge that an item holds."""
    return Challenge(**_read(Challenge, item))


def message_of(item: Values) -> Message:
    """Return the message that an item holds."""
    read = _read(Message, item)
    return Message(**read | {"kind": Kind(read["kind"]), "state": MessageState(read["state"])})


def expiring(at: datetime, kept_for: timedelta) -> Values:
    """Return the attribute by which DynamoDB deletes an item."""
    return {"expiration": int((at + kept_for).timestamp())}


def _kept(value: Challenge | Message) -> Values:
    kept = {name: getattr(value, name) for name in type(value).__slots__}
    return {
        name: timestamp(each) if isinstance(each, datetime) else each
        for name, each in kept.items()
        if each is not None
    }


def _read(kind: type[Challenge | Message], item: Values) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(item[name]) if name in _TIMES else item[name]
        for name in kind.__slots__
        if name in item
    }
