"""The log's bucket: tiles, bundles and runs, the checkpoint, and batches before they are published.

Under `tile/` and `index/` an object is written once, and has the same content for ever.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched

from consents.aws.s3 import Lock, ObjectGone, Objects
from consents.proof import cosignatures, log_names, notes
from consents.proof.anchors import ANCHORS, TIMESTAMP, Anchor, anchor_name
from consents.proof.growth import LogObject
from consents.proof.notes import Signature
from consents.proof.publish import LogHalted
from consents.proof.snapshot import Snapshot
from consents.proof.stores import Stored
from consents.proof.tiles import NotStored, bundle_name, is_partial, read_bundle

CALLS_AT_A_TIME = 16
_OBJECTS_AT_A_TIME = 256

CHECKPOINT = "checkpoint"
POLICY = "policy"


class LogBucket:
    """Reads and writes the objects of the log."""

    def __init__(self, objects: Objects, partial_lock: Lock | None = None) -> None:
        """`partial_lock` is that of partial tiles and bundles; the bucket locks all others."""
        self._objects = objects
        self._partial_lock = partial_lock

    def read(self, name: str) -> bytes:
        """Return an object, or raise `NotStored`."""
        try:
            return self._objects.get(name)[0]
        except ObjectGone:
            raise NotStored from None

    def read_range(self, name: str, start: int, end: int) -> bytes:
        """Return the bytes of an object from an offset up to another, or raise `NotStored`."""
        try:
            return b"".join(self._objects.read(name, start=start, end=end))
        except ObjectGone:
            raise NotStored from None

    def bundles(self, numbers: Sequence[int]) -> Iterable[list[bytes]]:
        """Return the entries of full bundles, or raise `NotStored`."""
        return map(read_bundle, _each(self.read, map(bundle_name, numbers)))

    def batches(self, names: Sequence[str]) -> Iterable[bytes]:
        """Return the entries of batches, or raise `NotStored`."""
        return _each(self.read, map(_batch_name, names))

    def write_batch(self, name: str, content: bytes) -> None:
        """Write the entries of a batch."""
        self._objects.write(_batch_name(name), content)

    def write_new(self, objects: Iterable[LogObject]) -> None:
        """Write objects; raise `LogHalted` where one is there with another content."""
        for _ in _each(self._write_new, objects):
            pass

    def checkpoint(self) -> Stored | None:
        """Return the published checkpoint, or None before the first."""
        try:
            return Stored(*self._objects.get(CHECKPOINT))
        except ObjectGone:
            return None

    def snapshot(self) -> Snapshot | None:
        """Return the log up to the published checkpoint, or None before the first.

        If its size is anchored, with the bytes of the anchor: cosignatures that came later are in
        what `read_anchor` returns.
        """
        return self._published(self.stored_anchor)

    def cosigned_snapshot(self) -> Snapshot | None:
        """Return the log up to the published checkpoint with all its cosignatures, or None."""
        return self._published(self.cosigned_anchor)

    def anchored_snapshot(self) -> Snapshot | None:
        """Return the log up to its newest anchor with all its cosignatures, or None."""
        newest = max(self.anchor_sizes(), default=None)
        return None if newest is None else self._snapshot(self.cosigned_anchor(newest))

    def anchor_sizes(self) -> Iterator[int]:
        """Return the sizes that are anchored."""
        names = filter(log_names.is_note, self._objects.names(ANCHORS))
        return (int(name.removeprefix(ANCHORS)) for name in names)

    def read_anchor(self, size: int) -> Anchor:
        """Return the anchor of a size, or raise `NotStored`.

        With the cosignatures that came later, but where a timestamp is of the object's bytes.
        """
        if not self.has_timestamp(size):
            return Anchor(self.cosigned_anchor(size))
        return Anchor(self.stored_anchor(size), self.read(anchor_name(size) + TIMESTAMP))

    def cosigned_anchor(self, size: int) -> bytes:
        """Return the anchor of a size with all its cosignatures, or raise `NotStored`."""
        name = anchor_name(size)
        beside = {*self._objects.names(name)} - {name, name + TIMESTAMP}
        note = notes.parse_note(self.stored_anchor(size))
        later = [
            one for each in sorted(beside) for one in cosignatures.parse_lines(self.read(each))
        ]
        return bytes(cosignatures.with_cosignatures(note, later))

    def stored_anchor(self, size: int) -> bytes:
        """Return the bytes of the object that is the anchor of a size, or raise `NotStored`."""
        return self.read(anchor_name(size))

    def has_timestamp(self, size: int) -> bool:
        """Return whether the anchor of a size has a timestamp."""
        return bool(self._objects.existing([anchor_name(size) + TIMESTAMP]))

    def write_timestamp(self, size: int, content: bytes) -> None:
        """Write the timestamp of the anchor of a size, unless there is one."""
        self._objects.write_new(anchor_name(size) + TIMESTAMP, content)

    def write_anchor(self, size: int, content: bytes) -> bool:
        """Write the anchor of a size unless there is one; return whether it did."""
        return self._objects.write_new(anchor_name(size), content)

    def add_cosignature(self, size: int, cosignature: Signature) -> None:
        """Keep a cosignature beside the anchor of a size, unless its key has one there."""
        name = f"{anchor_name(size)}.{cosignature.key_id.hex()}"
        self._objects.write_new(name, cosignature.line().encode())

    def witness_policy(self) -> str:
        """Return the policy of the witnesses, empty without witnesses."""
        try:
            return self.read(POLICY).decode()
        except NotStored:
            return ""

    def write_witness_policy(self, text: str) -> None:
        """Replace the policy of the witnesses, which is valid."""
        self._objects.write(POLICY, text.encode())

    def replace_checkpoint(self, content: bytes, version: str) -> bool:
        """Publish a checkpoint if a version is still there; return whether it did."""
        if not version:
            return self._objects.write_new(CHECKPOINT, content)
        return self._objects.replace(CHECKPOINT, content, version)

    def _published(self, anchor: Callable[[int], bytes]) -> Snapshot | None:
        stored = self.checkpoint()
        if stored is None:
            return None
        log = self._snapshot(stored.content)
        try:
            return self._snapshot(anchor(log.size))
        except NotStored:
            return log

    def _snapshot(self, note: bytes) -> Snapshot:
        return Snapshot(note, self.read, self.read_range, _each)

    def _write_new(self, one: LogObject) -> None:
        name, content = one
        lock = self._partial_lock if is_partial(name) else None
        if not self._objects.write_new(name, content, lock) and self.read(name) != content:
            raise LogHalted("a stored object has another content")


def _each[T, R](act: Callable[[T], R], things: Iterable[T]) -> Iterator[R]:
    """Return what a call returns for each thing, several calls at a time."""
    with ThreadPoolExecutor(CALLS_AT_A_TIME) as threads:
        for batch in batched(things, _OBJECTS_AT_A_TIME, strict=False):
            yield from threads.map(act, batch)


def _batch_name(name: str) -> str:
    return f"work/batches/{name}"
