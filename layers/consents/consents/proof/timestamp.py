"""Timestamp the log: keep an authority's RFC 3161 response for the bytes of an anchor.

A timestamp is written once, beside its anchor. From then on the anchor is handed out as the bytes
that the timestamp covers, without cosignatures that come later: so witnesses are asked first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from aws_lambda_powertools import Logger

from consents.aws import metrics
from consents.proof.rfc3161 import TimestampFailed

type Ask = Callable[[bytes], bytes]
"""Returns the response of an authority for a SHA-256 digest, or raises `TimestampFailed`."""

log = Logger(child=True)


class TimestampObjects(Protocol):
    """What a timestamp needs of the log's objects."""

    def stored_anchor(self, size: int) -> bytes:
        """Return the bytes of the object that is the anchor of a size."""

    def has_timestamp(self, size: int) -> bool:
        """Return whether the anchor of a size has a timestamp."""

    def write_timestamp(self, size: int, content: bytes) -> None:
        """Write the timestamp of the anchor of a size, unless there is one."""


@dataclass(frozen=True, slots=True)
class Timestamper:
    """Timestamps the anchors of a log."""

    objects: TimestampObjects
    ask: Ask

    def timestamp(self, size: int) -> None:
        """Timestamp the anchor of a size, unless it has a timestamp.

        Raises:
            TimestampFailed: the authority gives none.
        """
        if self.objects.has_timestamp(size):
            return
        # What is stored, for another run may have written the anchor. It never changes.
        digest = sha256(self.objects.stored_anchor(size)).digest()
        self.objects.write_timestamp(size, self.ask(digest))


def timestamp(timestamper: Timestamper, size: int) -> None:
    """Timestamp the anchor of a size; log it, and count whether the timestamp is missing."""
    try:
        timestamper.timestamp(size)
    except TimestampFailed as failed:
        log.warning("timestamp.failed", size=size, reason=str(failed))
        metrics.write({"LogAnchorsWithoutTimestamp": 1})
    else:
        log.info("log.timestamped", size=size)
        metrics.write({"LogAnchorsWithoutTimestamp": 0})
