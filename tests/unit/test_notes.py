"""Signed notes, checkpoints and cosignatures: published ones, and rejected bytes."""

from dataclasses import replace

import pytest
from consents.proof import notes
from consents.proof.notes import Checkpoint, InvalidNote, Note, SignatureType, VerifierKey

from tests.unit.vectors import vectors

EXAMPLE, COSIGNED = vectors("notes")["example"], vectors("notes")["cosigned"]
KEY = notes.parse_key(EXAMPLE["key"])
NOTE = notes.parse_note(EXAMPLE["note"].encode())


def test_example_of_the_specification_is_signed_by_its_key() -> None:
    assert NOTE.text == "This is an example message.\n"
    assert KEY.has_signed(NOTE)
    assert str(KEY) == EXAMPLE["key"]
    assert bytes(NOTE) == EXAMPLE["note"].encode()


def test_signature_is_only_of_its_text() -> None:
    assert not KEY.has_signed(replace(NOTE, text="This is an example message!\n"))


def test_signature_of_another_name_or_key_does_not_count() -> None:
    (signature,) = NOTE.signatures

    assert not replace(KEY, name="example.com/bar").has_signed(NOTE)
    assert not KEY.has_signed(Note(NOTE.text, (signature._replace(key_id=b"1234"),)))


@pytest.mark.parametrize("key", COSIGNED["keys"])
def test_published_checkpoint_is_signed_by_its_log_and_cosigned_by_its_witnesses(key: str) -> None:
    note = notes.parse_note(COSIGNED["note"].encode())

    assert notes.parse_key(key).has_signed(note)
    assert not notes.parse_key(key).has_signed(replace(note, text=note.text.replace("14", "15")))
    assert bytes(note) == COSIGNED["note"].encode()
    assert notes.parse_checkpoint(note.text).size == 1432088532


@pytest.mark.parametrize(
    "key",
    [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        "example.com/foo+530d903a+",
        "example.com/foo+530d903a+AQ==",
        EXAMPLE["key"].replace("530d", "530e"),
        EXAMPLE["key"].replace("+Aek", "+Cek"),
        EXAMPLE["key"] + "*",
    ],
)
def test_what_is_no_verifier_key_is_rejected(key: str) -> None:
    with pytest.raises(InvalidNote):
        notes.parse_key(key)


SIGNATURE = EXAMPLE["note"].split("\n\n")[1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text\n",
        b"text\n\n",
        f"text\n\n{SIGNATURE}"[:-1].encode(),
        f"te\rxt\n\n{SIGNATURE}".encode(),
        b"te\xffxt\n\n" + SIGNATURE.encode(),
        f"text\n\n{SIGNATURE.replace('—', '-')}".encode(),
        f"text\n\n{SIGNATURE.replace('foo', 'f+o')}".encode(),
        f"text\n\n{SIGNATURE.replace('foo ', '')}".encode(),
        f"text\n\n{SIGNATURE.replace('foo', 'f\u2003o')}".encode(),
        f"text\n\n{SIGNATURE.replace('aQM=', '*')}".encode(),
        f"text\n\n{SIGNATURE * (notes.MAX_SIGNATURES + 1)}".encode(),
        f"{'x' * notes.MAX_BYTES}\n\n{SIGNATURE}".encode(),
        "text\n\n— a AAAAAA==\n".encode(),
    ],
)
def test_what_is_no_signed_note_is_rejected(content: bytes) -> None:
    with pytest.raises(InvalidNote):
        notes.parse_note(content)


def test_checkpoint_is_three_lines() -> None:
    checkpoint = Checkpoint("log.example.com/1", 257, bytes(32))

    text = f"log.example.com/1\n257\n{'A' * 43}=\n"
    assert checkpoint.text() == text
    assert notes.parse_checkpoint(text) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"a\n1\n{'A' * 43}=",
        f"\n1\n{'A' * 43}=\n",
        f"a\n01\n{'A' * 43}=\n",
        f"a\n-1\n{'A' * 43}=\n",
        f"a\n\n{'A' * 43}=\n",
        f"a\n1\n{'A' * 42}==\n",
        f"a\n1\n{'A' * 43}=\nextension\n",
        f"a\n\u0661\n{'A' * 43}=\n",
    ],
)
def test_what_is_no_checkpoint_is_rejected(text: str) -> None:
    with pytest.raises(InvalidNote):
        notes.parse_checkpoint(text)


def test_key_of_a_witness_has_another_id_than_the_log_key_of_the_same_bytes() -> None:
    log = VerifierKey("a", SignatureType.ED25519, bytes(32))

    assert log.key_id != replace(log, type=SignatureType.COSIGNATURE).key_id
