"""Records as items of the ledger.

Keys: `pk` is `{org_id}#{contact}`; `sk` is `{sender}#{date}#{status}#{digest}`, or
`{sender}#~#{digest}` where the record has no date. A key holds only the record's content, so a
repeat has the key of the item it repeats, and the first receipt and salt stand. An agreement text
is a separate item under `{org_id}#text#{hash}`, written before the records that name it.

The salt is random. It blinds what the transparency log says of the record: nobody without the item
can test a guess at its content.
"""

from collections.abc import Mapping
from functools import lru_cache
from secrets import token_bytes
from struct import iter_unpack
from typing import Any

from consents.aws.dynamodb import Item, base64_text
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

_KNOWN_RECEIPTS = 64
_known_timestamp = lru_cache(_KNOWN_RECEIPTS)(timestamp)
"""Of a receipt, which every record of a request has."""


def salts(count: int) -> list[str]:
    """Return a random salt for each of so many records, in base64, read from the system at once."""
    pool = token_bytes(count * _SALT_BYTES)
    return [base64_text(salt) for (salt,) in iter_unpack(f"{_SALT_BYTES}s", pool)]


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


def _date_in(sk: str) -> str | None:
    """Return the date in a record's sort key, or None."""
    _, date, _ = sk.split("#", 2)
    return None if date == UNDATED else date


def record_id(sk: str) -> str:
    """Return the digest that ends a record's sort key."""
    return sk.rpartition("#")[2]


# By hand, not by the codec: a request of 1000 records makes 1000 of these.
def record_item(key: Key, record: ConsentRecord, receipt: Receipt, salt: str) -> Item:
    """Return the item of a record."""
    received_at = _known_timestamp(receipt.received_at)
    not_before = timestamp(record.not_before) if record.not_before else None
    item: Item = {
        "pk": {"S": key[0]},
        "sk": {"S": key[1]},
        "wire": {"S": record.wire},
        "status": {"S": record.status},
        "effective_at": {"S": effective_at(_date_in(key[1]), received_at, not_before)},
        "received_at": {"S": received_at},
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
