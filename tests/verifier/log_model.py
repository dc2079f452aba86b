"""A log in memory with its keys, written from the definitions of the RFCs and C2SP alone."""

import base64
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "log.example.com/consents"
LOG, RECORD, CHANGED, REMOVED, ORGANIZATION, BACKFILLED = range(6)


def b64(data: bytes) -> str:
    """Return base64."""
    return base64.b64encode(data).decode()


def digest(text: str) -> bytes:
    """Return the SHA-256 of a text: a stand-in for any 32 bytes."""
    return sha256(text.encode()).digest()


class Tree:
    """RFC 6962, section 2.1, as it is written there: recursive, over the hashes of leaves."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = [sha256(b"\0" + leaf).digest() for leaf in leaves]
        self._known: dict[tuple[int, int], bytes] = {}

    def root(self, start: int, end: int) -> bytes:
        """Return MTH(D[start:end])."""
        if end - start == 1:
            return self.leaves[start]
        if (start, end) not in self._known:
            middle = start + _split(end - start)
            both = self.root(start, middle) + self.root(middle, end)
            self._known[start, end] = sha256(b"\1" + both).digest()
        return self._known[start, end]

    def path(self, leaf: int, start: int, end: int) -> list[bytes]:
        """Return PATH(leaf - start, D[start:end])."""
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if leaf < middle:
            return [*self.path(leaf, start, middle), self.root(middle, end)]
        return [*self.path(leaf, middle, end), self.root(start, middle)]

    def consistency(self, size: int, end: int) -> list[bytes]:
        """Return PROOF(size, D[0:end])."""
        return self._subproof(size, 0, end, True)

    def _subproof(self, size: int, start: int, end: int, is_whole: bool) -> list[bytes]:
        if size == end - start:
            return [] if is_whole else [self.root(start, end)]
        half = _split(end - start)
        if size <= half:
            left = self._subproof(size, start, start + half, is_whole)
            return [*left, self.root(start + half, end)]
        right = self._subproof(size - half, start + half, end, False)
        return [*right, self.root(start, start + half)]


def _split(size: int) -> int:
    """Return the largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


@dataclass(frozen=True)
class Signer:
    """A key of a log (type 1) or of a witness (type 4)."""

    name: str
    type: int

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(digest(f"key of {self.name} {self.type}"))

    @property
    def material(self) -> bytes:
        """Return type and public key."""
        return bytes([self.type]) + self._key.public_key().public_bytes_raw()

    @property
    def id(self) -> bytes:
        """Return the key id."""
        return sha256(self.name.encode() + b"\n" + self.material).digest()[:4]

    @property
    def vkey(self) -> str:
        """Return the verifier key."""
        return f"{self.name}+{self.id.hex()}+{b64(self.material)}"

    @property
    def private(self) -> str:
        """Return the key as the file of an auditor has it."""
        seed = bytes([self.type]) + self._key.private_bytes_raw()
        return f"PRIVATE+KEY+{self.name}+{self.id.hex()}+{b64(seed)}"

    def sign(self, text: str) -> str:
        """Return the signature line of a note."""
        return f"— {self.name} {b64(self.id + self._key.sign(text.encode()))}\n"

    def cosign(self, text: str, time: int) -> str:
        """Return the line of a cosignature of a time."""
        signature = self._key.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
        return f"— {self.name} {b64(self.id + time.to_bytes(8, 'big') + signature)}\n"


LOG_KEY = Signer(ORIGIN, 1)
WITNESSES = (Signer("witness.example.org/one", 4), Signer("witness.example.net/two", 4))
AUDITOR = Signer("auditor.example.org", 4)

POLICY = f"""\
# keys of the tests
log {LOG_KEY.vkey} https://log.example.com/v1/log
witness one {WITNESSES[0].vkey}
witness two {WITNESSES[1].vkey}
witness carol {AUDITOR.vkey}
group auditors any carol
group both all one two
quorum both
"""


@dataclass
class Log:
    """The leaves of a log, and everything that is derived from them."""

    origin: str = ORIGIN
    key: Signer = LOG_KEY
    entries: list[bytes] = field(default_factory=list)
    false_roots: dict[int, bytes] = field(default_factory=dict)
    """Roots of runs of level 0 by their leaves that are not those of the entries."""

    def __post_init__(self) -> None:
        body = digest("consent-ledger/log/v1")
        self.entries.append(bytes([LOG]) + digest(self.origin) + body)

    @property
    def size(self) -> int:
        """Return how many leaves there are."""
        return len(self.entries)

    def add(self, kind: int, tag: bytes, body: bytes) -> int:
        """Add an entry, and return its leaf; a leaf of kind 0 follows where a tile is full."""
        self.entries.append(bytes([kind]) + tag + body)
        leaf = self.size - 1
        if self.size % 256 == 0:
            self._add_roots()
        return leaf

    def _add_roots(self) -> None:
        size = self.size
        tag = self.false_roots.get(size) or self.run_root(0, size // 256 - 1)
        body = self.run_root(1, size // 65536 - 1) if size % 65536 == 0 else bytes(32)
        self.entries.append(bytes([LOG]) + tag + body)

    def fill(self, count: int) -> None:
        """Add leaves of other contacts."""
        for _ in range(count):
            self.add(RECORD, digest(f"tag {self.size}"), digest(f"body {self.size}"))

    def items(self, level: int, number: int) -> list[bytes]:
        """Return the sorted items of a run of the index."""
        span = 256 ** (level + 1)
        return sorted(
            self.entries[leaf][1:33] + leaf.to_bytes(8, "big")
            for leaf in range(number * span, (number + 1) * span)
            if leaf % 256
        )

    def run_root(self, level: int, number: int) -> bytes:
        """Return the root of a run of the index."""
        items = self.items(level, number)
        return Tree(items).root(0, len(items))

    def tree(self) -> Tree:
        """Return the tree over the leaves that there are now."""
        return Tree(self.entries)

    def text(self, size: int) -> str:
        """Return the text of the checkpoint of a size."""
        return f"{self.origin}\n{size}\n{b64(self.tree().root(0, size))}\n"

    def checkpoint(self, size: int, cosigned: dict[Signer, int] | None = None) -> str:
        """Return a checkpoint that the log signed, and witnesses at some times."""
        text = self.text(size)
        lines = [witness.cosign(text, time) for witness, time in (cosigned or {}).items()]
        return f"{text}\n{self.key.sign(text)}{''.join(lines)}"

    def export(self, directory: Path, checkpoint: str) -> None:
        """Write the log as static files."""
        bundles = [len(entry).to_bytes(2, "big") + entry for entry in self.entries]
        _write_tiles(directory / "tile/entries", bundles)
        nodes, level = self.tree().leaves, 0
        while nodes:
            _write_tiles(directory / f"tile/{level}", nodes)
            full = range(0, len(nodes) // 256 * 256, 256)
            nodes = [_tile_root(nodes[i : i + 256]) for i in full]
            level += 1
        (directory / "checkpoint").write_text(checkpoint)


def _tile_root(nodes: list[bytes]) -> bytes:
    while len(nodes) > 1:
        pairs = zip(nodes[::2], nodes[1::2], strict=True)
        nodes = [sha256(b"\1" + left + right).digest() for left, right in pairs]
    return nodes[0]


def _write_tiles(directory: Path, nodes: list[bytes]) -> None:
    for i in range(0, len(nodes), 256):
        tile, number = nodes[i : i + 256], i // 256
        name = f"{number:03}" if number < 1000 else f"x{number // 1000:03}/{number % 1000:03}"
        path = directory / (name if len(tile) == 256 else f"{name}.p/{len(tile)}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(tile))
