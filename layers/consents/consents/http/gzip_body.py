"""Gzip (RFC 1952) as clients send it: bodies and files, however far they expand."""

import zlib
from collections.abc import Iterable, Iterator

from consents.domain.errors import BodyTooLarge, BrokenGzip

MAGIC = b"\x1f\x8b"
"""The first bytes of gzip, which neither JSON nor a form begins with."""

PIECE = 1024 * 1024
"""Bytes decompressed at a time."""

_BITE = 16 * 1024
"""Bytes read at a time: the bytes after a member are copied, and a member may have only 20."""

_GZIP = zlib.MAX_WBITS | 16


def inflate(body: bytes, limit: int) -> bytes:
    """Return a decompressed body, holding at most one piece above the limit.

    Raises:
        BodyTooLarge: it has more bytes than the limit.
        BrokenGzip: not valid gzip to its last byte.
    """
    whole = bytearray()
    for piece in inflated([body]):
        whole += piece
        if len(whole) > limit:
            raise BodyTooLarge(limit)
    return bytes(whole)


def inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress one or more members, a piece at a time, however the stream is split.

    NULs after a member are skipped, as gzip itself does: tapes and block devices pad with them.

    Raises:
        BrokenGzip: not valid gzip to its last byte.
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
        raise BrokenGzip("must be gzip, and complete: it is truncated")


def _bites(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return (piece[at : at + _BITE] for piece in pieces for at in range(0, len(piece), _BITE))
