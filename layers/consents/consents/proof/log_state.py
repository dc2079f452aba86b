"""The state of the log for an operator: its size, what waits for it, and its faults."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from consents.proof import notes
from consents.proof.batches import Position
from consents.proof.entries import others_in
from consents.proof.notes import InvalidNote, VerifierKey


class Assigned(Protocol):
    """Which batches have which positions."""

    def count(self) -> int:
        """Return how many entries have a position."""

    def batches(self, start: int, end: int) -> Iterable[Position]:
        """Return the batches that begin from a position up to another, in order."""


class Dated(Protocol):
    """The objects of the log, with the times at which they were written."""

    def dated(self, name: str) -> tuple[bytes, datetime] | None:
        """Return an object and when it was written, or None."""


@dataclass(slots=True)
class LogState:
    """Times are those of S3. `waiting` counts entries that are sealed and not published."""

    size: int = 0
    checkpoint: str | None = None
    published_at: datetime | None = None
    waiting: int = 0
    waiting_since: datetime | None = None
    faults: list[str] = field(default_factory=list)


def log_state(key: VerifierKey, assigned: Assigned, objects: Dated) -> LogState:
    """Return the state of the log whose checkpoints a key signs."""
    state = LogState()
    published = objects.dated("checkpoint")
    if published is not None:
        _read_checkpoint(state, key, *published)
    start, end = others_in(state.size), assigned.count()
    state.waiting = end - start
    if state.waiting < 0:
        state.faults.append("fewer entries are assigned than are published")
    elif state.waiting:
        state.waiting_since = _written_at(next(iter(assigned.batches(start, end)), None), objects)
        if state.waiting_since is None:
            state.faults.append("entries that wait are gone")
    return state


def _read_checkpoint(state: LogState, key: VerifierKey, content: bytes, at: datetime) -> None:
    try:
        note = notes.parse_note(content)
        checkpoint = notes.parse_checkpoint(note.text)
    except InvalidNote:
        state.faults.append("the published checkpoint is not one")
        return
    state.size, state.checkpoint, state.published_at = checkpoint.size, content.decode(), at
    if checkpoint.origin != key.name or not key.has_signed(note):
        state.faults.append("the published checkpoint is not signed by this log")


def _written_at(position: Position | None, objects: Dated) -> datetime | None:
    found = position and objects.dated(f"work/batches/{position.batch.name}")
    return found[1] if found else None
