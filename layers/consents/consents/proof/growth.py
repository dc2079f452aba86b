"""How a log grows: the objects that follow from its right edge and new entries.

All of it is a pure function of the entries: a repeat makes the same bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from consents.proof import index, tlog
from consents.proof.entries import NO_HASH, Kind, entry, first_entry
from consents.proof.tiles import (
    WIDTH,
    Read,
    TileTree,
    bundle_name,
    tile_name,
    write_bundle,
)

type LogObject = tuple[str, bytes]
"""The name and the content of an object."""

type StoredBundles = Callable[[Sequence[int]], Iterable[list[bytes]]]
"""Returns the entries of full bundles that are stored, by their numbers."""


@dataclass(slots=True)
class Edge:
    """The right edge of a log: its size, its unfinished bundle, its unfinished tiles by level."""

    size: int = 0
    entries: list[bytes] = field(default_factory=list)
    tiles: list[list[bytes]] = field(default_factory=list)

    def root(self) -> bytes:
        """Return the root hash of the log."""
        below: list[bytes] = []
        for hashes in self.tiles:
            nodes = hashes + below
            below = [tlog.tree_hash(nodes)] if nodes else []
        return tlog.tree_hash(below)


def read_edge(size: int, read: Read) -> Edge:
    """Return the right edge of the log of a size."""
    tree, edge = TileTree(size, read), Edge(size)
    if size % WIDTH:
        edge.entries = tree.entries(size // WIDTH)
    level = 0
    while width := size >> 8 * level:
        has_partial = width % WIDTH
        edge.tiles.append(tree.hashes(level, width // WIDTH) if has_partial else [])
        level += 1
    return edge


class Growth:
    """Grows a log by entries, and returns the objects to store."""

    def __init__(self, edge: Edge, origin: str, stored_bundles: StoredBundles) -> None:
        """`edge` changes with the log."""
        self.edge = edge
        self._origin = origin
        self._stored_bundles = stored_bundles
        self._runs: dict[int, list[bytes]] = {}
        """Items of the bundles that were filled, of those since the last run of level 1."""

    def add(self, entries: Sequence[bytes]) -> Iterator[LogObject]:
        """Add entries that are not of kind `LOG`, and return the objects that are full now."""
        if not self.edge.size:
            self._append([first_entry(self._origin)])
        at = 0
        while at < len(entries):
            room = WIDTH - len(self.edge.entries)
            self._append(entries[at : at + room])
            at += room
            if len(self.edge.entries) == WIDTH:
                yield from self._full()

    def partial_objects(self) -> Iterator[LogObject]:
        """Return the unfinished bundle and tiles."""
        size, entries = self.edge.size, self.edge.entries
        yield bundle_name(size // WIDTH, len(entries)), write_bundle(entries)
        for level, hashes in enumerate(self.edge.tiles):
            if hashes:
                yield tile_name(level, size >> 8 * (level + 1), len(hashes)), b"".join(hashes)

    def _append(self, entries: Sequence[bytes]) -> None:
        """Add entries to the unfinished bundle, which has room for them."""
        self.edge.entries += entries
        self._level(0).extend(map(tlog.leaf_hash, entries))
        self.edge.size += len(entries)

    def _full(self) -> Iterator[LogObject]:
        """Return the objects that the full bundle completes, and begin the next with its root."""
        size, entries = self.edge.size, self.edge.entries
        number = size // WIDTH - 1
        yield bundle_name(number), write_bundle(entries)
        yield from self._full_tiles()
        self._runs[number] = index.bundle_items(number, entries)
        tag, body = index.run_root(self._runs[number]), NO_HASH
        if size % WIDTH**2 == 0:
            run = size // WIDTH**2 - 1
            content = index.write_run(self._run_items(run))
            yield index.run_name(run), content
            body = content[-32:]
        self.edge.entries = []
        self._append([entry(Kind.LOG, tag, body)])

    def _full_tiles(self) -> Iterator[LogObject]:
        level = 0
        while len(hashes := self._level(level)) == WIDTH:
            number = (self.edge.size >> 8 * (level + 1)) - 1
            yield tile_name(level, number), b"".join(hashes)
            self.edge.tiles[level] = []
            level += 1
            self._level(level).append(tlog.tree_hash(hashes))

    def _level(self, level: int) -> list[bytes]:
        if level == len(self.edge.tiles):
            self.edge.tiles.append([])
        return self.edge.tiles[level]

    def _run_items(self, number: int) -> list[bytes]:
        """Return the sorted items of a run of level 1, and forget those of its bundles."""
        bundles = range(number * WIDTH, (number + 1) * WIDTH)
        stored = [one for one in bundles if one not in self._runs]
        runs = map(index.bundle_items, stored, self._stored_bundles(stored))
        items = sorted(chain.from_iterable([*runs, *self._runs.values()]))
        self._runs.clear()
        return items
