"""Proofs from the index: all leaves that have one of some tags, and that there are no others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from consents.proof import index, lookup
from consents.proof.entries import tag_of
from consents.proof.index import Run
from consents.proof.lookup import Match, ReadRange
from consents.proof.tiles import WIDTH, TileTree

_KEPT_BUNDLES = 64
"""The root of a run of level 0 is in the bundle of the next run."""

type MapRuns = Callable[[Callable[[Run], RunProof], Iterable[Run]], Iterator[RunProof]]


@dataclass(frozen=True, slots=True)
class RunProof:
    """A run with the leaf that has its root, and what it has of the tags.

    `items` are those of the tags, with one neighbor on each side, in order.
    """

    run: Run
    entry: bytes
    proof: list[bytes]
    """Leads from `entry`, which is leaf `run.end`, to the root of the log."""

    items: list[Match]


@dataclass(frozen=True, slots=True)
class IndexProof:
    """The runs of a log's cover, and the leaves after them."""

    runs: list[RunProof]
    frontier: list[bytes]
    """Hashes of the perfect subtrees of the leaves before the tail, left to right."""

    tail: list[bytes]
    """Entries from there up to the size."""

    def leaves(self, tags: Sequence[bytes]) -> list[int]:
        """Return all leaves that have one of some tags, in order."""
        items = (match.item for one in self.runs for match in one.items)
        indexed = [int.from_bytes(item[32:]) for item in items if item[:32] in tags]
        start = self.runs[-1].run.end if self.runs else 0
        tail = [leaf for leaf, entry in enumerate(self.tail, start) if _has_tag(leaf, entry, tags)]
        return sorted(indexed) + tail


def prove_index(
    tree: TileTree, read: ReadRange, tags: Sequence[bytes], each: MapRuns = map
) -> IndexProof:
    """Return the proof of all leaves of a log that have one of some tags.

    `each` may call a function for several runs at a time.
    """
    cover = index.cover(tree.size)
    start = cover[-1].end if cover else 0
    bundle = lru_cache(_KEPT_BUNDLES)(tree.entries)

    def prove(run: Run) -> RunProof:
        if run.level:
            items = lookup.find_stored(run.number, tags, read)
        else:
            items = lookup.find(index.bundle_items(run.number, bundle(run.number)), tags)
        return RunProof(run, bundle(run.end // WIDTH)[0], tree.inclusion_proof(run.end), items)

    return IndexProof([*each(prove, cover)], tree.frontier(start), tree.entries(start // WIDTH))


def _has_tag(leaf: int, entry: bytes, tags: Sequence[bytes]) -> bool:
    return leaf % WIDTH > 0 and tag_of(entry) in tags
