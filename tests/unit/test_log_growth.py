"""A log in tiles: the same objects however it grows, and proofs from them."""

from base64 import b64decode
from itertools import pairwise

import pytest
from consents.proof import notes, tlog
from consents.proof.entries import NO_HASH, Kind, first_entry, others_in, size_with
from consents.proof.growth import Edge, read_edge
from consents.proof.tiles import (
    TileTree,
    bundle_name,
    name_part,
    read_bundle,
    split_hashes,
    tile_name,
    write_bundle,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import rfc6962
from tests.unit.log_store import ORIGIN, LogStore, entries
from tests.unit.vectors import vectors

TESSERA = vectors("tessera")
SIZES = [1, 2, 3, 255, 257, 258, 511, 513, 514, 770]


def leaves_of(store: LogStore, size: int) -> list[bytes]:
    """Return all entries of a log, bundle by bundle."""
    tree = TileTree(size, store.read)
    return [entry for number in range(-(-size // 256)) for entry in tree.entries(number)]


def grown(others: int) -> tuple[LogStore, Edge]:
    """Return a log that was made at once."""
    store = LogStore()
    return store, store.grow(Edge(), entries(others))


@pytest.mark.parametrize(
    ("number", "width", "name"),
    [
        (0, 256, "000"),
        (999, 256, "999"),
        (1000, 256, "x001/000"),
        (1_234_067, 256, "x001/x234/067"),
        (1_234_067, 8, "x001/x234/067.p/8"),
    ],
)
def test_number_is_written_in_groups_of_three_digits(number: int, width: int, name: str) -> None:
    assert name_part(number, width) == name
    assert tile_name(3, number, width) == f"tile/3/{name}"
    assert bundle_name(number, width) == f"tile/entries/{name}"


def test_tiles_of_tesseras_test_log_are_made_byte_for_byte() -> None:
    contents = [entry.encode() for entry in TESSERA["entries"]]
    objects = {name: b64decode(content) for name, content in TESSERA["objects"].items()}

    bundle, tile = objects[bundle_name(0, 15)], objects[tile_name(0, 0, 15)]
    assert write_bundle(contents) == bundle
    assert read_bundle(bundle) == contents
    assert b"".join(map(tlog.leaf_hash, contents)) == tile


@pytest.mark.parametrize("size", range(1, 16))
def test_checkpoints_of_tesseras_test_log_are_signed_and_consistent(size: int) -> None:
    key = notes.parse_key(TESSERA["key"])
    checkpoints = [notes.parse_note(one.encode()) for one in TESSERA["checkpoints"]]
    objects = {name: b64decode(content) for name, content in TESSERA["objects"].items()}
    tile = objects[tile_name(0, 0, 15)]
    tree = TileTree(size, lambda _: tile)

    assert key.has_signed(checkpoints[size])
    root = notes.parse_checkpoint(checkpoints[size].text).root
    assert tree.root() == root
    for old in range(1, size + 1):
        old_root = notes.parse_checkpoint(checkpoints[old].text).root
        proof = tree.consistency_proof(old)
        assert rfc6962.roots_from_consistency(old, size, old_root, proof) == (old_root, root)


def test_new_log_has_one_leaf_which_names_it() -> None:
    store, edge = grown(0)

    assert edge.size == 1
    assert leaves_of(store, 1) == [first_entry(ORIGIN)]
    assert edge.root() == rfc6962.leaf(first_entry(ORIGIN))
    assert set(store.objects) == {"tile/entries/000.p/1", "tile/0/000.p/1"}


def test_leaf_of_the_log_is_there_as_soon_as_the_tile_before_it_is_full() -> None:
    store, edge = grown(255)

    assert edge.size == 257
    assert leaves_of(store, 257)[256][0] == Kind.LOG


@given(borders=st.lists(st.integers(0, 600), min_size=1, max_size=6))
def test_log_is_the_same_wherever_it_stopped_on_its_way(borders: list[int]) -> None:
    stops = [*sorted(borders), 600]
    store, edge = LogStore(), Edge()
    for start, end in pairwise([0, *stops]):
        edge = store.grow(read_edge(edge.size, store.read), entries(end - start, start))
    at_once, edge_at_once = grown(600)

    assert edge == edge_at_once
    assert at_once.objects.items() <= store.objects.items()


@pytest.mark.parametrize("others", [others_in(size) for size in SIZES])
def test_root_of_the_edge_and_of_the_tiles_are_those_of_the_leaves(others: int) -> None:
    store, edge = grown(others)
    leaves = [rfc6962.leaf(entry) for entry in leaves_of(store, edge.size)]

    assert len(leaves) == edge.size == size_with(others)
    assert edge.root() == TileTree(edge.size, store.read).root() == rfc6962.mth(leaves)
    assert read_edge(edge.size, store.read) == edge


@pytest.mark.parametrize("size", SIZES)
def test_proofs_from_tiles_are_as_in_the_rfc(size: int) -> None:
    store, _ = grown(others_in(size))
    tree = TileTree(size, store.read)
    leaves = [rfc6962.leaf(entry) for entry in leaves_of(store, size)]

    for leaf in {*range(0, size, 37), size // 256 * 256, size - 1}:
        assert tree.inclusion_proof(leaf) == rfc6962.inclusion(leaf, leaves)
    for old in {*range(1, size, 37), size // 2 + 1, size}:
        assert tree.consistency_proof(old) == rfc6962.consistency(old, leaves)


def test_frontier_is_the_perfect_subtrees_from_the_left() -> None:
    store, edge = grown(3 * 255)
    leaves = [rfc6962.leaf(entry) for entry in leaves_of(store, edge.size)]

    frontier = TileTree(edge.size, store.read).frontier(768)
    assert frontier == [rfc6962.mth(leaves[:512]), rfc6962.mth(leaves[512:768])]


def test_proof_is_made_from_the_full_tile_where_the_partial_one_is_gone() -> None:
    store, _ = grown(100)
    old = TileTree(101, store.read).root()
    for name in [name for name in store.objects if ".p/" in name]:
        del store.objects[name]
    store.grow(Edge(), entries(300))

    tree = TileTree(101, store.read)
    assert tree.root() == old
    assert len(tree.entries(0)) == 101


@pytest.fixture(scope="module")
def large() -> tuple[LogStore, Edge, list[bytes]]:
    """Return a log with a run of level 1, grown in four steps, and its leaves."""
    store, edge = LogStore(), Edge()
    for start in range(0, 66_000, 16_500):
        edge = store.grow(read_edge(edge.size, store.read), entries(16_500, start))
    return store, edge, leaves_of(store, edge.size)


def test_large_log_has_tiles_of_three_levels(large: tuple[LogStore, Edge, list[bytes]]) -> None:
    store, edge, leaves = large

    hashes = [rfc6962.leaf(entry) for entry in leaves]
    assert edge.root() == rfc6962.mth(hashes)
    assert store.objects["tile/2/000.p/1"] == rfc6962.mth(hashes[:65536])
    assert split_hashes(store.objects["tile/1/000"])[7] == rfc6962.mth(hashes[7 * 256 : 8 * 256])


def test_roots_of_runs_are_in_the_leaves_after_them(
    large: tuple[LogStore, Edge, list[bytes]],
) -> None:
    _, _, leaves = large

    def items(start: int, end: int) -> list[bytes]:
        return sorted(
            leaves[leaf][1:33] + leaf.to_bytes(8) for leaf in range(start, end) if leaf % 256
        )

    def root(start: int, end: int) -> bytes:
        return rfc6962.mth([rfc6962.leaf(item) for item in items(start, end)])

    assert leaves[256] == bytes([Kind.LOG]) + root(0, 256) + NO_HASH
    assert leaves[512] == bytes([Kind.LOG]) + root(256, 512) + NO_HASH
    assert leaves[65536] == bytes([Kind.LOG]) + root(65280, 65536) + root(0, 65536)
    assert {leaves[leaf][33:] for leaf in range(256, 65536, 256)} == {NO_HASH}


@pytest.mark.parametrize(
    ("old", "size"),
    [(1, 65_537), (255, 49_695), (256, 65_536), (65_536, 65_537), (65_535, 66_259), (514, 40_000)],
)
def test_two_sizes_of_a_large_log_are_consistent(
    large: tuple[LogStore, Edge, list[bytes]], old: int, size: int
) -> None:
    store, _, _ = large
    tree, old_tree = TileTree(size, store.read), TileTree(old, store.read)

    proof = tree.consistency_proof(old)
    roots = old_tree.root(), tree.root()
    assert rfc6962.roots_from_consistency(old, size, roots[0], proof) == roots
    leaf = old - 1
    content = tree.entries(leaf // 256)[leaf % 256]
    inclusion = tree.inclusion_proof(leaf)
    root = rfc6962.root_from_inclusion(rfc6962.leaf(content), leaf, size, inclusion)
    assert root == tree.root()
