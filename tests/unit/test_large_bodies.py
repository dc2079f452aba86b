"""The bytes of a body: plain, in base64, in gzip, up to the limit, above it, and far above it."""

import gzip
import os
import tracemalloc
from base64 import b64encode
from typing import Any, cast

import pytest
from consents.aws.directory import Organization
from consents.aws.http import Request, Stores
from consents.domain.errors import BodyTooLarge, BrokenGzip
from consents.domain.record import Receipt
from consents.wires import attested, bulk_consents
from consents.wires.gzipped import PIECE, inflate, inflated
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import NOW

MEBIBYTE = 1024 * 1024
LIMITS = [attested.MAX_SINGLE_BYTES, attested.MAX_BATCH_BYTES, bulk_consents.MAX_BATCH_BYTES]
TEXT = b"some rows\n" * 9


def request(body: str | None, max_bytes: int, content_type: str = "", **event: Any) -> Request:
    return Request(
        {"headers": {"Content-Type": content_type}, "body": body, **event},
        cast(Any, None),
        Organization("org_1", "Clinic", "payg", 600, "-"),
        Receipt(NOW, "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"),
        max_bytes=max_bytes,
        stores=Stores(cast(Any, None), cast(Any, None), cast(Any, None)),
    )


def encoded(body: bytes, max_bytes: int) -> Request:
    return request(b64encode(body).decode(), max_bytes, isBase64Encoded=True)


def packed(body: bytes, max_bytes: int) -> Request:
    return encoded(gzip.compress(body), max_bytes)


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
    with pytest.raises(BodyTooLarge) as refused:
        assert form(b"x" * (limit + 1), limit).body
    assert refused.value.limit == limit


def test_the_limit_is_of_bytes_and_not_of_characters() -> None:
    assert len(plain("é".encode() * 4, 8).body) == 8
    with pytest.raises(BodyTooLarge):
        assert plain("é".encode() * 4, 7).body


def test_a_body_that_gzip_makes_longer_counts_decoded() -> None:
    body = os.urandom(MEBIBYTE)
    assert len(gzip.compress(body)) > MEBIBYTE
    assert packed(body, MEBIBYTE).body == body


def test_gzip_in_gzip_is_inflated_once() -> None:
    assert packed(gzip.compress(TEXT, mtime=0), MEBIBYTE).body == gzip.compress(TEXT, mtime=0)


@pytest.mark.parametrize("body", [None, "", "{}"])
def test_a_body_that_does_not_begin_as_gzip_is_taken_as_it_is(body: str | None) -> None:
    """As when API Gateway has undone a content coding."""
    sent = request(body, MEBIBYTE, content_type="application/gzip")
    assert sent.body == (body or "").encode()


@pytest.mark.parametrize("content_type", ["application/gzip", "Application/GZIP ; a=b"])
def test_a_body_whose_type_is_gzip_has_the_type_of_its_wire_inside(content_type: str) -> None:
    assert request("{}", MEBIBYTE, content_type).content_type is None


@pytest.mark.parametrize("content_type", ["application/gzipped", "application/json", "text/gzip"])
def test_every_other_type_is_told_to_the_wire(content_type: str) -> None:
    assert request("{}", MEBIBYTE, content_type).content_type == content_type


def members(of: bytes, number: int) -> bytes:
    return gzip.compress(of) * number


@pytest.mark.parametrize(
    "body",
    [
        members(bytes(64 * MEBIBYTE), 1),
        members(bytes(64 * MEBIBYTE), 64),  # 4 GiB in 4 MB
        members(b"x", 250_000) + members(bytes(64 * MEBIBYTE), 1),
    ],
    ids=["one member", "many GB", "many members before"],
)
def test_a_bomb_is_refused_in_little_memory(body: bytes) -> None:
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
    body = b"".join(gzip.compress(text) for text in texts)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert b"".join(inflated(pieces)) == b"".join(texts) == inflate(body, MEBIBYTE)


@pytest.mark.parametrize("end", range(len(gzip.compress(TEXT))))
def test_gzip_that_is_cut_off_anywhere_is_refused(end: int) -> None:
    with pytest.raises(BrokenGzip) as refused:
        inflate(gzip.compress(TEXT)[:end], MEBIBYTE)
    assert refused.value.reason == "must be gzip, and whole: its end is missing"


REST = [b"{}", b"trailing garbage", gzip.compress(TEXT)[:-1]]


@pytest.mark.parametrize("rest", [*REST, *(bytes(512) + rest for rest in REST), b"\0x\0"])
def test_what_follows_gzip_must_be_gzip(rest: bytes) -> None:
    with pytest.raises(BrokenGzip):
        inflate(gzip.compress(TEXT) + rest, MEBIBYTE)


@pytest.mark.parametrize("size", [1, 100, 512, MEBIBYTE])
def test_nuls_after_gzip_are_passed_over(size: int) -> None:
    padding = bytes(20_000)  # more than is read at a time
    body = gzip.compress(TEXT) + padding + gzip.compress(TEXT) + padding
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert (
        b"".join(inflated(pieces)) == TEXT * 2 == inflate(body, MEBIBYTE) == gzip.decompress(body)
    )


@pytest.mark.parametrize("body", [bytes(512), bytes(512) + gzip.compress(TEXT)])
def test_nuls_before_gzip_are_not(body: bytes) -> None:
    with pytest.raises(BrokenGzip):
        inflate(body, MEBIBYTE)


def said(body: bytes) -> bytes | None:
    try:
        return inflate(body, MEBIBYTE)
    except BrokenGzip:
        return None


@pytest.mark.parametrize("at", range(len(gzip.compress(TEXT))))
def test_gzip_with_a_changed_byte_is_refused_or_says_the_same(at: int) -> None:
    """Some bytes of the header mean nothing; all others are covered by its checksums."""
    body = bytearray(gzip.compress(TEXT))
    body[at] ^= 0xFF
    assert said(bytes(body)) in (TEXT, None)
