"""Proofs from the index: every leaf of a tag and no other, as a verifier checks them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from consents.proof.entries import tag_of
from consents.proof.growth import Edge
from consents.proof.index_proof import IndexProof, RunProof, prove_index
from consents.proof.tiles import TileTree

from tests.unit import rfc6962
from tests.unit.log_store import LogStore, entries


@pytest.fixture(scope="module")
def log() -> tuple[LogStore, TileTree]:
    """Return a log whose cover has a run of level 1, two of level 0, and a tail."""
    store = LogStore()
    edge = store.grow(Edge(), entries(65_280 + 600, contacts=9_000))
    return store, TileTree(edge.size, store.read)


def check_run(one: RunProof, tag: bytes, tree: TileTree) -> None:
    """Fail where a run is not in the log, or its items do not enclose the tag."""
    leaf, count = rfc6962.leaf(one.entry), 65_280 if one.run.level else 255
    root = rfc6962.root_from_inclusion(leaf, one.run.end, tree.size, one.proof)
    assert root == tree.root()
    for match in one.items:
        item = rfc6962.leaf(match.item)
        proven = rfc6962.root_from_inclusion(item, match.at, count, match.proof)
        assert proven == one.run.root_in(one.entry)
    positions = [match.at for match in one.items]
    assert positions == [*range(positions[0], positions[-1] + 1)]
    assert one.items[0].item < tag or positions[0] == 0
    assert one.items[-1].item > tag + b"\xff" * 8 or positions[-1] == count - 1


@pytest.mark.parametrize("contact", [0, 1, 5, 8_999])
def test_proof_has_every_leaf_of_a_tag(log: tuple[LogStore, TileTree], contact: int) -> None:
    store, tree = log
    tag = tag_of(entries(1, contact)[0])
    leaves = [entry for number in range(-(-tree.size // 256)) for entry in tree.entries(number)]

    proof = prove_index(tree, store.read_range, [tag])
    assert [(one.run.level, one.run.number) for one in proof.runs] == [(1, 0), (0, 256), (0, 257)]
    for one in proof.runs:
        check_run(one, tag, tree)
    assert proof.leaves([tag]) == [leaf for leaf, one in enumerate(leaves) if one[1:33] == tag]
    assert len(proof.leaves([tag])) >= 7


def test_tail_and_frontier_lead_to_the_root(log: tuple[LogStore, TileTree]) -> None:
    store, tree = log
    proof = prove_index(tree, store.read_range, [bytes(32)])
    start = tree.size - len(proof.tail)

    below = rfc6962.mth([rfc6962.leaf(entry) for entry in proof.tail])
    assert start == 258 * 256
    assert len(proof.frontier) == 2  # 65536 and 512 leaves
    for one in reversed(proof.frontier):
        below = rfc6962.node(one, below)
    assert below == tree.root()


def test_several_tags_share_the_runs(log: tuple[LogStore, TileTree]) -> None:
    store, tree = log
    tags = [tag_of(one) for one in entries(2)]

    both = prove_index(tree, store.read_range, tags)
    single = [prove_index(tree, store.read_range, [tag]) for tag in tags]
    for one, *each in zip(both.runs, *(proof.runs for proof in single), strict=True):
        items = {match.at: match for proof in each for match in proof.items}
        assert one.items == [items[at] for at in sorted(items)]
    assert both.leaves(tags) == sorted(
        leaf for proof, tag in zip(single, tags, strict=True) for leaf in proof.leaves([tag])
    )


def test_runs_are_proven_alike_several_at_a_time(log: tuple[LogStore, TileTree]) -> None:
    store, tree = log
    tag = tag_of(entries(1)[0])

    with ThreadPoolExecutor(4) as threads:
        proof = prove_index(TileTree(tree.size, store.read), store.read_range, [tag], threads.map)
    assert proof == prove_index(tree, store.read_range, [tag])


def test_new_log_has_only_a_tail() -> None:
    store = LogStore()
    edge = store.grow(Edge(), [])

    proof = prove_index(TileTree(edge.size, store.read), store.read_range, [bytes(32)])
    assert proof == IndexProof([], [], [store.objects["tile/entries/000.p/1"][2:]])
    assert proof.leaves([proof.tail[0][1:33]]) == []  # a leaf of kind LOG has no tag
