"""Merkle trees: the vectors of transparency-dev, and every proof of every small tree."""

from base64 import b64decode
from functools import cache
from typing import Any

import pytest
from consents.proof import tlog

from tests.unit import rfc6962
from tests.unit.vectors import vectors

MERKLE = vectors("merkle")
LEAVES = [rfc6962.leaf(str(number).encode()) for number in range(70)]


def node_of(leaves: list[bytes]) -> tlog.Node:
    """Return the perfect subtrees over some leaf hashes."""
    return cache(lambda level, at: rfc6962.mth(leaves[at << level : (at + 1) << level]))


def test_leaf_hashes_are_those_of_transparency_dev() -> None:
    hashes = [tlog.leaf_hash(bytes.fromhex(leaf)).hex() for leaf in MERKLE["leaves"]]

    assert hashes == MERKLE["leaf_hashes"]


@pytest.mark.parametrize("size", range(9))
def test_root_is_that_of_transparency_dev(size: int) -> None:
    leaves = [bytes.fromhex(one) for one in MERKLE["leaf_hashes"][:size]]

    assert tlog.tree_hash(leaves).hex() == MERKLE["roots"][size]


@pytest.mark.parametrize("vector", MERKLE["inclusion"])
def test_inclusion_proof_is_that_of_transparency_dev(vector: dict[str, Any]) -> None:
    size, leaf = vector["treeSize"], vector["leafIdx"]
    leaves = [bytes.fromhex(one) for one in MERKLE["leaf_hashes"][:size]]
    proof = [b64decode(one) for one in vector["proof"]]

    assert tlog.inclusion_proof(node_of(leaves), leaf, size) == proof
    assert tlog.path(tlog.levels(leaves), leaf) == proof


@pytest.mark.parametrize("vector", MERKLE["consistency"])
def test_consistency_proof_is_that_of_transparency_dev(
    vector: dict[str, Any],
) -> None:
    size, old = vector["size2"], vector["size1"]
    leaves = [bytes.fromhex(one) for one in MERKLE["leaf_hashes"][:size]]
    proof = [b64decode(one) for one in vector["proof"]]

    assert tlog.consistency_proof(node_of(leaves), old, size) == proof


@pytest.mark.parametrize("size", range(1, 70))
def test_every_proof_of_a_small_tree_is_as_in_the_rfc(size: int) -> None:
    leaves = LEAVES[:size]
    node, root = node_of(leaves), rfc6962.mth(leaves)

    assert tlog.tree_hash(leaves) == root == tlog.subtree_hash(node, 0, size)
    for leaf in range(size):
        proof = tlog.inclusion_proof(node, leaf, size)
        assert proof == tlog.path(tlog.levels(leaves), leaf) == rfc6962.inclusion(leaf, leaves)
        assert rfc6962.root_from_inclusion(leaves[leaf], leaf, size, proof) == root
    for old in range(1, size + 1):
        proof = tlog.consistency_proof(node, old, size)
        old_root = rfc6962.mth(leaves[:old])
        assert proof == rfc6962.consistency(old, leaves)
        assert rfc6962.roots_from_consistency(old, size, old_root, proof) == (old_root, root)
