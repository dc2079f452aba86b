"""Entries of the log: 65 bytes each, a kind, a tag, and a commitment to a record.

Leaf `p` is of kind `LOG` exactly where 256 divides `p`; all others are assigned in order.
"""

import hmac
from enum import IntEnum
from hashlib import sha256

from consents.proof.tiles import WIDTH

BYTES = 65
NO_HASH = bytes(32)


class Kind(IntEnum):
    """What an entry is about; its first byte."""

    LOG = 0
    """The log: roots of its index."""

    RECORD = 1
    CHANGED = 2
    """The record as it is after a change, which no function of this project makes."""

    REMOVED = 3
    """A record that was removed, or replaced."""

    ORGANIZATION = 4
    """An organization: the root of its key table."""

    BACKFILLED = 5
    """A record that is older than the log."""


def entry(kind: Kind, tag: bytes, body: bytes) -> bytes:
    """Return an entry."""
    return bytes([kind]) + tag + body


def tag_of(one: bytes) -> bytes:
    """Return the tag of an entry."""
    return one[1:33]


def body_of(one: bytes) -> bytes:
    """Return the body of an entry."""
    return one[33:]


def is_about_record(one: bytes) -> bool:
    """Return whether an entry has the commitment of a record as its body."""
    return one[0] in {Kind.RECORD, Kind.CHANGED, Kind.REMOVED, Kind.BACKFILLED}


def contact_tag(bucket_key: bytes, org_id: str, contact: str) -> bytes:
    """Return the tag of a contact."""
    return hmac.digest(bucket_key, f"consent-ledger/tag/v1\n{org_id}\n{contact}".encode(), "sha256")


def organization_tag(org_id: str) -> bytes:
    """Return the tag of an organization."""
    return sha256(f"consent-ledger/org/v1\n{org_id}".encode()).digest()


def organization_entry(org_id: str, table_root: bytes) -> bytes:
    """Return the entry of an organization."""
    return entry(Kind.ORGANIZATION, organization_tag(org_id), table_root)


def first_entry(origin: str) -> bytes:
    """Return leaf 0, which names the log."""
    name = sha256(origin.encode()).digest()
    return entry(Kind.LOG, name, sha256(b"consent-ledger/log/v1").digest())


def size_with(others: int) -> int:
    """Return the size of a log with so many entries that are not of kind `LOG`.

    An entry of kind `LOG` is there as soon as the 255 others before it are, and at the beginning.
    """
    return others + others // (WIDTH - 1) + 1


def leaf_of(number: int) -> int:
    """Return the leaf of an entry by its number, of those that are not of kind `LOG`."""
    return number + number // (WIDTH - 1) + 1


def others_in(size: int) -> int:
    """Return how many entries of a log are not of kind `LOG`."""
    return size - -(-size // WIDTH)
