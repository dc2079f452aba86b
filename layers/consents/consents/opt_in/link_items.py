"""Links, and the answers on their pages, as items of the forms table.

A link is `LINK#{HMAC of its secret}` / `LINK`. The answer to a challenge is `CHALLENGE#{id}` /
`ANSWER`, with the text that it answers as it was then: its state changes later, and the record of a
repeat must not.
"""

from dataclasses import asdict
from datetime import datetime

from consents.aws.dynamodb import Values
from consents.domain.record import timestamp
from consents.domain.sender_profile import SenderProfile
from consents.opt_in.answer import Answer
from consents.opt_in.challenge import Message
from consents.opt_in.items import KEPT_FOR, challenge_key, expiring, message_item, message_of
from consents.opt_in.links import Link


def link_key(secret_hash: str) -> Values:
    """Return the key of a link."""
    return {"pk": f"LINK#{secret_hash}", "sk": "LINK"}


def answer_key(challenge_id: str) -> Values:
    """Return the key of the answer to a challenge."""
    return challenge_key(challenge_id) | {"sk": "ANSWER"}


def link_item(link: Link, expires_at: datetime) -> Values:
    """Return the item of a link to a challenge that expires then."""
    return link_key(link.secret_hash) | asdict(link) | expiring(expires_at, KEPT_FOR)


def link_of(item: Values) -> Link:
    """Return the link that an item holds."""
    fields = {name: item[name] for name in Link.__slots__}
    kept = item["profile"]
    profile = SenderProfile(**kept | {"countries": tuple(kept["countries"])})
    return Link(**fields | {"profile": profile})


def answer_item(answer: Answer, asked: Message, expires_at: datetime) -> Values:
    """Return the item of an answer to a text."""
    fields = asdict(answer) | {"agrees": int(answer.agrees), "at": timestamp(answer.at)}
    text = {"asked": message_item(asked)}
    return answer_key(answer.challenge_id) | fields | text | expiring(expires_at, KEPT_FOR)


def answer_of(item: Values) -> tuple[Answer, Message]:
    """Return the answer that an item holds, and the text that it answers."""
    fields = {name: item[name] for name in Answer.__slots__}
    read = {"agrees": bool(item["agrees"]), "at": datetime.fromisoformat(item["at"])}
    return Answer(**fields | read), message_of(item["asked"])
