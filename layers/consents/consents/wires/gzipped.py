"""Gzip (RFC 1952) as callers send it: bodies and dropped files, whatever they expand to."""

import zlib
from collections.abc import Iterable, Iterator

from consents.domain.errors import BodyTooLarge, BrokenGzip

MAGIC = b"\x1f\x8b"
"""How gzip begins, and neither JSON nor a form does."""

PIECE = 1024 * 1024
"""Bytes that are decompressed at a time."""

_BITE = 16 * 1024
"""Bytes that are read at a time: what follows a member is copied, and there may be many of 20."""

_GZIP = zlib.MAX_WBITS | 16


def inflate(body: bytes, limit: int) -> bytes:
    """Return what a gzip body holds, and hold no more of it than a piece above the limit.

    Raises:
        BodyTooLarge: it holds more bytes than the limit.
        BrokenGzip: not gzip from its first byte to its last.
    """
    whole = bytearray()
    for piece in inflated([body]):
        whole += piece
        if len(whole) > limit:
            raise BodyTooLarge(limit)
    return bytes(whole)


def inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress one or more members, a piece at a time, however the stream is cut.

    NULs after a member are passed over, as gzip itself does: tapes and block devices pad with them.

    Raises:
        BrokenGzip: not gzip from its first byte to its last.
    """
    member = zlib.decompressobj(_GZIP)
    for rest in _bites(pieces):
        while rest:
            if member.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                member = zlib.decompressobj(_GZIP)
            try:
                content = member.decompress(rest, PIECE)
            except zlib.error:
                raise BrokenGzip("must be gzip") from None
            rest = member.unused_data if member.eof else member.unconsumed_tail
            if content:
                yield content
    if not member.eof:
        raise BrokenGzip("must be gzip, and whole: its end is missing")


def _bites(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return (piece[at : at + _BITE] for piece in pieces for at in range(0, len(piece), _BITE))
