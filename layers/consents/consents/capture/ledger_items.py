"""Records as items of the ledger.

Keys: `pk` is `{org_id}#{contact}`; `sk` is `{sender}#{date}#{status}#{digest}`, or
`{sender}#~#{digest}` where the record has no date. A key holds only the record's content, so a
repeat has the key of the item it repeats, and the first receipt and salt stand. An agreement text
is a separate item under `{org_id}#text#{hash}`, written before the records that name it.

The salt is random. It blinds what the transparency log says of the record: nobody without the item
can test a guess at its content.
"""

from collections.abc import Mapping
from secrets import token_bytes
from typing import Any

from consents.aws.dynamodb import Item
from consents.domain.record import (
    ConsentRecord,
    Receipt,
    Status,
    StoredRecord,
    effective_at,
    origin,
    timestamp,
)

type Key = tuple[str, str]

UNDATED = "~"
"""The date in the key of a record without one; sorts after every digit."""

_SALT_BYTES = 16


def salts(count: int) -> list[bytes]:
    """Return a random salt for each of so many records, read from the system at once."""
    pool = token_bytes(count * _SALT_BYTES)
    return [pool[at : at + _SALT_BYTES] for at in range(0, len(pool), _SALT_BYTES)]


def contact_key(org_id: str, contact: str) -> str:
    """Return the partition key of everything that an organization holds of a contact."""
    return f"{org_id}#{contact}"


def record_key(org_id: str, record: ConsentRecord) -> Key:
    """Return a record's key, made of its content and not of its receipt."""
    when = f"{timestamp(record.dated_at)}#{record.status}" if record.dated_at else UNDATED
    return contact_key(org_id, record.contact), f"{record.sender}#{when}#{record.digest()}"


def text_key(org_id: str, text_hash: str) -> Key:
    """Return the key of an agreement text, in a separate partition."""
    return f"{org_id}#text#{text_hash}", "text"


def page_key(org_id: str, page_hash: str) -> Key:
    """Return the key of a page that people agreed on, in a separate partition."""
    return f"{org_id}#page#{page_hash}", "page"


def hash_in_key(key: Key) -> str:
    """Return the hash in the key of an agreement text."""
    return key[0].rpartition("#")[2]


def sender_in(sk: str) -> str:
    """Return the sender in a record's sort key."""
    return sk.partition("#")[0]


def record_id(sk: str) -> str:
    """Return the digest that ends a record's sort key."""
    return sk.rpartition("#")[2]


# By hand, not by the codec: a request of 1000 records makes 1000 of these.
def record_item(key: Key, record: ConsentRecord, receipt: Receipt, salt: bytes) -> Item:
    """Return the item of a record."""
    effective = effective_at(record.dated_at, receipt.received_at, record.not_before)
    item: Item = {
        "pk": {"S": key[0]},
        "sk": {"S": key[1]},
        "wire": {"S": record.wire},
        "status": {"S": record.status},
        "effective_at": {"S": timestamp(effective)},
        "received_at": {"S": timestamp(receipt.received_at)},
        "request_id": {"S": receipt.request_id},
        "evidence": {"M": {name: {"S": value} for name, value in record.evidence.items()}},
        "salt": {"B": salt},
    }
    if record.phone_number_id:
        item["phone_number_id"] = {"S": record.phone_number_id}
    if record.correlation_id:
        item["correlation_id"] = {"S": record.correlation_id}
    return item


def text_item(key: Key, text: str) -> Item:
    """Return the item of an agreement text."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}, "text": {"S": text}}


def page_item(key: Key, page: str) -> Item:
    """Return the item of a page."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}, "page": {"S": page}}


def stored_record(item: Mapping[str, Any]) -> StoredRecord:
    """Return the record that an item, in plain values, holds."""
    return StoredRecord(
        wire=origin(item["wire"]),
        sender=sender_in(item["sk"]),
        contact=item["pk"].split("#")[1],
        status=Status(item["status"]),
        effective_at=item["effective_at"],
        received_at=item["received_at"],
        request_id=item["request_id"],
        evidence=item["evidence"],
        phone_number_id=item.get("phone_number_id"),
        correlation_id=item.get("correlation_id"),
        record_id=record_id(item["sk"]),
    )
