"""The index of the log: for fixed ranges of leaves, their tags in order, with a Merkle root.

A run of level 0 covers the 256 leaves of a bundle, a run of level 1 those of 256 bundles. Its items
are `tag || leaf` of the leaves that are not of kind `LOG`, sorted. Its root is in a fixed leaf
after it. A run of level 0 is made from its bundle; one of level 1 is stored.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

from consents.proof import tlog
from consents.proof.entries import tag_of
from consents.proof.tiles import WIDTH, name_part, split_hashes

ITEM_BYTES = 40
_HASH_BYTES = 32
_BLOCK = WIDTH
"""Items below one stored hash."""

_BLOCKS = WIDTH - 1
_ITEMS = _BLOCKS * _BLOCK
"""Items of a run of level 1."""

_ITEMS_BYTES = _ITEMS * ITEM_BYTES

type ReadRange = Callable[[str, int, int], bytes]
"""Returns the bytes of an object from an offset up to another."""


class Run(NamedTuple):
    """A run, by its level and its number within the level."""

    level: int
    number: int

    @property
    def end(self) -> int:
        """Return the first leaf after the run, which has its root."""
        return self.number + 1 << 8 * (self.level + 1)

    def root_in(self, entry: bytes) -> bytes:
        """Return the run's root in the entry after its leaves."""
        return entry[33:] if self.level else entry[1:33]


class Match(NamedTuple):
    """An item of a run: its position, and the proof that leads to the run's root."""

    at: int
    item: bytes
    proof: list[bytes]


def cover(size: int) -> list[Run]:
    """Return the fewest runs from leaf 0 whose roots are below a size, largest first.

    At most 256 leaves are after them: the tail.
    """
    large, small = (size - 1) // WIDTH**2, (size - 1) // WIDTH
    return [Run(1, number) for number in range(large)] + [
        Run(0, number) for number in range(large * WIDTH, small)
    ]


def run_name(number: int) -> str:
    """Return the name of the object that holds a run of level 1."""
    return f"index/1/{name_part(number)}"


def bundle_items(number: int, entries: Sequence[bytes]) -> list[bytes]:
    """Return the items of a full bundle, sorted."""
    first = number * WIDTH
    return sorted(
        tag_of(entry) + leaf.to_bytes(8) for leaf, entry in enumerate(entries[1:], first + 1)
    )


def run_root(items: Iterable[bytes]) -> bytes:
    """Return the root of a run by its items."""
    return tlog.tree_hash([tlog.leaf_hash(item) for item in items])


def write_run(items: Sequence[bytes]) -> bytes:
    """Return the object of a run of level 1: its items, a hash of each 256 of them, its root."""
    hashes = [run_root(items[at : at + _BLOCK]) for at in range(0, len(items), _BLOCK)]
    return b"".join([*items, *hashes, tlog.tree_hash(hashes)])


def find(items: Sequence[bytes], tag: bytes) -> list[Match]:
    """Return a tag's items in a run of level 0, with one neighbor on each side."""
    tree = tlog.levels([tlog.leaf_hash(item) for item in items])
    return [Match(at, items[at], tlog.path(tree, at)) for at in _with_neighbors(items, tag)]


def find_stored(number: int, tag: bytes, read: ReadRange) -> list[Match]:
    """Return a tag's items in a run of level 1, with one neighbor on each side."""
    name = run_name(number)
    first, items = _window(name, tag, read)
    hashes = split_hashes(read(name, _ITEMS_BYTES, _ITEMS_BYTES + _BLOCKS * _HASH_BYTES))
    above = tlog.levels(hashes)

    @cache
    def block(at: int) -> list[list[bytes]]:
        return tlog.levels([tlog.leaf_hash(item) for item in items[at * _BLOCK :][:_BLOCK]])

    def proof(at: int) -> list[bytes]:
        below = tlog.path(block(at // _BLOCK), at % _BLOCK)
        return below + tlog.path(above, first + at // _BLOCK)

    return [Match(first * _BLOCK + at, items[at], proof(at)) for at in _with_neighbors(items, tag)]


def _window(name: str, tag: bytes, read: ReadRange) -> tuple[int, list[bytes]]:
    """Return whole blocks that hold a tag's items with their neighbors, after their first number.

    Tags are uniformly distributed: the first look, at five blocks, nearly always suffices.
    """
    middle, reach = int.from_bytes(tag[:4]) * _BLOCKS >> 32, 2
    while True:
        first, last = max(0, middle - reach), min(_BLOCKS, middle + reach + 1)
        items = _items(read(name, first * _BLOCK * ITEM_BYTES, last * _BLOCK * ITEM_BYTES))
        start, end = _range(items, tag)
        if (start or not first) and (end < len(items) or last == _BLOCKS):
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
