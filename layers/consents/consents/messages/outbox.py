"""The embedded outbox: a provider that keeps texts in a table, where people can read them.

For development: a text is an item under `OUTBOX`, found by the `consents outbox` command.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from consents.aws.dynamodb import Table, encode_item
from consents.domain.record import timestamp
from consents.messages.port import Accepted, Text

NAME = "outbox"

_PARTITION = "OUTBOX"
_KEPT_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class KeptText:
    """A text in the outbox, and when it was sent there, in `timestamp` form."""

    text: Text
    sent_at: str


class Outbox:
    """Keeps texts instead of sending them."""

    provider = NAME

    def __init__(self, table: Table) -> None:
        self._table = table

    def send(self, text: Text) -> Accepted:
        """Keep a text, which counts as sent."""
        now = datetime.now(UTC)
        item = {
            "pk": _PARTITION,
            "sk": f"{timestamp(now)}#{text.message_id}",
            "sent_at": timestamp(now),
            "message_id": text.message_id,
            "sender": text.sender,
            "contact": text.contact,
            "body": text.body,
            "expiration": int((now + _KEPT_FOR).timestamp()),
        }
        self._table.put(encode_item(item), "attribute_not_exists(pk)")
        return Accepted(f"outbox-{text.message_id}")

    def newest(self, count: int) -> list[KeptText]:
        """Return the newest texts, newest first."""
        found = self._table.query("pk = :pk", pk=_PARTITION, newest_first=True, page=count)
        kept = (
            KeptText(
                Text(item["message_id"], item["sender"], item["contact"], item["body"]),
                item["sent_at"],
            )
            for item in found
        )
        return [text for text, _ in zip(kept, range(count), strict=False)]
