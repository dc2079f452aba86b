"""What the two stages need of DynamoDB, S3 and KMS."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from consents.proof.batches import Batch, Position
from consents.proof.growth import LogObject


class Positions(Protocol):
    """Where positions are assigned, and seeds are kept."""

    def assign(self, batch: Batch, now: datetime) -> bool:
        """Assign the next positions to a batch, once; return whether it is new."""

    def add_organization(
        self, org_id: str, seed: bytes, part_roots: list[bytes], batch: Batch
    ) -> bool:
        """Keep an organization's seed and assign its entry a position; return whether it is new."""

    def seed(self, org_id: str) -> bytes | None:
        """Return an organization's seed, or None where it has no entry yet."""


class BatchObjects(Protocol):
    """Where the entries of batches are kept until they are published."""

    def write_batch(self, name: str, content: bytes) -> None:
        """Write the entries of a batch."""


class Stored(NamedTuple):
    """The published checkpoint, and what names this version of it."""

    content: bytes
    version: str


class AssignedBatches(Protocol):
    """Which batches have which positions."""

    def count(self) -> int:
        """Return how many entries have a position."""

    def batches(self, start: int, end: int) -> Iterable[Position]:
        """Return the batches that begin from a position up to another, in order."""

    def batch_before(self, start: int) -> Position | None:
        """Return the last batch that begins before a position."""


class LogObjects(Protocol):
    """The objects of the log."""

    def read(self, name: str) -> bytes:
        """Return an object, or raise `NotStored`."""

    def bundles(self, numbers: Sequence[int]) -> Iterable[list[bytes]]:
        """Return the entries of full bundles, or raise `NotStored`."""

    def batches(self, names: Sequence[str]) -> Iterable[bytes]:
        """Return the entries of batches, or raise `NotStored`."""

    def write_new(self, objects: Iterable[LogObject]) -> None:
        """Write objects; raise `LogHalted` where one is there with another content."""

    def checkpoint(self) -> Stored | None:
        """Return the published checkpoint, or None before the first."""

    def replace_checkpoint(self, content: bytes, version: str) -> bool:
        """Publish a checkpoint if a version is still there; return whether it did."""


class Signer(Protocol):
    """The log's Ed25519 key."""

    @property
    def public_key(self) -> bytes:
        """Return the public key, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
