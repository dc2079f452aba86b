"""RFC 3161: the query for a timestamp, and what its response shows without certificates.

The signature is for verifiers, who know which authorities they trust.
"""

CONTENT_TYPE = "application/timestamp-query"

_VERSION = bytes.fromhex("020101")
_SHA256 = bytes.fromhex("300d06096086480165030402010500")
_CERTIFICATES = bytes.fromhex("0101ff")
"""In the response: a verifier needs no other source of them."""

_INTEGER, _DIGEST, _SEQUENCE = 0x02, b"\x04\x20", 0x30
_GRANTED = (b"\x00", b"\x01")
"""Granted, and granted with modifications."""


class TimestampFailed(Exception):
    """There is no timestamp; the text says why, and has nothing of the response or the URL."""


def timestamp_query(digest: bytes) -> bytes:
    """Return the query for a timestamp of a SHA-256 digest.

    It has no nonce: an older response to it would be a better proof, not a worse one.
    """
    imprint = _sequence(_SHA256 + _DIGEST + digest)
    return _sequence(_VERSION + imprint + _CERTIFICATES)


def check_response(content: bytes, digest: bytes) -> None:
    """Check that a response grants a timestamp, whole, of a digest.

    Raises:
        TimestampFailed: it does not.
    """
    response, beyond = _element(_SEQUENCE, content)
    information, token = _element(_SEQUENCE, response)
    status, _ = _element(_INTEGER, information)
    if status not in _GRANTED:
        raise TimestampFailed("not granted")
    signed, after = _element(_SEQUENCE, token)
    if beyond or after:
        raise TimestampFailed("invalid response")
    if _DIGEST + digest not in signed:
        raise TimestampFailed("a timestamp of another digest")


def _sequence(content: bytes) -> bytes:
    """Return a DER sequence of fewer than 128 bytes."""
    return bytes([_SEQUENCE, len(content)]) + content


def _element(tag: int, content: bytes) -> tuple[bytes, bytes]:
    """Return the value of the DER element that bytes begin with, and what follows it."""
    if len(content) < 2 or content[0] != tag:
        raise TimestampFailed("invalid response")
    start, size = 2, content[1]
    if size >= 0x80:  # the length has so many bytes
        start += size - 0x80
        size = int.from_bytes(content[2:start])
    if start + size > len(content):
        raise TimestampFailed("invalid response")
    return content[start : start + size], content[start + size :]
