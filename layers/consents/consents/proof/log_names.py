"""Names of the objects of the log that its routes serve (C2SP tlog-tiles, and the index)."""

import re

CHECKPOINT = "checkpoint"

_NUMBER = r"(?:x[0-9]{3}/){0,6}[0-9]{3}"
_WIDTH = r"(?:[1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
_LEVEL = r"(?:[0-9]|[1-5][0-9]|6[0-3]|entries)"

_NOTE = re.compile(r"anchors/[0-9]{20}")
_BINARY = re.compile(
    rf"tile/{_LEVEL}/{_NUMBER}(?:\.p/{_WIDTH})?|index/1/{_NUMBER}|anchors/[0-9]{{20}}\.tsr"
)


def is_note(name: str) -> bool:
    """Return whether a name is that of a signed note: an anchored checkpoint."""
    return _NOTE.fullmatch(name) is not None


def is_binary(name: str) -> bool:
    """Return whether a name is that of a tile, a bundle, a run of the index, or a timestamp."""
    return _BINARY.fullmatch(name) is not None
