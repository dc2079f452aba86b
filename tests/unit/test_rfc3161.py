"""RFC 3161: the query's bytes, and responses that are not believed, against OpenSSL."""

from hashlib import sha256

import pytest
from consents.proof.rfc3161 import TimestampFailed, check_response, timestamp_query
from hypothesis import given
from hypothesis import strategies as st

from tests.timestamp_authority import Authority, new_authority

DATA = b"the bytes of an anchor"
DIGEST = sha256(DATA).digest()
REFUSED = bytes.fromhex("300b3009020102300403020780")
"""Status 2, rejection: the algorithm is not known."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A timestamp authority."""
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def response(authority: Authority) -> bytes:
    """What the authority responds to the query."""
    return authority.reply(timestamp_query(DIGEST))


def test_query_is_that_of_openssl(authority: Authority) -> None:
    assert timestamp_query(DIGEST) == authority.query(DATA, "-sha256", "-no_nonce")
    assert len(timestamp_query(DIGEST)) == 59


def test_granted_response_is_accepted(response: bytes) -> None:
    check_response(response, DIGEST)
    granted = bytes.fromhex("3003020100")
    assert response[4:].startswith(granted)
    with_modifications = response[:8] + b"\x01" + response[9:]
    check_response(with_modifications, DIGEST)


def test_response_that_is_cut_anywhere_is_rejected(response: bytes) -> None:
    for size in range(len(response)):
        with pytest.raises(TimestampFailed, match="invalid response"):
            check_response(response[:size], DIGEST)


def test_response_with_bytes_after_it_is_rejected(response: bytes) -> None:
    with pytest.raises(TimestampFailed, match="invalid response"):
        check_response(response + b"\0", DIGEST)


def test_response_to_a_refused_query_is_not_granted(authority: Authority) -> None:
    refused = authority.reply(authority.query(DATA, "-sha1"))

    for one in (refused, REFUSED):
        with pytest.raises(TimestampFailed, match="not granted"):
            check_response(one, DIGEST)


def test_response_for_another_digest_is_rejected(response: bytes) -> None:
    with pytest.raises(TimestampFailed, match="another digest"):
        check_response(response, sha256(b"other bytes").digest())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "invalid response"),
        ("3080", "invalid response"),
        ("30ff", "invalid response"),
        ("308400000005", "invalid response"),
        ("3c68746d6c3e", "invalid response"),
        ("3000", "invalid response"),
        ("30023000", "invalid response"),
        ("30053003020100", "invalid response"),
        ("300430020200", "not granted"),
        ("30073003020100" + "0500", "invalid response"),
        ("30073003020100" + "3000", "another digest"),
        ("30093003020100" + "3000" + "3000", "invalid response"),
        ("30073003020102" + "3000", "not granted"),
        ("30083004020200" + "00" + "3000", "not granted"),
    ],
)
def test_other_bytes_are_rejected(content: str, reason: str) -> None:
    with pytest.raises(TimestampFailed, match=reason):
        check_response(bytes.fromhex(content), DIGEST)


@given(st.binary(max_size=200), st.sampled_from(["", "30", "3082", "30063003020100"]))
def test_no_bytes_raise_another_error(content: bytes, head: str) -> None:
    with pytest.raises(TimestampFailed):
        check_response(bytes.fromhex(head) + content, DIGEST)
