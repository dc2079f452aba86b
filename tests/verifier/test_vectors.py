"""The verifier against what others published: RFC 8032, C2SP, transparency-dev's Merkle vectors."""

import itertools
from base64 import b64decode
from hashlib import sha256

import pytest
from consents_verify import (
    ED25519,
    ORDER,
    Frontier,
    is_consistent,
    is_signature,
    leaf_hash,
    node_hash,
    parse_policy,
    parse_tlog_proof,
    parse_vkey,
    root_of_leaf,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.log_model import AUDITOR, LOG_KEY, WITNESSES, Log, Tree, b64

# --- RFC 8032, section 7.1

RFC_8032 = {
    "test 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "test 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "test 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "test SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}


@pytest.mark.parametrize("name", RFC_8032)
def test_signatures_of_rfc_8032_verify(name: str) -> None:
    public, message, signature = map(bytes.fromhex, RFC_8032[name])

    assert is_signature(public, signature, message)
    assert not is_signature(public, signature, message + b"\0")
    for i in (0, 31, 32, 63):
        changed = bytearray(signature)
        changed[i] ^= 1
        assert not is_signature(public, bytes(changed), message)


def test_a_signature_beyond_the_order_is_rejected() -> None:
    public, message, signature = map(bytes.fromhex, RFC_8032["test 2"])
    s = int.from_bytes(signature[32:], "little") + ORDER

    assert not is_signature(public, signature[:32] + s.to_bytes(32, "little"), message)


@pytest.mark.parametrize(
    "public",
    [
        b"",
        bytes(31),
        b"\xff" * 32,  # y beyond the prime
        (2).to_bytes(32, "little"),  # no point has this y
        (1 | 1 << 255).to_bytes(32, "little"),  # x is 0, with a sign
    ],
)
def test_a_key_that_is_no_point_verifies_nothing(public: bytes) -> None:
    assert not is_signature(public, bytes(64), b"")


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80))
def test_signatures_of_another_implementation_verify(seed: bytes, message: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)

    assert is_signature(key.public_key().public_bytes_raw(), key.sign(message), message)
    assert not is_signature(key.public_key().public_bytes_raw(), key.sign(message), b"x" + message)


# --- C2SP signed-note


def test_the_example_of_signed_note_verifies() -> None:
    vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    line = (
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYj"
        "OBH3mFXmRKuwHjG1Yu72IneyaQM="
    )
    key, signature = parse_vkey(vkey, [ED25519]), b64decode(line)

    assert (key.name, key.id) == ("example.com/foo", signature[:4])
    assert is_signature(key.public, signature[4:], b"This is an example message.\n")


# --- github.com/transparency-dev/merkle, testonly/constants.go

LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def test_roots_are_those_of_the_vectors() -> None:
    tree = Frontier()
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        tree.add(leaf_hash(bytes.fromhex(leaf)))
        assert tree.root().hex() == root


@pytest.mark.parametrize(("leaf", "size"), INCLUSION)
def test_inclusion_proofs_of_the_vectors_lead_to_their_roots(leaf: int, size: int) -> None:
    path = [bytes.fromhex(one) for one in INCLUSION[leaf, size]]
    root = root_of_leaf(leaf, size, bytes.fromhex(LEAVES[leaf]), path)

    assert root is not None
    assert root.hex() == ROOTS[size - 1]
    assert root_of_leaf(leaf, size, bytes.fromhex(LEAVES[leaf]), path[:-1]) is None
    assert root_of_leaf(leaf, size, bytes.fromhex(LEAVES[leaf]), [*path, root]) is None


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_consistency_proofs_of_the_vectors_hold(old: int, new: int) -> None:
    path = [bytes.fromhex(one) for one in CONSISTENCY[old, new]]
    heads = [(size, bytes.fromhex(ROOTS[size - 1])) for size in (old, new)]

    assert is_consistent(heads[0], heads[1], path)
    assert not is_consistent(heads[0], heads[1], [*path, heads[0][1]])
    assert old == new or not is_consistent(heads[1], heads[0], path)


def test_proofs_of_all_small_trees_hold_and_no_other_size_has_them() -> None:
    leaves = [bytes([i]) for i in range(33)]
    tree = Tree(leaves)
    for size in range(1, 34):
        root = tree.root(0, size)
        for leaf in range(size):
            path = tree.path(leaf, 0, size)
            assert root_of_leaf(leaf, size, leaves[leaf], path) == root
            assert leaf == 0 or root_of_leaf(leaf - 1, size, leaves[leaf], path) != root
        for old in range(1, size + 1):
            head, path = (old, tree.root(0, old)), tree.consistency(old, size)
            assert is_consistent(head, (size, root), path)
            assert old == size or not is_consistent(
                (old, node_hash(*head[1:] * 2)), (size, root), path
            )


# --- C2SP tlog-proof and tlog-policy


def test_a_tlog_proof_of_one_leaf_has_no_hashes() -> None:
    proof = b"c2sp.org/tlog-proof@v1\nindex 0\n\ntest checkpoint\n"

    assert parse_tlog_proof(proof, 0, b"test checkpoint\n") == []


def test_a_tlog_proof_has_its_hashes_before_the_checkpoint() -> None:
    hashes = [sha256(text).digest() for text in (b"hash1", b"hash2")]
    lines = "".join(f"{b64(one)}\n" for one in hashes)
    proof = f"c2sp.org/tlog-proof@v1\nindex 5\n{lines}\ntest checkpoint\n".encode()

    assert parse_tlog_proof(proof, 5, b"test checkpoint\n") == hashes
    for leaf, checkpoint in ((6, b"test checkpoint\n"), (5, b"another\n")):
        with pytest.raises(ValueError, match="malformed or of another checkpoint"):
            parse_tlog_proof(proof, leaf, checkpoint)


KEYS = {name: signer.vkey for name, signer in zip("ABC", (*WITNESSES, AUDITOR), strict=True)}
THREE = "\n".join(f"witness {name} {vkey}" for name, vkey in KEYS.items())


@pytest.mark.parametrize(
    ("lines", "met"),
    [
        ("quorum A", {"A", "AB", "AC", "ABC"}),
        ("group g any A B\nquorum g", {"A", "B", "AB", "AC", "BC", "ABC"}),
        ("group g all A B\nquorum g", {"AB", "ABC"}),
        ("group g 2 A B C\nquorum g", {"AB", "AC", "BC", "ABC"}),
        ("group g any A B\ngroup h all g C\nquorum h", {"AC", "BC", "ABC"}),
        ("quorum none", {"A", "B", "C", "AB", "AC", "BC", "ABC"}),
    ],
)
def test_a_quorum_is_met_as_the_policy_says(lines: str, met: set[str]) -> None:
    policy = parse_policy(f"# comment\nlog {LOG_KEY.vkey}\n\n{THREE}\n \t{lines}\n".encode())
    signers = dict(zip("ABC", (*WITNESSES, AUDITOR), strict=True))
    log = Log()
    for count in range(4):
        for names in itertools.combinations("ABC", count):
            note = log.checkpoint(1, {signers[name]: 1_700_000_000 for name in names})
            seen = policy.see(note.encode())
            assert seen.is_signed
            assert policy.is_anchor(seen) == ("".join(names) in met)


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "quorum D",
        "quorum A\nquorum A",
        "group g any\nquorum g",
        "group g 3 A B\nquorum g",
        "group g 0 A B\nquorum g",
        "group g any A A\nquorum g",
        "group g any none A\nquorum g",
        "group g any A\ngroup h any A B\nquorum g",
        "group g any D\nquorum g",
        "group A any B\nquorum A",
        f"witness A {LOG_KEY.vkey}\nquorum A",
        f"witness D {KEYS['A']}\nquorum A",
        f"log {KEYS['A']}\nquorum A",
        "witness D vkey\nquorum A",
        f"log {LOG_KEY.vkey[:-4]}AAA=\nquorum A",
        "trust everybody\nquorum A",
        "quorum A\r",
        "\n".join(f"group g{i} any {f'g{i - 1}' if i else 'A'}" for i in range(70)) + "\nquorum A",
    ],
)
def test_an_invalid_policy_is_rejected(lines: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (a parser raises any of them)
        parse_policy(f"{THREE}\n{lines}\n".encode())
