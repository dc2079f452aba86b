"""Signed notes, checkpoints and cosignatures (C2SP signed-note, tlog-checkpoint, tlog-cosignature).

A key is named by the text of its verifier key: `name+key id+base64 of type and public key`.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple

MAX_BYTES = 64 * 1024
MAX_SIGNATURES = 64


class InvalidNote(ValueError):
    """The bytes are no signed note, no checkpoint, or no verifier key."""


class SignatureType(IntEnum):
    """The algorithms, by the byte that names them in a key."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


class Signature(NamedTuple):
    """A signature line of a note."""

    name: str
    key_id: bytes
    content: bytes

    def line(self) -> str:
        """Return the line, with its end."""
        return f"— {self.name} {b64encode(self.key_id + self.content).decode()}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key, and the name and the algorithm that it verifies."""

    name: str
    type: SignatureType
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """Return the four bytes that begin a signature of this key."""
        return sha256(self.name.encode() + b"\n" + self._key).digest()[:4]

    @property
    def _key(self) -> bytes:
        return bytes([self.type]) + self.public_key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(self._key).decode()}"

    def signature(self, content: bytes) -> Signature:
        """Return a signature of this key."""
        return Signature(self.name, self.key_id, content)

    def has_signed(self, note: "Note") -> bool:
        """Return whether the note has a valid signature of this key."""
        return any(
            signature[:2] == (self.name, self.key_id) and self._is_valid(note.text, signature)
            for signature in note.signatures
        )

    def _is_valid(self, text: str, signature: Signature) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        content, message = signature.content, text.encode()
        if self.type is SignatureType.COSIGNATURE:
            time, content = int.from_bytes(content[:8]), content[8:]
            message = cosigned_message(text, time)
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(content, message)
        except InvalidSignature:
            return False
        return True


def parse_key(text: str) -> VerifierKey:
    """Parse a verifier key.

    Raises:
        InvalidNote: it has another form or algorithm, or its key id is wrong.
    """
    try:
        name, key_id, encoded = text.split("+", 2)
        content = b64decode(encoded, validate=True)
        key = VerifierKey(name, SignatureType(content[0]), content[1:])
    except (ValueError, IndexError):
        raise InvalidNote("not a verifier key") from None
    if key_id != key.key_id.hex() or len(key.public_key) != 32:
        raise InvalidNote("not a verifier key")
    return key


def cosigned_message(text: str, time: int) -> bytes:
    """Return what a witness signs of a checkpoint at a time, in seconds since 1970."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and signatures of it."""

    text: str
    signatures: tuple[Signature, ...]

    def __bytes__(self) -> bytes:
        return f"{self.text}\n{''.join(one.line() for one in self.signatures)}".encode()


def parse_note(content: bytes) -> Note:
    """Parse a signed note, without a look at whether its signatures are valid.

    Raises:
        InvalidNote: it has another form, or exceeds a limit.
    """
    text, separator, signatures = _decode(content).rpartition("\n\n")
    lines = signatures.split("\n")
    if not separator or lines.pop() or not 0 < len(lines) <= MAX_SIGNATURES:
        raise InvalidNote("not a signed note")
    return Note(f"{text}\n", tuple(map(parse_signature, lines)))


def _decode(content: bytes) -> str:
    try:
        text = content.decode() if len(content) <= MAX_BYTES else ""
    except UnicodeDecodeError:
        text = ""
    if any(letter < " " and letter != "\n" for letter in text):
        raise InvalidNote("not a signed note")
    return text


def parse_signature(line: str) -> Signature:
    """Parse a signature line, without its end, or raise `InvalidNote`."""
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    try:
        content = b64decode(encoded, validate=True)
    except ValueError:
        content = b""
    if dash != "—" or not name or "+" in name or name.split() != [name] or len(content) <= 4:
        raise InvalidNote("not a signature line")
    return Signature(name, content[:4], content[4:])


class Checkpoint(NamedTuple):
    """What a log signs: its origin, its size and its root hash."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text of the note."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Parse the text of a checkpoint, which has no extension lines.

    Raises:
        InvalidNote: it has another form.
    """
    try:
        origin, size, root, _ = text.split("\n")
        checkpoint = Checkpoint(origin, int(size), b64decode(root, validate=True))
    except ValueError:
        raise InvalidNote("not a checkpoint") from None
    is_whole = origin and checkpoint.size >= 0 and len(checkpoint.root) == 32
    if not is_whole or checkpoint.text() != text:
        raise InvalidNote("not a checkpoint")
    return checkpoint
