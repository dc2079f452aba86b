"""Merkle trees as in RFC 6962, section 2.1: hashes, inclusion proofs and consistency proofs."""

from collections.abc import Callable, Sequence
from hashlib import sha256

type Node = Callable[[int, int], bytes]
"""Returns the hash of a perfect subtree by its level and its number within the level.

Node `(level, number)` covers the leaves from `number << level` up to `(number + 1) << level`.
"""


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\0" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def parents(nodes: Sequence[bytes]) -> list[bytes]:
    """Return the level above; the last node of an odd number moves up unchanged."""
    pairs = zip(nodes[::2], nodes[1::2], strict=False)
    level = [sha256(b"\1" + left + right).digest() for left, right in pairs]
    level.extend(nodes[2 * len(level) :])
    return level


def tree_hash(nodes: Sequence[bytes]) -> bytes:
    """Return the hash of a tree by its leaf hashes.

    They may also be the hashes of subtrees of one size, of which only the last may be smaller.
    """
    if not nodes:
        return sha256().digest()
    while len(nodes) > 1:
        nodes = parents(nodes)
    return nodes[0]


def levels(nodes: Sequence[bytes]) -> list[list[bytes]]:
    """Return every level of a small tree, from its nodes up to its root."""
    tree = [list(nodes)]
    while len(tree[-1]) > 1:
        tree.append(parents(tree[-1]))
    return tree


def path(tree: Sequence[Sequence[bytes]], at: int) -> list[bytes]:
    """Return the inclusion proof of a node of a small tree by its levels, its sibling first."""
    siblings = ((level, at >> height ^ 1) for height, level in enumerate(tree))
    return [level[sibling] for level, sibling in siblings if sibling < len(level)]


def subtree_hash(node: Node, start: int, end: int) -> bytes:
    """Return the hash of the leaves from `start` up to `end`, an aligned range."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return node_hash(subtree_hash(node, start, middle), subtree_hash(node, middle, end))


def inclusion_proof(node: Node, leaf: int, size: int) -> list[bytes]:
    """Return the proof that a leaf is in the tree of a size, the leaf's sibling first."""
    return _inclusion(node, leaf, 0, size)


def consistency_proof(node: Node, old: int, size: int) -> list[bytes]:
    """Return the proof that the tree of a size extends the tree of an older size, above 0."""
    return _consistency(node, old, 0, size, is_known=True)


def _inclusion(node: Node, leaf: int, start: int, end: int) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if leaf < middle:
        return [*_inclusion(node, leaf, start, middle), subtree_hash(node, middle, end)]
    return [*_inclusion(node, leaf, middle, end), subtree_hash(node, start, middle)]


def _consistency(node: Node, old: int, start: int, end: int, *, is_known: bool) -> list[bytes]:
    """`is_known` says whether the old tree is a subtree that needs no hash: its root is known."""
    if old == end:
        return [] if is_known else [subtree_hash(node, start, end)]
    middle = start + _split(end - start)
    if old <= middle:
        left = _consistency(node, old, start, middle, is_known=is_known)
        return [*left, subtree_hash(node, middle, end)]
    right = _consistency(node, old, middle, end, is_known=False)
    return [*right, subtree_hash(node, start, middle)]


def _split(size: int) -> int:
    """Return the largest power of two below a size above 1."""
    return 1 << (size - 1).bit_length() - 1
