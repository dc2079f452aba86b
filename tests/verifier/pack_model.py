"""Packs for the tests of the verifier, made from the description of the format alone."""

import hmac
import io
import json
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Self

from tests.verifier.log_model import (
    ORGANIZATION,
    POLICY,
    RECORD,
    WITNESSES,
    Log,
    Signer,
    Tree,
    b64,
    digest,
)

ORG, CONTACT, SENDER = "org_acme", "+15554443333", "+15550001111"
DAY, START = 86_400, 1_767_225_600  # 2026-01-01T00:00:00Z

type Files = dict[str, bytes]
type Json = dict[str, Any]


def timestamp(seconds: float) -> str:
    """Return a time as the ledger writes it."""

    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def record_json(status: str, received: float, **changes: Any) -> str:
    """Return a record of the ledger."""
    sender = changes.pop("sender", SENDER)
    record = {
        "effective_at": timestamp(received),
        "evidence": {"agreement_text_hash": sha256(b"I agree").hexdigest()},
        "pk": f"{ORG}#{CONTACT}",
        "received_at": timestamp(received),
        "request_id": "req_1",
        "sk": f"{sender}#{timestamp(received)}#{status}#{digest(str(received)).hex()[:32]}",
        "status": status,
        "wire": "attested",
    } | changes
    members = {name: value for name, value in sorted(record.items()) if value is not None}
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False)


def commitment(record: str, salt: bytes) -> bytes:
    """Return the commitment of a record."""
    return hmac.digest(salt, record.encode(), "sha256")


def salt_of(record: str) -> bytes:
    """Return a salt for a record, which another record does not have."""
    return digest(f"salt of {record}")[:16]


class BucketKeys:
    """An organization's bucket keys: of one bucket for real, with any hashes beside its path."""

    def __init__(self, seed: bytes, contact: str = CONTACT) -> None:
        names = f"{ORG}\n{contact}".encode()
        self.bits = f"{sha256(b'consent-ledger/contact/v1' + b'\n' + names).digest()[0]:08b}"
        number = int.from_bytes(sha256(b"consent-ledger/contact/v1\n" + names).digest()) >> 236
        self.bits = f"{number:020b}"
        self.key = seed
        for bit in self.bits:
            self.key = sha256(b"consent-ledger/bucket/" + bit.encode() + self.key).digest()
        self.path = [digest(f"sibling {i} of {seed.hex()}") for i in range(20)]
        self.root = sha256(b"\0" + self.key).digest()
        for bit, sibling in zip(self.bits[::-1], self.path, strict=True):
            pair = sibling + self.root if bit == "1" else self.root + sibling
            self.root = sha256(b"\1" + pair).digest()

    def tag(self, contact: str = CONTACT) -> bytes:
        """Return the tag of a contact of this bucket."""
        text = f"consent-ledger/tag/v1\n{ORG}\n{contact}".encode()
        return hmac.digest(self.key, text, "sha256")


ORG_TAG = digest(f"consent-ledger/org/v1\n{ORG}")


@dataclass
class World:
    """A log with the records of one contact, its anchors, and what the ledger still shows."""

    log: Log = field(default_factory=Log)
    keys: BucketKeys = field(default_factory=lambda: BucketKeys(digest("seed")))
    shown: dict[bytes, tuple[str, bytes]] = field(default_factory=dict)
    loose: list[str] = field(default_factory=list)
    anchors: dict[int, str] = field(default_factory=dict)
    stamps: dict[int, bytes] = field(default_factory=dict)
    texts: list[bytes] = field(default_factory=lambda: [b"I agree"])

    def begin(self) -> Self:
        """Log the organization's key table."""
        self.log.add(ORGANIZATION, ORG_TAG, self.keys.root)
        return self

    def store(self, record: str, kind: int = RECORD) -> int:
        """Log a record that the ledger shows, and return its leaf."""
        salt = salt_of(record)
        self.shown[commitment(record, salt)] = record, salt
        return self.log.add(kind, self.keys.tag(), commitment(record, salt))

    def add_leaf(self, kind: int, record: str) -> int:
        """Log another leaf of a record."""
        return self.log.add(kind, self.keys.tag(), commitment(record, salt_of(record)))

    def hide(self, record: str) -> None:
        """Remove a record from the ledger."""
        del self.shown[commitment(record, salt_of(record))]

    def anchor(self, time: int, witnesses: tuple[Signer, ...] = WITNESSES) -> int:
        """Have witnesses cosign the log as it is, and return its size."""
        size = self.log.size
        self.anchors[size] = self.log.checkpoint(size, dict.fromkeys(witnesses, time))
        return size

    def files(self, kept: tuple[int, ...] = ()) -> Files:
        """Return the files of a pack of the log as it is."""
        size = self.log.size
        checkpoint = self.anchors.get(size) or self.log.checkpoint(size)
        tags = (ORG_TAG, self.keys.tag())
        leaves = [i for i, entry in enumerate(self.log.entries) if entry[1:33] in tags]
        has_key = any(self.log.entries[leaf][0] == ORGANIZATION for leaf in leaves)
        files = {
            "COVER.html": b"<!doctype html><title>Cover</title>",
            "checkpoint": checkpoint.encode(),
            "entries.jsonl": "".join(
                f"{json.dumps(one)}\n" for one in self._lines(leaves)
            ).encode(),
            "index.json": json.dumps(self._index(tags)).encode(),
            "subject.json": json.dumps(self._subject(has_key)).encode(),
            "times.json": json.dumps(self._times(kept)).encode(),
            "policy": POLICY.encode(),
        }
        tree = self.log.tree()
        for leaf in leaves:
            path = "".join(f"{b64(one)}\n" for one in tree.path(leaf, 0, size))
            proof = f"c2sp.org/tlog-proof@v1\nindex {leaf}\n{path}\n{checkpoint}"
            files[f"proofs/{leaf}.tlog-proof"] = proof.encode()
        return files | {f"texts/{sha256(one).hexdigest()}.txt": one for one in self.texts}

    def pack(self, kept: tuple[int, ...] = ()) -> bytes:
        """Return the zip of a pack."""
        return zip_of(self.files(kept))

    def _lines(self, leaves: list[int]) -> list[Json]:
        lines = []
        for leaf in leaves:
            entry = self.log.entries[leaf]
            line: Json = {"leaf": leaf, "entry": b64(entry)}
            if entry[33:] in self.shown:
                record, salt = self.shown[entry[33:]]
                line |= {"record": record, "salt": b64(salt)}
            lines.append(line)
        return lines + [
            {"leaf": None, "record": record, "salt": b64(salt_of(record))} for record in self.loose
        ]

    def _subject(self, has_key: bool) -> Json:
        return {
            "organization": ORG,
            "contact": CONTACT,
            "depth": 20,
            "key": b64(self.keys.key) if has_key else None,
            "path": [b64(one) for one in self.keys.path] if has_key else [],
        }

    def _times(self, kept: tuple[int, ...]) -> list[Json]:
        tree, size = self.log.tree(), self.log.size
        times = []
        for at in sorted({*self.anchors, *kept}):
            entry: Json = {"size": at}
            if at in self.anchors:
                entry["checkpoint"] = self.anchors[at]
            if at in self.stamps:
                entry["tsr"] = b64(self.stamps[at])
            entry["consistency"] = [b64(one) for one in tree.consistency(at, size)]
            times.append(entry)
        return times

    def _index(self, tags: tuple[bytes, ...]) -> Json:
        size = self.log.size
        large = [(1, n) for n in range(size) if (n + 1) * 65536 < size]
        small = [(0, n) for n in range(256 * len(large), size) if (n + 1) * 256 < size]
        start = 65536 * len(large) + 256 * len(small)
        tree, frontier, at = self.log.tree(), [], 0
        for bit in range(63, -1, -1):
            if start >> bit & 1:
                frontier.append(tree.root(at, at + (1 << bit)))
                at += 1 << bit
        return {
            "levels": 2,
            "runs": [self._run(level, number, tags) for level, number in (*large, *small)],
            "frontier": [b64(one) for one in frontier],
            "tail": [b64(entry) for entry in self.log.entries[start:]],
        }

    def _run(self, level: int, number: int, tags: tuple[bytes, ...]) -> Json:
        leaf = (number + 1) * 256 ** (level + 1)
        items, tree = self.log.items(level, number), self.log.tree()
        wanted: set[int] = set()
        for tag in tags:
            first = sum(item[:32] < tag for item in items)
            last = sum(item[:32] <= tag for item in items)
            wanted |= {*range(max(first - 1, 0), min(last + 1, len(items)))}
        item_tree = Tree(items)
        return {
            "level": level,
            "number": number,
            "entry": b64(self.log.entries[leaf]),
            "proof": [b64(one) for one in tree.path(leaf, 0, self.log.size)],
            "items": [
                {
                    "at": at,
                    "item": b64(items[at]),
                    "proof": [b64(one) for one in item_tree.path(at, 0, len(items))],
                }
                for at in sorted(wanted)
            ],
        }


def zip_of(files: Files, /, **changes: Any) -> bytes:
    """Return the zip of a pack whose pack.json fits its files."""
    lines = files["checkpoint"].decode(errors="replace").split("\n")
    size = int(lines[1]) if lines[1:] and lines[1].isdecimal() else 0
    manifest = {
        "format": "consent-ledger-proof-pack/1",
        "origin": lines[0],
        "size": size,
        "made_at": "2026-06-01T00:00:00Z",
        "files": {name: sha256(data).hexdigest() for name, data in files.items()},
    } | changes
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pack.json", json.dumps(manifest))
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()
