"""The index of the log: for fixed ranges of leaves, their tags in order, with a Merkle root.

A run of level 0 covers the 256 leaves of a bundle, a run of level 1 those of 256 bundles. Its items
are `tag || leaf` of the leaves that are not of kind `LOG`, sorted. Its root is in a fixed leaf
after it. A run of level 0 is made from its bundle; one of level 1 is stored.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from consents.proof import tlog
from consents.proof.entries import tag_of
from consents.proof.tiles import WIDTH, name_part

ITEM_BYTES, BLOCK_ITEMS = 40, WIDTH
"""Of the items that have one hash in a stored run."""

BLOCKS = WIDTH - 1
"""Of a stored run."""


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
    hashes = [run_root(items[at : at + BLOCK_ITEMS]) for at in range(0, len(items), BLOCK_ITEMS)]
    return b"".join([*items, *hashes, tlog.tree_hash(hashes)])
