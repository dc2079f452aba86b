"""The index of the log: its cover, and lookups that prove what is there and what is not."""

from hashlib import sha256
from itertools import pairwise

import pytest
from consents.proof import index, lookup
from consents.proof.entries import Kind, entry, tag_of
from consents.proof.growth import Edge
from consents.proof.index import Run
from consents.proof.lookup import Match

from tests.unit import rfc6962
from tests.unit.log_store import LogStore, entries


@pytest.mark.parametrize(
    ("size", "runs"),
    [
        (1, []),
        (256, []),
        (257, [Run(0, 0)]),
        (513, [Run(0, 0), Run(0, 1)]),
        (65536, [Run(0, number) for number in range(255)]),
        (65537, [Run(1, 0)]),
        (65793, [Run(1, 0), Run(0, 256)]),
        (3 * 65536 + 600, [Run(1, 0), Run(1, 1), Run(1, 2), Run(0, 768), Run(0, 769)]),
    ],
)
def test_cover_is_the_fewest_runs_whose_roots_are_below_the_size(
    size: int, runs: list[Run]
) -> None:
    assert index.cover(size) == runs
    assert size - (runs[-1].end if runs else 0) <= 256
    assert all(run.end < size for run in runs)


def test_root_of_a_run_is_in_the_tag_or_the_body_of_its_leaf() -> None:
    leaf = entry(Kind.LOG, b"t" * 32, b"b" * 32)

    assert Run(0, 3).root_in(leaf) == b"t" * 32
    assert Run(1, 3).root_in(leaf) == b"b" * 32


def check(matches: list[Match], size: int, root: bytes) -> None:
    """Fail where an item is not in the run of a root, or the items are not next to each other."""
    for one in matches:
        leaf = rfc6962.leaf(one.item)
        assert rfc6962.root_from_inclusion(leaf, one.at, size, one.proof) == root
    assert all(second.at - first.at == 1 for first, second in pairwise(matches))


TAGS = [entry(Kind.RECORD, bytes([number]) * 32, bytes(32)) for number in range(1, 256)]


@pytest.mark.parametrize(
    ("tag", "positions"),
    [
        (bytes([7]) * 32, [5, 6, 7]),
        (bytes([1]) * 32, [0, 1]),
        (bytes([255]) * 32, [253, 254]),
        (bytes([7]) * 31 + b"\0", [5, 6]),
        (bytes(32), [0]),
        (b"\xff" * 31 + b"\xfe", [253, 254]),
    ],
)
def test_lookup_in_a_bundle_has_the_items_of_a_tag_and_their_neighbors(
    tag: bytes, positions: list[int]
) -> None:
    items = index.bundle_items(4, [bytes(65), *reversed(TAGS)])

    matches = lookup.find(items, [tag])
    assert [one.at for one in matches] == positions
    check(matches, 255, index.run_root(items))


@pytest.fixture(scope="module")
def stored() -> LogStore:
    """Return a log with a run of level 1; every tenth record is of one contact."""
    of_one = [
        entries(1)[0][:33] + one[33:] if number % 10 == 0 else one
        for number, one in enumerate(entries(65_280, contacts=50_000))
    ]
    store = LogStore()
    store.grow(Edge(), of_one)
    return store


@pytest.mark.parametrize("contact", [0, 1, 2, 5_001, 49_999])
def test_lookup_in_a_stored_run_has_all_items_of_a_tag(stored: LogStore, contact: int) -> None:
    tag = tag_of(entries(1, contact, contacts=50_000)[0])
    bundles = stored.bundles(range(256))
    all_items = sorted(
        item for number, one in enumerate(bundles) for item in index.bundle_items(number, one)
    )
    root = stored.objects["index/1/000"][-32:]

    matches = lookup.find_stored(0, [tag], stored.read_range)
    assert [one.item for one in matches if one.item.startswith(tag)] == [
        item for item in all_items if item.startswith(tag)
    ]
    assert [one.item for one in matches] == [all_items[one.at] for one in matches]
    check(matches, 65_280, root)
    assert not matches[0].item.startswith(tag) or matches[0].at == 0
    assert not matches[-1].item.startswith(tag) or matches[-1].at == 65_279


@pytest.mark.parametrize("tag", [bytes(32), b"\xff" * 32, b"\x80" * 32])
def test_lookup_of_an_absent_tag_has_only_its_neighbors(stored: LogStore, tag: bytes) -> None:
    matches = lookup.find_stored(0, [tag], stored.read_range)

    assert len(matches) == (2 if tag[0] == 0x80 else 1)
    check(matches, 65_280, stored.objects["index/1/000"][-32:])
    assert [one.item < tag for one in matches] == (
        [True, False] if tag[0] == 0x80 else [tag[0] > 0]
    )


def test_lookup_in_a_stored_run_reads_a_fortieth_of_it() -> None:
    tags = [sha256(b"%d" % number).digest() for number in range(65_280)]
    run = index.write_run(sorted(tag + bytes(8) for tag in tags))
    read = 0

    def read_range(_: str, start: int, end: int) -> bytes:
        nonlocal read
        read += end - start
        return run[start:end]

    for tag in tags[:20]:
        lookup.find_stored(0, [tag], read_range)
    assert read / 20 < len(run) / 40
