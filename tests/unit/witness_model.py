"""A witness as C2SP tlog-witness describes it, with the checks of `rfc6962`."""

from base64 import b64decode, b64encode
from datetime import datetime

from consents.proof import notes
from consents.proof.http_post import Reply
from consents.proof.notes import SignatureType, VerifierKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.factories import NOW
from tests.unit import rfc6962


class WitnessModel:
    """Cosigns the checkpoints of one log, each of which extends the one before."""

    def __init__(self, name: str, log: VerifierKey) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32))
        public_key = self._key.public_key().public_bytes_raw()
        self.verifier = VerifierKey(name, SignatureType.COSIGNATURE, public_key)
        self._log = log
        self.size, self.root = 0, b""
        self.time = NOW
        self.requests: list[bytes] = []

    def add_checkpoint(self, body: bytes) -> Reply:
        """Return the response to a request."""
        self.requests.append(body)
        head, _, content = body.partition(b"\n\n")
        first, *lines = head.decode().split("\n")
        old, note = int(first.removeprefix("old ")), notes.parse_note(content)
        checkpoint = notes.parse_checkpoint(note.text)
        if not self._log.has_signed(note):
            return Reply(403, b"")
        if old > checkpoint.size:
            return Reply(400, b"")
        if old != self.size or (old == checkpoint.size and checkpoint.root != self.root):
            return Reply(409, f"{self.size}\n".encode())
        if not self._extends(checkpoint, [b64decode(line, validate=True) for line in lines]):
            return Reply(422, b"")
        self.size, self.root = checkpoint.size, checkpoint.root
        return Reply(200, self.cosignature(note.text).encode())

    def cosignature(self, text: str, time: datetime | None = None) -> str:
        """Return the line that cosigns a checkpoint."""
        seconds = int((time or self.time).timestamp())
        signed = self._key.sign(notes.cosigned_message(text, seconds))
        content = self.verifier.key_id + seconds.to_bytes(8) + signed
        return f"— {self.verifier.name} {b64encode(content).decode()}\n"

    def _extends(self, new: notes.Checkpoint, proof: list[bytes]) -> bool:
        if not self.size:
            return not proof
        try:
            roots = rfc6962.roots_from_consistency(self.size, new.size, self.root, proof)
        except (AssertionError, IndexError):
            return False
        return roots == (self.root, new.root)
