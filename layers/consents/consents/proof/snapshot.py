"""The log as one checkpoint has it, and all that it has of a subject."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from consents.proof import notes
from consents.proof.entries import Kind
from consents.proof.index_proof import IndexProof, prove_index
from consents.proof.lookup import ReadRange
from consents.proof.subject import Subject
from consents.proof.tiles import WIDTH, Read, TileTree


class Each(Protocol):
    """Calls a function for each thing in order, perhaps several at a time."""

    def __call__[T, R](self, act: Callable[[T], R], things: Iterable[T], /) -> Iterator[R]: ...


class Snapshot:
    """The log up to a checkpoint, read from its objects."""

    def __init__(self, note: bytes, read: Read, read_range: ReadRange, each: Each = map) -> None:
        """`note` is the checkpoint as it is stored, with its signatures."""
        self.note = note
        self.checkpoint = notes.parse_checkpoint(notes.parse_note(note).text)
        self.size = self.checkpoint.size
        self.tree = TileTree(self.size, read)
        self.read = read
        self.read_range = read_range
        self.each = each

    def entry(self, leaf: int) -> bytes:
        """Return the entry of a leaf."""
        return self.tree.entries(leaf // WIDTH)[leaf % WIDTH]


class Findings(NamedTuple):
    """What a log has of a subject: entries by their leaves, and the proof that these are all."""

    subject: Subject
    proof: IndexProof
    leaves: Mapping[int, bytes]


def find(log: Snapshot, subject: Subject) -> Findings:
    """Return what a log has of a subject: no table where its organization has no entry."""
    proof = prove_index(log.tree, log.read_range, subject.tags, log.each)
    numbers = proof.leaves(subject.tags)
    leaves = dict(zip(numbers, log.each(log.entry, numbers), strict=True))
    if subject.table and all(entry[0] != Kind.ORGANIZATION for entry in leaves.values()):
        return find(log, subject.without_table())
    return Findings(subject, proof, leaves)
