"""Anchors: checkpoints that others have seen, between which the entries of a contact were added."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from consents.proof.encoding import base64_text, base64_texts
from consents.proof.tiles import TileTree

ANCHORS = "anchors/"
TIMESTAMP = ".tsr"


class Anchor(NamedTuple):
    """A checkpoint with its cosignatures, and the RFC 3161 response for its bytes, if any."""

    checkpoint: bytes
    timestamp: bytes = b""


type ReadAnchor = Callable[[int], Anchor]
"""Returns the anchor of a size."""


def anchor_name(size: int) -> str:
    """Return the name of the object that holds the checkpoint of a size with its cosignatures."""
    return f"{ANCHORS}{size:020}"


def around(sizes: Iterable[int], leaves: Iterable[int]) -> set[int]:
    """Return, per leaf, the last size that lacks it and the first that has it; and the greatest."""
    ordered = sorted(sizes)
    chosen = {*ordered[-1:]}
    for leaf in leaves:
        lacking = bisect_right(ordered, leaf)
        chosen.update(ordered[max(lacking - 1, 0) : lacking + 1])
    return chosen


def times(
    tree: TileTree, read: ReadAnchor, anchors: Iterable[int], kept: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Return anchors with the proof that the log extends each; of kept sizes only the proof.

    All are at most the size of the log; `kept` are below it.
    """
    anchored = {*anchors}
    for size in sorted(anchored | {*kept}):
        proof = base64_texts(tree.consistency_proof(size))
        yield {
            "size": size,
            **(_described(read(size)) if size in anchored else {}),
            "consistency": proof,
        }


def _described(anchor: Anchor) -> dict[str, str]:
    checkpoint = {"checkpoint": anchor.checkpoint.decode()}
    return checkpoint | ({"tsr": base64_text(anchor.timestamp)} if anchor.timestamp else {})
