"""A witness of one log: it cosigns checkpoints, each of which extends the last (C2SP tlog-witness).

It uses the checks of the verifier, so it shares no code with the log that it watches.
"""

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple

from consents_audit import Cosigner
from consents_verify import (
    ED25519,
    MAX_NOTE,
    Checkpoint,
    Damaged,
    decode_hashes,
    is_consistent,
    number,
    parse_checkpoint,
    parse_vkey,
)

MAX_PROOF = 63
MAX_BODY = 64 * 45 + MAX_NOTE
"""Bytes: the line of the old size, the proof in base64 and an empty line; and the checkpoint."""


class Response(NamedTuple):
    """A response over HTTP."""

    status: int
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


class Witness:
    """Watches one log."""

    def __init__(
        self, log: str, cosigner: Cosigner, *, clock: Callable[[], float] = time.time
    ) -> None:
        """`log` is the verifier key of the log, whose name is the origin."""
        self._log = parse_vkey(log, [ED25519])
        self._cosigner = cosigner
        self._clock = clock
        self._lock = Lock()
        self._size, self._root = 0, b""

    def add_checkpoint(self, body: bytes) -> Response:
        """Return the response to a request: a cosignature if the checkpoint extends the last."""
        try:
            old, proof, new = parse_request(body)
        except ValueError:
            return Response(400)
        if new.origin != self._log.name:
            return Response(404)
        if not self._is_signed(new):
            return Response(403)
        if old > new.size:
            return Response(400)
        with self._lock:  # or a second request, for a smaller size, could undo the first
            return self._cosign(old, proof, new)

    def _is_signed(self, one: Checkpoint) -> bool:
        try:
            return one.seen_by(self._log) is not None
        except Damaged:
            return False

    def _cosign(self, old: int, proof: Sequence[bytes], new: Checkpoint) -> Response:
        if old != self._size:
            return Response(409, f"{self._size}\n", "text/x.tlog.size")
        if not self._is_extended(new, proof):
            return Response(422)
        self._size, self._root = new.size, new.root
        return Response(200, f"{self._cosigner.line(new, int(self._clock()))}\n")

    def _is_extended(self, new: Checkpoint, proof: Sequence[bytes]) -> bool:
        if not self._size:
            return not proof
        return is_consistent((self._size, self._root), (new.size, new.root), proof)


def parse_request(body: bytes) -> tuple[int, list[bytes], Checkpoint]:
    """Parse the old size, the consistency proof and the checkpoint, or raise `ValueError`."""
    head, _, note = body.partition(b"\n\n")
    first, *proof = head.decode().split("\n")
    if not first.startswith("old ") or len(proof) > MAX_PROOF:
        raise ValueError("not a request")
    return number(first.removeprefix("old ")), decode_hashes(proof), parse_checkpoint(note)
