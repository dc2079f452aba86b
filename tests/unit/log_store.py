"""A log in memory: the objects of a bucket, and entries to grow it by."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from consents.proof.entries import Kind, entry
from consents.proof.growth import Edge, Growth
from consents.proof.tiles import bundle_name, read_bundle

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
    """Objects by their names; an object is written once."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def read(self, name: str) -> bytes:
        """Return an object."""
        return self.objects[name]

    def read_range(self, name: str, start: int, end: int) -> bytes:
        """Return the bytes of an object from an offset up to another."""
        return self.objects[name][start:end]

    def write(self, objects: Iterable[tuple[str, bytes]]) -> None:
        """Write objects; one that is there has the same bytes."""
        for name, content in objects:
            assert self.objects.setdefault(name, content) == content

    def grow(self, edge: Edge, added: Sequence[bytes]) -> Edge:
        """Add entries to a log, store what follows, and return its edge."""
        growth = Growth(edge, ORIGIN, self.bundles)
        self.write(growth.add(added))
        self.write(growth.partial_objects())
        return growth.edge

    def bundles(self, numbers: Sequence[int]) -> Iterable[list[bytes]]:
        """Return the entries of full bundles."""
        return [read_bundle(self.objects[bundle_name(number)]) for number in numbers]
