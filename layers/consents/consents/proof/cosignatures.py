"""Cosignatures of a checkpoint: those of its note, and those that came later."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from consents.proof.notes import InvalidNote, Note, Signature, VerifierKey, parse_signature

_CLOCKS_DIFFER = timedelta(hours=1)
_TIME_BYTES = 8


def with_cosignatures(note: Note, later: Iterable[Signature]) -> Note:
    """Return a note with the signatures of those keys that have not signed it."""
    kept = {one[:2]: one for one in note.signatures}
    for one in later:
        kept.setdefault(one[:2], one)
    return replace(note, signatures=tuple(kept.values()))


def parse_lines(content: bytes) -> list[Signature]:
    """Parse signature lines, or raise `InvalidNote`."""
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError:
        raise InvalidNote("not a signature line") from None
    return [parse_signature(line) for line in lines if line]


def valid_cosignature(
    note: Note, key: VerifierKey, lines: Iterable[Signature], now: datetime
) -> Signature | None:
    """Return the cosignature of a key that is valid and not of the future, or None."""
    for one in lines:
        is_of_key = key.has_signed(Note(note.text, (one,)))
        if is_of_key and cosigned_at(one) <= now.timestamp() + _CLOCKS_DIFFER.total_seconds():
            return one
    return None


def cosigned_at(one: Signature) -> int:
    """Return when a checkpoint was cosigned, in seconds since 1970."""
    return int.from_bytes(one.content[:_TIME_BYTES])
