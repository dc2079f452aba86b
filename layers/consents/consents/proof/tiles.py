"""A tree that is stored in tiles: their names, and proofs made from them (C2SP tlog-tiles).

A tile has up to 256 hashes of one level, a bundle the entries below a tile of level 0.
"""

from collections.abc import Callable, Sequence

from consents.proof import tlog

WIDTH = 256
"""Hashes of a full tile, and entries of a full bundle."""

_HEIGHT, _HASH = 8, 32

type Read = Callable[[str], bytes]
"""Returns the content of an object by its name, or raises `NotStored`."""


class NotStored(LookupError):
    """There is no object of this name."""


def tile_name(level: int, number: int, width: int = WIDTH) -> str:
    """Return the name of a tile."""
    return f"tile/{level}/{name_part(number, width)}"


def bundle_name(number: int, width: int = WIDTH) -> str:
    """Return the name of an entry bundle."""
    return f"tile/entries/{name_part(number, width)}"


def name_part(number: int, width: int = WIDTH) -> str:
    """Return a number in groups of three digits: `x001/x234/067`, partial `x001/x234/067.p/8`."""
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    return "/".join(groups) + (f".p/{width}" if width < WIDTH else "")


def is_partial(name: str) -> bool:
    """Return whether a name is that of a tile or bundle that is not full."""
    return ".p/" in name


def tile_width(size: int, level: int, number: int) -> int:
    """Return how many hashes a tile has in the tree of a size."""
    return min(WIDTH, (size >> _HEIGHT * level) - WIDTH * number)


def write_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the content of a bundle: each entry after its length."""
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def read_bundle(content: bytes) -> list[bytes]:
    """Return the entries of a bundle."""
    entries, at = [], 0
    while at < len(content):
        end = at + 2 + int.from_bytes(content[at : at + 2])
        entries.append(content[at + 2 : end])
        at = end
    return entries


def split_hashes(content: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [content[at : at + _HASH] for at in range(0, len(content), _HASH)]


class TileTree:
    """The tree of one size, read from its tiles; keeps the tiles that it has read."""

    def __init__(self, size: int, read: Read) -> None:
        self.size = size
        self._read = read
        self._tiles: dict[tuple[int, int], list[list[bytes]]] = {}

    def root(self) -> bytes:
        """Return the root hash."""
        return tlog.subtree_hash(self._node, 0, self.size)

    def inclusion_proof(self, leaf: int) -> list[bytes]:
        """Return the proof that a leaf is in the tree."""
        return tlog.inclusion_proof(self._node, leaf, self.size)

    def consistency_proof(self, old: int) -> list[bytes]:
        """Return the proof that the tree extends the tree of an older size."""
        return tlog.consistency_proof(self._node, old, self.size)

    def frontier(self, end: int) -> list[bytes]:
        """Return the hashes of the perfect subtrees of the leaves up to `end`, left to right."""
        hashes, start = [], 0
        for level in reversed(range(end.bit_length())):
            if end >> level & 1:
                hashes.append(self._node(level, start >> level))
                start += 1 << level
        return hashes

    def entries(self, number: int) -> list[bytes]:
        """Return the entries of a bundle, as many as it has in this tree."""
        width = tile_width(self.size, 0, number)
        content = self._content(bundle_name(number, width), bundle_name(number))
        return read_bundle(content)[:width]

    def hashes(self, level: int, number: int) -> list[bytes]:
        """Return the hashes of a tile, as many as it has in this tree."""
        return self._tile(level, number)[0]

    def _node(self, level: int, number: int) -> bytes:
        tile_level, height = divmod(level, _HEIGHT)
        tile, at = divmod(number, WIDTH >> height)
        return self._tile(tile_level, tile)[height][at]

    def _tile(self, level: int, number: int) -> list[list[bytes]]:
        """Return the levels within a tile, from its hashes up."""
        if (level, number) not in self._tiles:
            width = tile_width(self.size, level, number)
            content = self._content(tile_name(level, number, width), tile_name(level, number))
            self._tiles[level, number] = tlog.levels(split_hashes(content)[:width])
        return self._tiles[level, number]

    def _content(self, name: str, full_name: str) -> bytes:
        """Return an object, or the full one where the partial one is gone."""
        try:
            return self._read(name)
        except NotStored:
            if name == full_name:
                raise
            return self._read(full_name)
