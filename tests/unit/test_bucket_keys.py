"""Bucket keys: expanded as the format says, each with a path to one root."""

from hashlib import sha256
from itertools import islice

import pytest
from consents.proof import bucket_keys

from tests.unit import rfc6962

SEED = bytes(range(32))


def test_bucket_is_the_first_20_bits_of_a_hash() -> None:
    digest = sha256(b"consent-ledger/contact/v1\norg_1\n+15554443333").hexdigest()

    assert bucket_keys.bucket_of("org_1", "+15554443333") == int(digest[:5], 16)


def test_key_follows_the_bits_of_its_bucket_from_the_first() -> None:
    bucket, key = 0b1010_0000_0000_0000_0001, SEED
    for bit in f"{bucket:020b}":
        key = sha256(b"consent-ledger/bucket/" + bit.encode() + key).digest()

    assert bucket_keys.bucket_key(SEED, bucket) == key


def test_root_of_a_part_is_that_of_its_1024_keys_in_order() -> None:
    keys = [bucket_keys.bucket_key(SEED, bucket) for bucket in range(2048)]

    roots = list(islice(bucket_keys.part_roots(SEED), 2))
    assert roots[0] == rfc6962.mth([rfc6962.leaf(key) for key in keys[:1024]])
    assert roots[1] == rfc6962.mth([rfc6962.leaf(key) for key in keys[1024:]])


@pytest.mark.parametrize("bucket", [0, 1, 1023, 1024, 2**20 - 1, 123_456])
def test_path_of_a_key_leads_to_the_root_of_the_table(bucket: int) -> None:
    roots = [sha256(str(part).encode()).digest() for part in range(1024)]
    part = bucket >> 10
    keys = [bucket_keys.bucket_key(SEED, (part << 10) + at) for at in range(1024)]
    roots[part] = rfc6962.mth([rfc6962.leaf(key) for key in keys])

    path = bucket_keys.key_path(SEED, roots, bucket)

    leaf = rfc6962.leaf(bucket_keys.bucket_key(SEED, bucket))
    assert len(path) == bucket_keys.DEPTH
    assert rfc6962.root_from_inclusion(leaf, bucket, 2**20, path) == rfc6962.mth(roots)
