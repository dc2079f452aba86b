"""The state of the log, as an operator sees it."""

from datetime import UTC, datetime, timedelta

import pytest
from consents.proof.batches import Batch, Position
from consents.proof.log_state import log_state
from consents.proof.notes import Checkpoint, Note, SignatureType, VerifierKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "log.example.com"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEY = VerifierKey(ORIGIN, SignatureType.ED25519, PRIVATE.public_key().public_bytes_raw())
AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
BATCH = Batch.of([b"\x01" * 65] * 2)


def signed(size: int, origin: str = ORIGIN) -> bytes:
    text = Checkpoint(origin, size, bytes(32)).text()
    return bytes(Note(text, (KEY.signature(PRIVATE.sign(text.encode())),)))


class Assigned:
    """So many entries, of which the last two are one batch."""

    def __init__(self, count: int) -> None:
        self._count = count

    def count(self) -> int:
        return self._count

    def batches(self, start: int, end: int) -> list[Position]:
        assert (start, end) == (self._count - 2, self._count)
        return [Position(start, BATCH)]


class Objects:
    """The objects of a dict, written a minute after each other."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = contents

    def dated(self, name: str) -> tuple[bytes, datetime] | None:
        if name not in self.contents:
            return None
        return self.contents[name], AT + timedelta(minutes=[*self.contents].index(name))


WAITING = {f"work/batches/{BATCH.name}": b""}


def test_a_log_that_is_published_whole_waits_for_nothing() -> None:
    state = log_state(KEY, Assigned(2), Objects(checkpoint=signed(3)))

    assert (state.size, state.published_at, state.waiting) == (3, AT, 0)
    assert state.checkpoint == signed(3).decode()
    assert (state.waiting_since, state.faults) == (None, [])


def test_entries_wait_since_their_batch_was_written() -> None:
    state = log_state(KEY, Assigned(4), Objects(checkpoint=signed(3), **WAITING))

    assert (state.waiting, state.waiting_since) == (2, AT + timedelta(minutes=1))
    assert state.faults == []


def test_a_log_without_a_checkpoint_has_no_size() -> None:
    state = log_state(KEY, Assigned(2), Objects(**WAITING))

    assert (state.size, state.checkpoint, state.published_at) == (0, None, None)
    assert (state.waiting, state.waiting_since, state.faults) == (2, AT, [])


@pytest.mark.parametrize(
    ("count", "objects", "fault"),
    [
        (1, {"checkpoint": signed(3)}, "fewer entries are assigned than are published"),
        (4, {"checkpoint": signed(3)}, "entries that wait are gone"),
        (0, {"checkpoint": b"?"}, "the published checkpoint is not one"),
        (
            2,
            {"checkpoint": signed(3, "other.example.com")},
            "the published checkpoint is not signed by this log",
        ),
    ],
)
def test_what_does_not_fit_together_is_a_fault(
    count: int, objects: dict[str, bytes], fault: str
) -> None:
    assert log_state(KEY, Assigned(count), Objects(**objects)).faults == [fault]
