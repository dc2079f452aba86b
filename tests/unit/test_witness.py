"""The witness of the local stack: what it cosigns, and what it rejects (C2SP tlog-witness)."""

import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from consents.proof import notes
from consents.proof.cosignatures import cosigned_at, parse_lines, valid_cosignature
from consents.proof.notes import Checkpoint, Note, Signature, SignatureType, VerifierKey
from consents_audit import Cosigner
from consents_cli.witness import MAX_BODY, Response, Witness
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW
from tests.unit import rfc6962
from tests.unit.log_store import ORIGIN, LogKey

COSIGNER = Cosigner("witness.example", bytes(32))
KEY = VerifierKey(COSIGNER.name, SignatureType.COSIGNATURE, COSIGNER.public)
LOG, STRANGER = LogKey(), LogKey(b"stranger".ljust(32))
LEAVES = [rfc6962.leaf(b"%d" % number) for number in range(64)]
OTHERS = [rfc6962.leaf(b"other %d" % number) for number in range(64)]


def new_witness() -> Witness:
    return Witness(str(LOG.verifier), COSIGNER, clock=NOW.timestamp)


def signed(
    size: int,
    leaves: Sequence[bytes] = LEAVES,
    *,
    origin: str = ORIGIN,
    key: LogKey = LOG,
) -> Note:
    """Return the checkpoint of some leaves."""
    text = Checkpoint(origin, size, rfc6962.mth(leaves[:size])).text()
    return Note(text, (key.verifier.signature(key.sign(text.encode())),))


def request(old: int, note: Note, proof: Sequence[bytes]) -> bytes:
    lines = [f"old {old}", *(b64encode(one).decode() for one in proof), "", ""]
    return "\n".join(lines).encode() + bytes(note)


def proven(old: int, size: int, leaves: Sequence[bytes] = LEAVES) -> bytes:
    """Return the request to cosign the checkpoint of some leaves."""
    proof = rfc6962.consistency(old, leaves[:size]) if old else []
    return request(old, signed(size, leaves), proof)


@pytest.fixture
def witness() -> Witness:
    """A witness that has cosigned the first ten leaves."""
    made = new_witness()
    assert made.add_checkpoint(proven(0, 10)).status == 200
    return made


GOOD = proven(10, 12)
PROOF = rfc6962.consistency(10, LEAVES[:12])


def seen(witness: Witness) -> int:
    """Return the size that a witness has cosigned."""
    size = int(witness.add_checkpoint(proven(0, 64, OTHERS)).body)
    assert witness.add_checkpoint(proven(size, size)).status == 200  # of the same leaves
    return size


def test_each_checkpoint_that_extends_the_last_is_cosigned() -> None:
    witness, old = new_witness(), 0
    for size in (1, 2, 3, 3, 8, 9, 21, 64):
        response = witness.add_checkpoint(proven(old, size))
        note = signed(size)
        cosignature = valid_cosignature(note, KEY, parse_lines(response.body.encode()), NOW)
        assert response.status == 200
        assert cosignature is not None
        assert cosigned_at(cosignature) == int(NOW.timestamp())
        old = size


def test_cosignatures_that_a_checkpoint_has_already_do_not_matter(witness: Witness) -> None:
    note = signed(12)
    stranger = STRANGER.verifier.signature(STRANGER.sign(note.text.encode()))
    both = Note(note.text, (stranger, *note.signatures))

    assert witness.add_checkpoint(request(10, both, PROOF)).status == 200


HASH = b64encode(bytes(32))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b"old 10",
        b"old 10\n\n",
        bytes(signed(12)),
        GOOD.removesuffix(b"\n"),
        GOOD.replace(b"old 10", b"old 010"),
        GOOD.replace(b"old 10", b"old -10"),
        GOOD.replace(b"old 10", b"old +10"),
        GOOD.replace(b"old 10", b"old  10"),
        GOOD.replace(b"old 10", "old \N{ARABIC-INDIC DIGIT ONE}0".encode()),
        GOOD.replace(b"old 10", b"old " + b"9" * 5000),
        GOOD.replace(b"old 10", b"new 10"),
        GOOD.replace(b"old 10\n", b"old 10\nAAAA\n"),
        GOOD.replace(b"old 10\n", b"old 10\n" + HASH[:-1] + b"\n"),
        GOOD.replace(b"old 10\n", b"old 10\n\xff\n"),
        GOOD.replace(b"old 10\n", b"old 10\n" + (HASH + b"\n") * (64 - len(PROOF))),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"\n12\n", b"\n012\n"),
        GOOD.replace(b"\n12\n", b"\n0\n"),
        GOOD.replace(b"\n12\n", b"\n12\nextension\n"),
        GOOD + "— name AAAA\n".encode(),
        GOOD + b"x" * MAX_BODY,
    ],
)
def test_malformed_request_is_rejected(witness: Witness, body: bytes) -> None:
    assert witness.add_checkpoint(body) == Response(400)
    assert seen(witness) == 10


@given(st.binary(max_size=300), st.integers(0, len(GOOD)), st.integers(0, len(GOOD)))
def test_no_bytes_are_cosigned_but_those_of_a_request(some: bytes, start: int, end: int) -> None:
    body = GOOD[:start] + some + GOOD[end:]
    witness = new_witness()
    witness.add_checkpoint(proven(0, 10))

    assert body == GOOD or witness.add_checkpoint(body).status in {400, 403, 404, 409, 422}
    assert witness.add_checkpoint(GOOD).status == 200


def test_checkpoint_of_another_origin_is_unknown(witness: Witness) -> None:
    assert witness.add_checkpoint(request(0, signed(12, origin="other"), [])) == Response(404)


SIGNATURE = signed(13).signatures[0]


@pytest.mark.parametrize(
    "signature",
    [
        signed(12, key=STRANGER).signatures[0],
        SIGNATURE,
        SIGNATURE._replace(content=b"short"),
        SIGNATURE._replace(key_id=b"keys"),
    ],
)
def test_checkpoint_that_the_log_did_not_sign_is_rejected(
    witness: Witness, signature: Signature
) -> None:
    note = Note(signed(12).text, (signature,))

    assert witness.add_checkpoint(request(10, note, PROOF)) == Response(403)
    assert seen(witness) == 10


def test_old_size_above_the_size_is_rejected(witness: Witness) -> None:
    assert witness.add_checkpoint(request(10, signed(9), [])) == Response(400)


@pytest.mark.parametrize(("old", "size"), [(0, 12), (9, 12), (11, 12), (9, 9)])
def test_another_old_size_is_answered_with_the_cosigned_one(
    witness: Witness, old: int, size: int
) -> None:
    response = witness.add_checkpoint(proven(old, size))

    assert response == Response(409, "10\n", "text/x.tlog.size")


@pytest.mark.parametrize(
    "body",
    [
        proven(10, 12, OTHERS),
        proven(10, 10, OTHERS),
        request(10, signed(12), []),
        request(10, signed(12), PROOF[:-1]),
        request(10, signed(12), PROOF[::-1]),
        request(10, signed(12), [*PROOF, bytes(32)]),
        request(10, signed(10), PROOF),
    ],
)
def test_log_that_does_not_extend_the_cosigned_one_is_rejected(
    witness: Witness, body: bytes
) -> None:
    assert witness.add_checkpoint(body) == Response(422)
    assert seen(witness) == 10


def test_first_checkpoint_has_no_proof() -> None:
    assert new_witness().add_checkpoint(request(0, signed(12), PROOF)) == Response(422)


@pytest.fixture
def fast_switching() -> Iterator[None]:
    """Switch threads after each microsecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("fast_switching")
def test_of_requests_at_once_one_is_cosigned() -> None:
    bodies = [proven(10, 10 + number) for number in range(1, 5)]
    with ThreadPoolExecutor(len(bodies)) as threads:
        for _ in range(100):  # the verifier has checked these signatures, so that all are as fast
            witness, together = new_witness(), Barrier(len(bodies))
            witness.add_checkpoint(proven(0, 10))

            def send(body: bytes, witness: Witness = witness, together: Barrier = together) -> int:
                together.wait(10)
                return witness.add_checkpoint(body).status

            assert sorted(threads.map(send, bodies)) == [200, 409, 409, 409]


def test_text_of_a_response_is_one_signature_line(witness: Witness) -> None:
    (one,) = parse_lines(witness.add_checkpoint(GOOD).body.encode())

    assert notes.parse_note(bytes(signed(12)) + one.line().encode()).signatures[1] == one
