"""The bytes of a body: plain, in base64, in gzip, up to the limit, above it, and far above it."""

import gzip
import os
import tracemalloc
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
from consents.capture import attested, bulk_consents
from consents.domain.errors import BodyTooLarge, BrokenGzip
from consents.http.gzip_body import PIECE, inflate, inflated
from consents.http.request import Request, Stores
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import RECEIPT, caller

MEBIBYTE = 1024 * 1024
LIMITS = sorted(
    {attested.MAX_SINGLE_BYTES, attested.MAX_BATCH_BYTES, bulk_consents.MAX_BATCH_BYTES}
)
TEXT = b"some rows\n" * 9


# With the same bytes in every process that collects these tests.
compress = partial(gzip.compress, mtime=0)


def request(body: str | None, max_bytes: int, content_type: str = "", **event: Any) -> Request:
    return Request(
        {"headers": {"Content-Type": content_type}, "body": body, **event},
        cast(Any, None),
        caller(),
        RECEIPT,
        max_bytes=max_bytes,
        stores=Stores(cast(Any, None), cast(Any, None), cast(Any, None)),
    )


def encoded(body: bytes, max_bytes: int) -> Request:
    return request(b64encode(body).decode(), max_bytes, isBase64Encoded=True)


def packed(body: bytes, max_bytes: int) -> Request:
    return encoded(compress(body), max_bytes)


def plain(body: bytes, max_bytes: int) -> Request:
    return request(body.decode(), max_bytes)


FORMS = [plain, encoded, packed]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("form", FORMS)
def test_a_body_of_exactly_the_limit_is_read(form: Any, limit: int) -> None:
    body = b"x" * limit
    assert form(body, limit).body == body


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("form", FORMS)
def test_a_body_of_one_byte_more_is_too_large(form: Any, limit: int) -> None:
    with pytest.raises(BodyTooLarge) as error:
        assert form(b"x" * (limit + 1), limit).body
    assert error.value.limit == limit


def test_the_limit_is_of_bytes_and_not_of_characters() -> None:
    assert len(plain("é".encode() * 4, 8).body) == 8
    with pytest.raises(BodyTooLarge):
        assert plain("é".encode() * 4, 7).body


def test_a_body_that_gzip_makes_longer_counts_decoded() -> None:
    body = os.urandom(MEBIBYTE)
    assert len(compress(body)) > MEBIBYTE
    assert packed(body, MEBIBYTE).body == body


def test_gzip_in_gzip_is_inflated_once() -> None:
    assert packed(compress(TEXT), MEBIBYTE).body == compress(TEXT)


@pytest.mark.parametrize("body", [None, "", "{}"])
def test_a_body_that_does_not_begin_as_gzip_is_read_as_it_is(body: str | None) -> None:
    """As when API Gateway has undone a content coding."""
    sent = request(body, MEBIBYTE, content_type="application/gzip")
    assert sent.body == (body or "").encode()


@pytest.mark.parametrize("content_type", ["application/gzip", "Application/GZIP ; a=b"])
def test_a_body_of_type_gzip_has_no_content_type_inside(content_type: str) -> None:
    assert request("{}", MEBIBYTE, content_type).content_type is None


@pytest.mark.parametrize("content_type", ["application/gzipped", "application/json", "text/gzip"])
def test_any_other_content_type_is_kept(content_type: str) -> None:
    assert request("{}", MEBIBYTE, content_type).content_type == content_type


def members(of: bytes, number: int) -> bytes:
    return compress(of) * number


BOMBS: dict[str, Callable[[], bytes]] = {
    "one member": lambda: members(bytes(16 * MEBIBYTE), 1),
    "many GB": lambda: members(bytes(16 * MEBIBYTE), 256),  # 4 GiB in 4 MB
    "many members before": lambda: members(b"x", 50_000) + members(bytes(16 * MEBIBYTE), 1),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_a_gzip_bomb_is_rejected_in_little_memory(make: Callable[[], bytes]) -> None:
    body = make()
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            inflate(body, MEBIBYTE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MEBIBYTE + 2 * PIECE


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4), st.integers(1, 60))
def test_members_are_one_body_in_pieces_of_any_size(texts: list[bytes], size: int) -> None:
    body = b"".join(compress(text) for text in texts)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert b"".join(inflated(pieces)) == b"".join(texts) == inflate(body, MEBIBYTE)


@pytest.mark.parametrize("end", range(len(compress(TEXT))))
def test_truncated_gzip_is_rejected(end: int) -> None:
    with pytest.raises(BrokenGzip) as error:
        inflate(compress(TEXT)[:end], MEBIBYTE)
    assert error.value.reason == "must be gzip, and complete: it is truncated"


REST = [b"{}", b"trailing garbage", compress(TEXT)[:-1]]


@pytest.mark.parametrize("rest", [*REST, *(bytes(512) + rest for rest in REST), b"\0x\0"])
def test_only_gzip_may_follow_gzip(rest: bytes) -> None:
    with pytest.raises(BrokenGzip):
        inflate(compress(TEXT) + rest, MEBIBYTE)


@pytest.mark.parametrize("size", [1, 100, 512, MEBIBYTE])
def test_nuls_after_gzip_are_skipped(size: int) -> None:
    padding = bytes(20_000)  # more than is read at a time
    body = compress(TEXT) + padding + compress(TEXT) + padding
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert (
        b"".join(inflated(pieces)) == TEXT * 2 == inflate(body, MEBIBYTE) == gzip.decompress(body)
    )


@pytest.mark.parametrize("body", [bytes(512), bytes(512) + compress(TEXT)])
def test_nuls_before_gzip_are_rejected(body: bytes) -> None:
    with pytest.raises(BrokenGzip):
        inflate(body, MEBIBYTE)


def said(body: bytes) -> bytes | None:
    try:
        return inflate(body, MEBIBYTE)
    except BrokenGzip:
        return None


@pytest.mark.parametrize("at", range(len(compress(TEXT))))
def test_gzip_with_a_changed_byte_is_rejected_or_the_same(at: int) -> None:
    """Some bytes of the header mean nothing; all others are covered by its checksums."""
    body = bytearray(compress(TEXT))
    body[at] ^= 0xFF
    assert said(bytes(body)) in (TEXT, None)
