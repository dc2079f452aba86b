"""RFC 6962 as it is written there, slowly, and the checks of RFC 9162: what the log is tested with.

It shares no code with the log.
"""

from collections.abc import Sequence
from hashlib import sha256


def leaf(content: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\0" + content).digest()


def mth(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle Tree Hash of leaf hashes (RFC 6962, section 2.1)."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256(b"").digest()
    k = _split(len(leaves))
    return node(mth(leaves[:k]), mth(leaves[k:]))


def inclusion(at: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return PATH(m, D[n]) (section 2.1.1)."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if at < k:
        return [*inclusion(at, leaves[:k]), mth(leaves[k:])]
    return [*inclusion(at - k, leaves[k:]), mth(leaves[:k])]


def consistency(old: int, leaves: Sequence[bytes], is_known: bool = True) -> list[bytes]:
    """Return SUBPROOF(m, D[n], b) (section 2.1.2)."""
    if old == len(leaves):
        return [] if is_known else [mth(leaves)]
    k = _split(len(leaves))
    if old <= k:
        return [*consistency(old, leaves[:k], is_known), mth(leaves[k:])]
    return [*consistency(old - k, leaves[k:], False), mth(leaves[:k])]


def root_from_inclusion(leaf_hash: bytes, at: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to (RFC 9162, section 2.1.3.2)."""
    last, root = size - 1, leaf_hash
    for one in proof:
        assert last
        if at & 1 or at == last:
            root = node(one, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node(root, one)
        at, last = at >> 1, last >> 1
    assert not last
    return root


def roots_from_consistency(
    old: int, size: int, old_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Return both roots that a consistency proof leads to (RFC 9162, section 2.1.4.2)."""
    if old == size:
        assert not proof
        return old_root, old_root
    hashes = [old_root, *proof] if old & (old - 1) == 0 else [*proof]
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_side = new_side = hashes[0]
    for one in hashes[1:]:
        assert last
        if at & 1 or at == last:
            old_side, new_side = node(one, old_side), node(one, new_side)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new_side = node(new_side, one)
        at, last = at >> 1, last >> 1
    assert not last
    return old_side, new_side


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def _split(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k
