"""Bucket keys: secrets from which the tags of an organization's contacts are made.

An organization has one random seed and, expanded from it, a key for each of 2^20 buckets. A
contact belongs to one bucket. A proof reveals the key of one bucket, and that no other key of that
bucket was ever used: the root of the Merkle tree over all keys is logged before the first record.
"""

from collections.abc import Iterator
from hashlib import sha256

from consents.proof import tlog

DEPTH = 20
"""Bits of a bucket's number."""

_PART_DEPTH = 10
_STEPS = tuple(b"consent-ledger/bucket/" + bit for bit in (b"0", b"1"))


def bucket_of(org_id: str, contact: str) -> int:
    """Return the bucket of a contact: the first 20 bits of a hash."""
    digest = sha256(f"consent-ledger/contact/v1\n{org_id}\n{contact}".encode()).digest()
    return int.from_bytes(digest[:3]) >> 24 - DEPTH


def bucket_key(seed: bytes, bucket: int) -> bytes:
    """Return the key of a bucket."""
    for bit in reversed(range(DEPTH)):
        seed = sha256(_STEPS[bucket >> bit & 1] + seed).digest()
    return seed


def part_roots(seed: bytes) -> Iterator[bytes]:
    """Return the roots of the 1024 parts of the key table, each of 1024 keys.

    Takes about a second in all.
    """
    return (tlog.tree_hash(_key_hashes(part)) for part in _expand(seed, DEPTH - _PART_DEPTH))


def key_path(seed: bytes, roots: list[bytes], bucket: int) -> list[bytes]:
    """Return the proof that the key of a bucket is in the table with these part roots."""
    part, at = divmod(bucket, 1 << _PART_DEPTH)
    for bit in reversed(range(_PART_DEPTH, DEPTH)):
        seed = sha256(_STEPS[bucket >> bit & 1] + seed).digest()
    return tlog.path(tlog.levels(_key_hashes(seed)), at) + tlog.path(tlog.levels(roots), part)


def _key_hashes(seed: bytes) -> list[bytes]:
    return [tlog.leaf_hash(key) for key in _expand(seed, _PART_DEPTH)]


def _expand(seed: bytes, depth: int) -> list[bytes]:
    """Return the seeds so many steps below a seed, in order."""
    seeds = [seed]
    for _ in range(depth):
        seeds = [sha256(step + one).digest() for one in seeds for step in _STEPS]
    return seeds
