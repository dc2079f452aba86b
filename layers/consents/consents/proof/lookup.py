"""Lookups in runs of the index: the items of some tags, with proofs that there are no others."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

from consents.proof import tlog
from consents.proof.index import BLOCK_ITEMS, BLOCKS, ITEM_BYTES, run_name
from consents.proof.tiles import split_hashes

_ITEMS_BYTES, _HASHES_BYTES = BLOCKS * BLOCK_ITEMS * ITEM_BYTES, BLOCKS * 32

type ReadRange = Callable[[str, int, int], bytes]
"""Returns the bytes of an object from an offset up to another."""


class Match(NamedTuple):
    """An item of a run: its position, and the proof that leads to the run's root."""

    at: int
    item: bytes
    proof: list[bytes]


def find(items: Sequence[bytes], tags: Iterable[bytes]) -> list[Match]:
    """Return the items of some tags in a run of level 0, each with its neighbors, in order."""
    tree = tlog.levels([tlog.leaf_hash(item) for item in items])
    positions = {at for tag in tags for at in _with_neighbors(items, tag)}
    return [Match(at, items[at], tlog.path(tree, at)) for at in sorted(positions)]


def find_stored(number: int, tags: Iterable[bytes], read: ReadRange) -> list[Match]:
    """Return the items of some tags in a run of level 1, each with its neighbors, in order."""
    name = run_name(number)
    hashes = read(name, _ITEMS_BYTES, _ITEMS_BYTES + _HASHES_BYTES)
    above = tlog.levels(split_hashes(hashes))
    found = {one.at: one for tag in tags for one in _find_one(name, tag, read, above)}
    return [found[at] for at in sorted(found)]


def _find_one(
    name: str, tag: bytes, read: ReadRange, above: Sequence[Sequence[bytes]]
) -> Iterable[Match]:
    first, items = _window(name, tag, read)

    @cache
    def block(at: int) -> list[list[bytes]]:
        return tlog.levels(
            [tlog.leaf_hash(item) for item in items[at * BLOCK_ITEMS :][:BLOCK_ITEMS]]
        )

    for at in _with_neighbors(items, tag):
        number, within = divmod(at, BLOCK_ITEMS)
        proof = tlog.path(block(number), within) + tlog.path(above, first + number)
        yield Match(first * BLOCK_ITEMS + at, items[at], proof)


def _window(name: str, tag: bytes, read: ReadRange) -> tuple[int, list[bytes]]:
    """Return whole blocks that hold a tag's items with their neighbors, after their first number.

    Tags are uniformly distributed: the first look, at five blocks, nearly always suffices.
    """
    middle, reach = int.from_bytes(tag[:4]) * BLOCKS >> 32, 2
    while True:
        first, last = max(0, middle - reach), min(BLOCKS, middle + reach + 1)
        start, end = (block * BLOCK_ITEMS * ITEM_BYTES for block in (first, last))
        items = _items(read(name, start, end))
        below, above = _range(items, tag)
        if (below or not first) and (above < len(items) or last == BLOCKS):
            return first, items
        reach *= 4


def _items(content: bytes) -> list[bytes]:
    return [content[at : at + ITEM_BYTES] for at in range(0, len(content), ITEM_BYTES)]


def _with_neighbors(items: Sequence[bytes], tag: bytes) -> range:
    start, end = _range(items, tag)
    return range(max(0, start - 1), min(len(items), end + 1))


def _range(items: Sequence[bytes], tag: bytes) -> tuple[int, int]:
    """Return where a tag's items begin and end, or would be."""
    return bisect_left(items, tag), bisect_right(items, tag + b"\xff" * 8)
