"""Stage 2: write the tiles that follow from the assigned entries, and sign a checkpoint.

What is written is a pure function of the entries. So publishing may crash anywhere, and may run
several times at once. It halts, and signs nothing, where what is stored does not fit together.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from aws_lambda_powertools import Logger

from consents.aws import metrics
from consents.proof import notes
from consents.proof.batches import Batch, Position
from consents.proof.entries import Kind, others_in
from consents.proof.growth import Edge, Growth, read_edge
from consents.proof.notes import Checkpoint, InvalidNote, Note, SignatureType, VerifierKey
from consents.proof.stores import AssignedBatches, LogObjects, Signer
from consents.proof.tiles import WIDTH, NotStored

MAX_ENTRIES, MAX_BATCHES = 1 << 17, 2000
"""Of one checkpoint, about: they bound memory, and what a crash repeats."""


log = Logger(child=True)


class LogHalted(Exception):
    """What is stored does not fit together: nothing was signed. The text says what."""


class Published(NamedTuple):
    """The size of the log, and the entries that were added."""

    size: int
    added: int


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes the log of an origin."""

    origin: str
    assigned: AssignedBatches
    objects: LogObjects
    signer: Signer

    def publish(self, has_time: Callable[[], bool]) -> Iterator[Published]:
        """Publish what is assigned, in one or more checkpoints, and return each.

        Ends where another run is faster, or time is short.

        Raises:
            LogHalted: what is stored does not fit together.
        """
        try:
            while has_time() and (published := self._publish_some()):
                yield published
        except NotStored:
            raise LogHalted("an object is gone") from None

    def _publish_some(self) -> Published | None:
        """Publish one checkpoint; return None where there is nothing to do, or no need to."""
        edge, version = self._published()
        batches = [position.batch for position in self._next_positions(edge)]
        if not batches and edge.size:
            return None
        entries = self._entries(batches)
        growth = Growth(edge, self.origin, self.objects.bundles)
        self.objects.write_new(growth.add(entries))
        self.objects.write_new(growth.partial_objects())
        is_published = self._sign(growth.edge, version)
        return Published(growth.edge.size, len(entries)) if is_published else None

    @property
    def _key(self) -> VerifierKey:
        return VerifierKey(self.origin, SignatureType.ED25519, self.signer.public_key)

    def _published(self) -> tuple[Edge, str]:
        """Return the right edge of the published log, and the version of its checkpoint."""
        stored = self.objects.checkpoint()
        if stored is None:
            return Edge(), ""
        try:
            note = notes.parse_note(stored.content)
            checkpoint = notes.parse_checkpoint(note.text)
        except InvalidNote:
            raise LogHalted("the published checkpoint is not one") from None
        if checkpoint.origin != self.origin or not self._key.has_signed(note):
            raise LogHalted("the published checkpoint is not signed by this log")
        edge = read_edge(checkpoint.size, self.objects.read)
        if edge.root() != checkpoint.root:
            raise LogHalted("the tiles are not those of the published checkpoint")
        return edge, stored.version

    def _next_positions(self, edge: Edge) -> Iterator[Position]:
        """Return the next batches, which follow each other without a gap."""
        start, end = others_in(edge.size), self.assigned.count()
        if end < start:
            raise LogHalted("fewer entries are assigned than are published")
        if start and not self._ends_with(edge, self.assigned.batch_before(start)):
            raise LogHalted("the assigned entries are not those that are published")
        if start == end:
            return
        last = min(end, start + MAX_ENTRIES)
        for position in islice(self.assigned.batches(start, last), MAX_BATCHES):
            if position.start != start:
                raise LogHalted("assigned entries are missing")
            yield position
            start = position.end
        if start == others_in(edge.size):
            raise LogHalted("assigned entries are missing")

    def _ends_with(self, edge: Edge, position: Position | None) -> bool:
        """Return whether the published log ends with the last entry of a batch."""
        entries = edge.entries
        if len(entries) == 1:  # of kind LOG: the last other entry is in the bundle before
            (entries,) = self.objects.bundles([edge.size // WIDTH - 1])
        end = others_in(edge.size), entries[-1]
        return position is not None and (position.end, position.batch.last) == end

    def _entries(self, batches: Sequence[Batch]) -> list[bytes]:
        entries: list[bytes] = []
        contents = self.objects.batches([batch.name for batch in batches])
        for batch, content in zip(batches, contents, strict=True):
            some = batch.split(content)
            if some is None or any(entry[0] == Kind.LOG for entry in some):
                raise LogHalted("a batch was changed before it was published")
            entries += some
        return entries

    def _sign(self, edge: Edge, version: str) -> bool:
        """Sign and publish a checkpoint; return False where another run was faster."""
        text = Checkpoint(self.origin, edge.size, edge.root()).text()
        signature = self._key.signature(self.signer.sign(text.encode()))
        return self.objects.replace_checkpoint(bytes(Note(text, (signature,))), version)


def publish(publisher: Publisher, has_time: Callable[[], bool]) -> bool:
    """Publish what is assigned; log each checkpoint, and alarm where the log halts.

    Returns whether it did not halt.
    """
    entries = 0
    try:
        for published in publisher.publish(has_time):
            entries += published.added
            log.info("log.published", size=published.size, entries=published.added)
    except LogHalted as halted:
        log.error("log.halted", reason=str(halted))
        metrics.write({"LogHalted": 1})
        return False
    metrics.write({"LogEntriesPublished": entries})
    return True
