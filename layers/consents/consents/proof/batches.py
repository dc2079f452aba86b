"""Batches: entries that were assigned their positions in the log together."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Self

from consents.proof import entries


@dataclass(frozen=True, slots=True)
class Batch:
    """Some entries, named by the hash of all of them."""

    name: str
    count: int
    last: bytes
    """The last entry: it shows where a published log ends."""

    @classmethod
    def of(cls, assigned: Sequence[bytes]) -> Self:
        """Return the batch of some entries."""
        content = b"".join(assigned)
        return cls(sha256(content).hexdigest(), len(assigned), assigned[-1])

    def split(self, content: bytes) -> list[bytes] | None:
        """Return the entries of the batch, or None for another content."""
        if sha256(content).hexdigest() != self.name or len(content) != self.count * entries.BYTES:
            return None
        return [content[at : at + entries.BYTES] for at in range(0, len(content), entries.BYTES)]


class Position(NamedTuple):
    """A batch and the number of its first entry, of those that are not of kind `LOG`."""

    start: int
    batch: Batch

    @property
    def end(self) -> int:
        """Return the number of the entry after it."""
        return self.start + self.batch.count
