"""Ask a witness for its cosignature of a checkpoint (C2SP tlog-witness).

The log keeps no state of its witnesses: the first request names size 0, and a witness that has
cosigned a larger log responds with its size.
"""

from base64 import b64encode
from collections.abc import Callable
from datetime import datetime

from consents.proof import notes
from consents.proof.cosignatures import parse_lines, valid_cosignature
from consents.proof.http_post import Reply
from consents.proof.notes import InvalidNote, Signature
from consents.proof.tiles import TileTree
from consents.proof.witness_policy import Witness

TRIES = 3
"""A witness may see another publisher's checkpoint between two requests."""

_MAX_DIGITS = 19


class WitnessFailed(Exception):
    """There is no cosignature; the text says why, and has nothing of the response."""


type Post = Callable[[str, bytes], Reply]
"""Sends a body to a URL, or raises `NoResponse`."""


def request_cosignature(
    witness: Witness, note: notes.Note, tree: TileTree, post: Post, now: datetime
) -> Signature:
    """Return the valid cosignature of a witness.

    Raises:
        NoResponse: it does not respond.
        WitnessFailed: it does not cosign the checkpoint.
    """
    old = 0
    for _ in range(TRIES):
        reply = post(f"{witness.url}/add-checkpoint", _body(old, note, tree))
        if reply.status == 409:
            old = _older_size(reply.content, tree.size)
        elif reply.status == 200:
            return _cosignature(witness, note, reply.content, now)
        else:
            raise WitnessFailed(f"status {reply.status}")
    raise WitnessFailed("conflict")


def _body(old: int, note: notes.Note, tree: TileTree) -> bytes:
    proof = tree.consistency_proof(old) if old else []
    lines = [f"old {old}", *(b64encode(one).decode() for one in proof), "", ""]
    return "\n".join(lines).encode() + bytes(note)


def _older_size(content: bytes, size: int) -> int:
    """Return the size that a witness has cosigned."""
    text = content.strip()
    if not text.isdigit() or len(text) > _MAX_DIGITS:
        raise WitnessFailed("invalid response")
    if int(text) > size:
        raise WitnessFailed("a larger log is cosigned")
    return int(text)


def _cosignature(witness: Witness, note: notes.Note, content: bytes, now: datetime) -> Signature:
    try:
        found = valid_cosignature(note, witness.key, parse_lines(content), now)
    except InvalidNote:
        found = None
    if found is None:
        raise WitnessFailed("invalid cosignature")
    return found
