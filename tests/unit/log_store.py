"""A log in memory: its bucket, its table and its key, and entries to grow it by."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256

from consents.proof.batches import Batch, Position
from consents.proof.entries import Kind, entry
from consents.proof.growth import Edge, Growth
from consents.proof.notes import SignatureType, VerifierKey
from consents.proof.publish import LogHalted
from consents.proof.stores import Stored
from consents.proof.tiles import NotStored, bundle_name, read_bundle
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.factories import NOW

ORIGIN = "log.example.com/test"


def entries(count: int, start: int = 0, contacts: int = 1000) -> list[bytes]:
    """Return entries of records of some contacts, from a number on."""
    return [
        entry(
            Kind.RECORD,
            sha256(b"contact %d" % (number % contacts)).digest(),
            sha256(b"record %d" % number).digest(),
        )
        for number in range(start, start + count)
    ]


class LogStore:
    """Objects by their names; the writes of some of them can fail."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.writes_left = 1 << 30
        """After so many writes the process is killed."""

    def read(self, name: str) -> bytes:
        """Return an object."""
        if name not in self.objects:
            raise NotStored
        return self.objects[name]

    def read_range(self, name: str, start: int, end: int) -> bytes:
        """Return the bytes of an object from an offset up to another."""
        return self.read(name)[start:end]

    def bundles(self, numbers: Sequence[int]) -> Iterable[list[bytes]]:
        """Return the entries of full bundles."""
        return [read_bundle(self.read(bundle_name(number))) for number in numbers]

    def batches(self, names: Sequence[str]) -> Iterable[bytes]:
        """Return the entries of batches."""
        return [self.read(f"batch/{name}") for name in names]

    def write_batch(self, name: str, content: bytes) -> None:
        """Write the entries of a batch."""
        self._write(f"batch/{name}", content)

    def write_new(self, objects: Iterable[tuple[str, bytes]]) -> None:
        """Write objects; one that is there has the same bytes."""
        for name, content in objects:
            if self.objects.get(name, content) != content:
                raise LogHalted("a stored object has another content")
            self._write(name, content)

    def checkpoint(self) -> Stored | None:
        """Return the published checkpoint."""
        content = self.objects.get("checkpoint")
        return None if content is None else Stored(content, content.hex())

    def replace_checkpoint(self, content: bytes, version: str) -> bool:
        """Publish a checkpoint if a version is still there."""
        if self.objects.get("checkpoint", b"").hex() != version:
            return False
        self._write("checkpoint", content)
        return True

    def _write(self, name: str, content: bytes) -> None:
        if not self.writes_left:
            raise KeyboardInterrupt
        self.writes_left -= 1
        self.objects[name] = content

    def grow(self, edge: Edge, added: Sequence[bytes]) -> Edge:
        """Add entries to a log, store what follows, and return its edge."""
        growth = Growth(edge, ORIGIN, self.bundles)
        self.write_new(growth.add(added))
        self.write_new(growth.partial_objects())
        return growth.edge


class LogPositions:
    """Positions and seeds; a batch has one position."""

    def __init__(self) -> None:
        self.positions: list[Position] = []
        self.organizations: dict[str, tuple[bytes, list[bytes]]] = {}
        self.assigned_to = 0

    def count(self) -> int:
        """Return how many entries have a position."""
        return self.assigned_to

    def assign(self, batch: Batch, now: datetime = NOW) -> bool:  # noqa: ARG002
        """Assign the next positions to a batch, once."""
        is_new = all(one.batch != batch for one in self.positions)
        if is_new:
            self.positions.append(Position(self.assigned_to, batch))
            self.assigned_to += batch.count
        return is_new

    def add_organization(
        self, org_id: str, seed: bytes, part_roots: list[bytes], batch: Batch
    ) -> bool:
        """Keep an organization's seed and assign its entry a position."""
        is_new = org_id not in self.organizations
        if is_new:
            self.organizations[org_id] = seed, part_roots
            self.assign(batch)
        return is_new

    def seed(self, org_id: str) -> bytes | None:
        """Return an organization's seed."""
        return self.organizations[org_id][0] if org_id in self.organizations else None

    def batches(self, start: int, end: int) -> Iterator[Position]:
        """Return the batches that begin from a position up to another."""
        return (one for one in self.positions if start <= one.start < end)

    def batch_before(self, start: int) -> Position | None:
        """Return the last batch that begins before a position."""
        return next((one for one in reversed(self.positions) if one.start < start), None)


class LogKey:
    """An Ed25519 key in memory; counts its signatures."""

    def __init__(self, seed: bytes = bytes(32)) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()
        self.signatures = 0

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        self.signatures += 1
        return self._key.sign(message)

    @property
    def verifier(self) -> VerifierKey:
        """Return the key that verifies the log's checkpoints."""
        return VerifierKey(ORIGIN, SignatureType.ED25519, self.public_key)
