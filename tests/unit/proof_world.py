"""A ledger, its log, and two witnesses in memory, from which proof packs are made."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from consents.aws.dynamodb import base64_text
from consents.capture.ledger_items import record_item, record_key
from consents.domain.record import Receipt, text_hash
from consents.proof import bucket_keys, notes, tlog
from consents.proof.anchors import Anchor, anchor_name
from consents.proof.batches import Batch
from consents.proof.entries import organization_entry
from consents.proof.judgement import judge
from consents.proof.notes import Note, SignatureType, VerifierKey
from consents.proof.prove import Pack, Prover, Question
from consents.proof.publish import Publisher
from consents.proof.records import Item
from consents.proof.seal import Change, Sealer
from consents.proof.snapshot import Snapshot
from consents.proof.subject import KeyTable
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.factories import NOW, ORG_ID, REQUEST_ID, TEXT, attested_record
from tests.unit.log_store import ORIGIN, LogKey, LogPositions, LogStore

CONTACT, OTHER = "+15554443333", "+15554440000"
SEED = bytes(range(32))


def part_roots_of(seed: bytes, org_id: str, *contacts: str) -> list[bytes]:
    """Return the roots of the parts of a key table, true ones only where some contacts are."""
    roots = [bytes(32)] * 1024
    for part in {bucket_keys.bucket_of(org_id, contact) >> 10 for contact in contacts}:
        keys = (bucket_keys.bucket_key(seed, part << 10 | at) for at in range(1024))
        roots[part] = tlog.tree_hash([tlog.leaf_hash(key) for key in keys])
    return roots


@cache
def part_roots() -> list[bytes]:
    """Return the roots of the parts of the organization's key table."""
    return part_roots_of(SEED, ORG_ID, CONTACT, OTHER)


class Witness:
    """A witness that cosigns what it is shown."""

    def __init__(self, name: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32))
        public_key = self._key.public_key().public_bytes_raw()
        self.verifier = VerifierKey(name, SignatureType.COSIGNATURE, public_key)

    def cosign(self, note: Note, at: datetime) -> Note:
        """Return a checkpoint with a cosignature more."""
        time = int(at.timestamp())
        signature = self._key.sign(notes.cosigned_message(note.text, time))
        added = self.verifier.signature(time.to_bytes(8) + signature)
        return replace(note, signatures=(*note.signatures, added))


class Positions(LogPositions):
    """Positions, and key tables as proofs read them."""

    def key_table(self, org_id: str) -> KeyTable | None:
        """Return the key table of an organization."""
        return KeyTable(*self.organizations[org_id]) if org_id in self.organizations else None


class ProofWorld:
    """What an organization captures is sealed at once, and published when a test says so."""

    def __init__(self, *, has_organization: bool = True) -> None:
        self.store, self.positions, self.key = LogStore(), Positions(), LogKey()
        self.sealer = Sealer(self.positions, self.store, lambda _: part_roots())
        self.publisher = Publisher(ORIGIN, self.positions, self.store, self.key)
        self.witnesses = [Witness("witness-a.example"), Witness("witness-b.example")]
        self.ledger: dict[str, Item] = {}
        self.stored_texts = {text_hash(TEXT): TEXT}
        if has_organization:
            self.add_organization()
        self.prover = Prover(self, self.texts, self, self.positions, self.policy, judge)

    def add_organization(self) -> None:
        """Seal the entry of the organization."""
        entry = organization_entry(ORG_ID, tlog.tree_hash(part_roots()))
        batch = Batch.of([entry])
        self.store.write_batch(batch.name, entry)
        self.positions.add_organization(ORG_ID, SEED, part_roots(), batch)

    def capture(self, at: datetime = NOW, *, is_sealed: bool = True, **changes: Any) -> Item:
        """Store a record as it was received at an instant, and return its item."""
        request_id = changes.pop("request_id", REQUEST_ID)
        one = attested_record()._replace(**changes)
        key = record_key(ORG_ID, one)
        item = record_item(key, one, Receipt(at, request_id), base64_text(key[1].encode()[-16:]))
        self.ledger[key[1]] = item
        if is_sealed:
            self.seal(None, item)
        return item

    def change(self, old: Item, new: Item | None, *, is_sealed: bool = True) -> None:
        """Replace or remove an item, as no function does."""
        del self.ledger[old["sk"]["S"]]
        if new is not None:
            self.ledger[new["sk"]["S"]] = new
        if is_sealed:
            self.seal(old, new)

    def seal(self, old: Item | None, new: Item | None) -> None:
        """Seal a change of the ledger."""
        self.sealer.seal([Change(old, new)], NOW)

    def publish(self) -> int:
        """Publish what is sealed, and return the size of the log."""
        return max((one.size for one in self.publisher.publish(lambda: True)), default=0)

    def anchor(self, at: datetime) -> None:
        """Publish what is sealed, and have both witnesses cosign the published checkpoint."""
        self.publish()
        note = notes.parse_note(self.store.read("checkpoint"))
        size = notes.parse_checkpoint(note.text).size
        for witness in self.witnesses:
            note = witness.cosign(note, at)
        self.store.objects[anchor_name(size)] = bytes(note)

    def prove(self, contact: str = CONTACT, at: datetime = NOW, **changes: Any) -> Pack:
        """Return the pack of a contact, asked for an hour after an instant."""
        question = Question(ORG_ID, contact, **changes)
        return self.prover.prove(question, at + timedelta(hours=1), lambda: 1)

    def policy(self) -> bytes:
        """Return the policy of the log."""
        names = [f"w{number}" for number, _ in enumerate(self.witnesses)]
        lines = [f"log {self.key.verifier}"]
        lines += [
            f"witness {name} {witness.verifier}"
            for name, witness in zip(names, self.witnesses, strict=True)
        ]
        lines += [f"group both all {' '.join(names)}", "quorum both"]
        return "\n".join([*lines, ""]).encode()

    # What a proof reads.

    def items(self, org_id: str, contact: str, time_left: object) -> Sequence[Item]:  # noqa: ARG002
        """Return all items of a contact."""
        pk = {"S": f"{org_id}#{contact}"}
        return [item for _, item in sorted(self.ledger.items()) if item["pk"] == pk]

    def texts(self, org_id: str, hashes: Iterable[str]) -> Mapping[str, str]:  # noqa: ARG002
        """Return agreement texts by their hashes."""
        return {one: self.stored_texts[one] for one in hashes if one in self.stored_texts}

    def snapshot(self) -> Snapshot | None:
        """Return the log up to the published checkpoint."""
        stored = self.store.checkpoint()
        if stored is None:
            return None
        size = notes.parse_checkpoint(notes.parse_note(stored.content).text).size
        note = self.store.objects.get(anchor_name(size), stored.content)
        return Snapshot(note, self.store.read, self.store.read_range)

    def anchor_sizes(self) -> Iterable[int]:
        """Return the sizes that are anchored."""
        return [int(name[8:]) for name in self.store.objects if name.startswith("anchors/")]

    def read_anchor(self, size: int) -> Anchor:
        """Return the anchor of a size."""
        name = anchor_name(size)
        return Anchor(self.store.read(name), self.store.objects.get(f"{name}.tsr", b""))

    def batches(self, names: Sequence[str]) -> Iterable[bytes]:
        """Return the entries of batches."""
        return self.store.batches(names)


def words(report: Mapping[str, Any], kind: str) -> list[str]:
    """Return the words of the statements of a kind."""
    return [one["word"] for one in report["statements"] if one["statement"] == kind]


def files(pack: Pack) -> dict[str, bytes]:
    """Return the files of a pack."""
    with ZipFile(BytesIO(pack.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
