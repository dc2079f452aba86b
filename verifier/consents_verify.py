"""Verify a proof pack of a consent ledger, offline and without trust in its operator.

    python consents_verify.py PACK.zip --policy POLICY

Needs Python 3.11 or later and nothing else. Read it from top to bottom; it goes from bytes to
signatures, trees, checkpoints, the parts of a pack, the judgement of its records, and the command.
The formats are those of C2SP (checkpoint, cosignature, policy, proof), RFC 6962 and RFC 8032. The
scheme of bucket keys, which ties a phone number to its leaves, is this project's and unreviewed.
"""

import argparse
import base64
import functools
import hashlib
import hmac
import io
import itertools
import json
import re
import sys
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

# --- Bounds ---------------------------------------------------------------------------------------

MAX_ZIP, MAX_UNPACKED, MAX_NAMES = 96 * 1024 * 1024, 64 * 1024 * 1024, 100_000
MAX_JSON_DEPTH, MAX_JSON_MARKS, MAX_INTEGER = 8, 8_000_000, 2**63 - 1
MAX_NOTE, MAX_SIGNATURES = 64 * 1024, 64
MAX_POLICY, MAX_KEYS, MAX_ANCHORS, MAX_PROOF = 256 * 1024, 64, 4096, 64
AUDITORS = "auditors"  # the group of witnesses who state that the index follows from the log
MAX_POSIX_TIME = 253_402_300_799  # the end of the year 9999
MERGE_DELAY, FILE_DELAY = 300, 86_400  # seconds until a record, a row of a file, is in the log
UNKNOWN = float("nan")  # a time of which no comparison is true
DEPTH = 20  # bits of a contact's bucket
RUN_ITEMS = (255, 65_280)  # leaves of a run of level 0 and 1, without those of kind 0
ENTRY, TAG, BODY = 65, slice(1, 33), slice(33, 65)  # bytes of a leaf; before its tag is its kind
LOG, RECORD, CHANGED, REMOVED, ORGANIZATION, BACKFILLED = range(6)
RECORD_KINDS = (RECORD, CHANGED, REMOVED, BACKFILLED)


class Damaged(ValueError):
    """What is read is not what its format says, as every other ValueError here."""


class Unreadable(Exception):
    """The file is not a pack of this format."""


class UsageError(Exception):
    """An argument cannot be used."""


# --- Bytes and JSON -------------------------------------------------------------------------------

T = TypeVar("T")
Bound = tuple[float, tuple[str, ...]] | None  # a time, and by whom
Named = tuple[set[int], dict[int, bytes]]  # leaves that the index names, and roots by size
_JSON_MARKS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", re.ASCII)


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def decode_base64(text: object, size: int | None = None) -> bytes:
    """Return the bytes of canonical base64 (RFC 4648 section 4), of one size if it is given."""
    data = base64.b64decode(str(text), validate=True)
    if base64.b64encode(data).decode() != text or size not in (None, len(data)):
        raise Damaged("base64 is not canonical, or of another size")
    return data


def decode_hashes(texts: Sequence[object]) -> list[bytes]:
    """Return the hashes of a proof."""
    if len(texts) > MAX_PROOF:
        raise Damaged(f"a proof has more than {MAX_PROOF} hashes")
    return [decode_base64(one, 32) for one in texts]


def number(text: str) -> int:
    """Return a number of 0..2^63-1 in decimal digits without leading zeros."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text) or int(text) > MAX_INTEGER:
        raise Damaged("a number is not whole, or beyond its bound")
    return int(text)


def parse_json(data: bytes | str) -> Any:
    """Parse strict JSON: no member twice, whole numbers of 0..2^63-1, depth at most 8."""
    text = data if isinstance(data, str) else data.decode()
    found = itertools.islice(_JSON_MARKS.finditer(text), MAX_JSON_MARKS + 1)
    marks = [text[mark.start()] for mark in found]
    steps = ((mark in "[{") - (mark in "]}") for mark in marks)
    if len(marks) > MAX_JSON_MARKS or max(itertools.accumulate(steps), default=0) > MAX_JSON_DEPTH:
        raise Damaged("JSON is too large or too deep")
    value = json.loads(
        text, object_pairs_hook=_unique, parse_int=number, parse_float=number, parse_constant=number
    )
    json.dumps(value if "\\u" in text else None, ensure_ascii=False).encode()  # half a pair?
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise Damaged("JSON has a member twice")
    return members


def member(value: object, name: str, kind: type[T]) -> T:
    """Return a member of a JSON object, which must have a type."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        raise Damaged(f"{name!r} is missing or has another type")
    return found


def rfc3339(seconds: float) -> str:
    """Return an instant in RFC 3339: UTC, whole seconds."""
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%S}Z".rjust(20, "0")


def posix_time(text: str) -> float:
    """Return the POSIX time of a timestamp in UTC, or UNKNOWN."""
    try:
        return datetime.fromisoformat(text).timestamp() if _TIMESTAMP.fullmatch(text) else UNKNOWN
    except ValueError:
        return UNKNOWN


# --- Ed25519 (RFC 8032) ---------------------------------------------------------------------------

Point = tuple[int, int, int, int]  # extended coordinates X, Y, Z, T: x = X/Z, y = Y/Z, xy = T/Z

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, PRIME) % PRIME


def _add(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % PRIME
    b = (one[1] + one[0]) * (other[1] + other[0]) % PRIME
    c = 2 * one[3] * other[3] * _D % PRIME
    d = 2 * one[2] * other[2] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def _decode_point(encoded: bytes) -> Point | None:
    """Return the point of 32 bytes, or None if there is no such point."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    square = (y * y - 1) * pow(_D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    if y >= PRIME or (x * x - square) % PRIME or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else PRIME - x
    return x, y, 1, x * y % PRIME


def encode_point(point: Point) -> bytes:
    inverse = pow(point[2], -1, PRIME)
    x, y = point[0] * inverse % PRIME, point[1] * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def multiply(scalar: int, point: Point) -> Point:
    """Return a point times a scalar."""
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point, scalar = _add(point, point), scalar >> 1
    return total


BASE = _decode_point(b"\x58" + b"\x66" * 31) or (0, 0, 0, 0)


@functools.lru_cache(maxsize=1024)  # the pack's checkpoint is often in times.json too
def is_signature(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether an Ed25519 signature is of this key and message."""
    key = _decode_point(public) if len(public) == 32 else None
    nonce, s = signature[:32], int.from_bytes(signature[32:], "little")
    if key is None or len(signature) != 64 or s >= ORDER:
        return False
    hashed = int.from_bytes(hashlib.sha512(nonce + public + message).digest(), "little")
    x, y, z, t = multiply(hashed % ORDER, key)
    return encode_point(_add(multiply(s, BASE), (-x, y, z, -t))) == nonce


# --- Merkle trees (RFC 6962) ----------------------------------------------------------------------


leaf_hash = functools.partial(sha256, b"\0")
node_hash = functools.partial(sha256, b"\1")  # of the left and the right hash below it


def _sides(index: int, last: int, length: int) -> list[bool] | None:
    """Return, per hash of a path, whether it is a left sibling; None if the length is wrong."""
    sides = []
    for _ in range(length):
        if last == 0:
            return None
        sides.append(index & 1 == 1 or index == last)
        while sides[-1] and index and not index & 1:
            index, last = index >> 1, last >> 1
        index, last = index >> 1, last >> 1
    return sides if last == 0 else None


def root_of_leaf(index: int, size: int, entry: bytes, path: Sequence[bytes]) -> bytes | None:
    """Return the root that an inclusion proof leads to, or None if its length is wrong."""
    sides, node = _sides(index, size - 1, len(path)) if index < size else None, leaf_hash(entry)
    if sides is None:
        return None
    for is_left, sibling in zip(sides, path, strict=True):
        node = node_hash(sibling, node) if is_left else node_hash(node, sibling)
    return node


def is_consistent(old: tuple[int, bytes], new: tuple[int, bytes], path: Sequence[bytes]) -> bool:
    """Return whether a proof shows that a tree of (size, root) extends an older one."""
    if old[0] >= new[0]:
        return old == new and not path
    height = (old[0] & -old[0]).bit_length() - 1
    hashes = [old[1], *path] if old[0].bit_count() == 1 else [*path]
    sides = _sides((old[0] - 1) >> height, (new[0] - 1) >> height, len(hashes) - 1)
    if not hashes or sides is None:
        return False
    first = second = hashes[0]
    for is_left, sibling in zip(sides, hashes[1:], strict=True):
        first = node_hash(sibling, first) if is_left else first
        second = node_hash(sibling, second) if is_left else node_hash(second, sibling)
    return (first, second) == (old[1], new[1])


class Frontier:
    """The perfect subtrees of a tree that grows, left to right."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size, self.hashes = size, [*hashes]
        if len(self.hashes) != size.bit_count():
            raise Damaged("the frontier does not fit its size")

    def add(self, leaf: bytes) -> None:
        size = self.size
        while size & 1:
            leaf, size = node_hash(self.hashes.pop(), leaf), size >> 1
        self.hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree so far, which must have a leaf."""
        return functools.reduce(lambda right, left: node_hash(left, right), self.hashes[::-1])


# --- Checkpoints and policies (C2SP) --------------------------------------------------------------

ED25519, COSIGNATURE, ML_DSA = b"\x01", b"\x04", b"\x06"
_KEY_NAME = re.compile(r"[^\s+]+")
_NOTE = re.compile("(.+)\n([1-9][0-9]{0,18})\n(.{44})\n\n((?:\N{EM DASH} .+\n)+)")
_SIGNATURE = re.compile("\N{EM DASH} ([^\\s+]+) (\\S+)")


class Key(NamedTuple):  # signatures of ML-DSA are of a later release, and ignored
    name: str
    id: bytes
    type: bytes
    public: bytes


def parse_vkey(text: str, types: Collection[bytes]) -> Key:
    """Return the key of a vkey, which must have one of some signature types."""
    name, key_id, encoded = (*text.split("+", 2), "", "")[:3]
    material = decode_base64(encoded)
    expected = sha256(name.encode("utf-8", "surrogateescape"), b"\n", material)[:4]
    if not _KEY_NAME.fullmatch(name) or key_id != expected.hex() or material[:1] not in types:
        raise Damaged(f"the vkey of {name} is malformed or of another type")
    return Key(name, expected, material[:1], material[1:])


@dataclass(slots=True)
class Checkpoint:
    """A signed tree head; `raw` is the whole note, `text` what is signed."""

    origin: str
    size: int
    root: bytes
    text: bytes
    signatures: Mapping[tuple[str, bytes], bytes]
    raw: bytes
    is_signed: bool = False  # by a log key of a policy
    times: dict[str, float] = field(default_factory=dict)  # at which it was seen, by whom

    def seen_by(self, key: Key) -> int | None:
        """Return when a key signed it (a log: 0), or None; raise Damaged if it did not."""
        data = self.signatures.get((key.name, key.id))
        if data is None or key.type == ML_DSA:
            return None
        time, signed = 0, self.text
        if key.type == COSIGNATURE:
            time, data = int.from_bytes(data[:8], "big"), data[8:]
            signed = b"cosignature/v1\ntime %d\n" % time + signed
        if time > MAX_POSIX_TIME or not is_signature(key.public, data, signed):
            raise Damaged(f"checkpoint {self.size}: the signature of {key.name} does not verify")
        return time

    def extends(self, old: "Checkpoint", path: Sequence[bytes]) -> bool:
        """Return whether a consistency proof shows that this is a later head of the same tree."""
        return is_consistent((old.size, old.root), (self.size, self.root), path)


def parse_checkpoint(raw: bytes) -> Checkpoint:
    """Parse a signed note whose text is a checkpoint of three lines."""
    match = _NOTE.fullmatch(raw[: MAX_NOTE + 1].decode())
    if not match or len(raw) > MAX_NOTE or re.search(r"[\x00-\x09\x0b-\x1f]", match[0]):
        raise Damaged("a checkpoint is no signed note of three lines")
    signatures: dict[tuple[str, bytes], bytes] = {}
    lines = match[4].split("\n")[:-1]
    for line in lines:
        signature = _SIGNATURE.fullmatch(line)
        name, data = (signature[1], decode_base64(signature[2])) if signature else ("", b"")
        signatures[name, data[:4]] = data[4:]
    if b"" in signatures.values() or not len(signatures) == len(lines) <= MAX_SIGNATURES:
        raise Damaged("a note has an invalid signature line, two of one key, or too many")
    size, root = number(match[2]), decode_base64(match[3], 32)
    text = f"{match[1]}\n{match[2]}\n{match[3]}\n".encode()
    return Checkpoint(match[1], size, root, text, signatures, raw)


_POLICY_BYTES = re.compile(rb"[\t\n\x20-\x7e\x80-\xff]*")


@dataclass(slots=True)
class Policy:
    """The keys that a reader trusts."""

    logs: list[Key] = field(default_factory=list)
    witnesses: dict[str, Key] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str = ""

    def see(self, raw: bytes) -> Checkpoint:
        """Return a checkpoint with who saw it; raise Damaged if a known key's line is false."""
        one = parse_checkpoint(raw)
        logs = [one.seen_by(key) for key in self.logs if key.name == one.origin]
        one.is_signed = any(time is not None for time in logs)
        times = {name: one.seen_by(key) for name, key in self.witnesses.items()}
        one.times = {name: time for name, time in times.items() if time is not None}
        return one

    def satisfied(self, seen: Checkpoint) -> set[str]:
        """Return the witnesses that cosigned, and the groups that they satisfy."""
        found = seen.times.keys() & self.witnesses.keys()
        for name, (threshold, members) in self.groups.items():  # members come before their group
            if len(found.intersection(members)) >= threshold:
                found.add(name)
        return found

    def is_anchor(self, seen: Checkpoint) -> bool:
        """Return whether enough witnesses saw it, or an authority or the reader did."""
        is_met = self.quorum == "none" or self.quorum in self.satisfied(seen)
        return bool(seen.times) and (is_met or bool(seen.times.keys() - self.witnesses.keys()))


def parse_policy(data: bytes) -> Policy:
    """Parse a policy file."""
    policy = Policy()
    if len(data) > MAX_POLICY or not _POLICY_BYTES.fullmatch(data):
        raise Damaged("a policy is too long, or has control characters")
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        words = re.findall(r"[^ \t]+", line)
        if words and not words[0].startswith("#"):
            _add_policy_line(policy, words)
    if (
        not policy.quorum
        or max(map(len, (policy.logs, policy.witnesses, policy.groups))) > MAX_KEYS
    ):
        raise Damaged("a policy has no quorum, or too many keys and groups")
    for keys in (policy.logs, policy.witnesses.values()):
        if len({key.public for key in keys}) < len(keys):
            raise Damaged("a policy has a key twice")
    return policy


def _add_policy_line(policy: Policy, words: Sequence[str]) -> None:
    names = {"none", *policy.witnesses, *policy.groups}
    match words:
        case ["log", vkey] | ["log", vkey, _]:
            policy.logs.append(parse_vkey(vkey, (ED25519, ML_DSA)))
        case ["witness", name, vkey] | ["witness", name, vkey, _] if name not in names:
            policy.witnesses[name] = parse_vkey(vkey, (COSIGNATURE, ML_DSA))
        case ["group", name, threshold, *members] if name not in names:
            free = names.difference({"none"}, *(others for _, others in policy.groups.values()))
            least = {"any": 1, "all": len(members)}.get(threshold) or number(threshold)
            if not 1 <= least <= len({*members} & free) == len(members):
                raise Damaged("a policy has a group with another threshold or members than it may")
            policy.groups[name] = least, members
        case ["quorum", name] if name in names and not policy.quorum:
            policy.quorum = name
        case _:
            raise Damaged("a policy has an invalid line, or a name that is unknown or used twice")


# --- The parts of a pack --------------------------------------------------------------------------

FORMAT = "consent-ledger-proof-pack/1"
_FILES = {"COVER.html", "checkpoint", "policy", "entries.jsonl"}
_FILES |= {"index.json", "subject.json", "times.json"}
_OTHERS = re.compile(r"proofs/(0|[1-9][0-9]{0,18})\.tlog-proof|texts/[0-9a-f]{64}\.txt")


def open_pack(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest of a pack and its other files, checked against their hashes in it."""
    if len(data) > MAX_ZIP or data.count(b"PK\1\2") > 2 * MAX_NAMES:  # names, before they are read
        raise Damaged("the file is larger than a pack may be")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except Exception:  # noqa: BLE001 (zipfile raises many kinds)
        raise Unreadable("the file is no zip") from None
    infos = archive.infolist()
    if len(infos) > MAX_NAMES or sum(info.file_size for info in infos) > MAX_UNPACKED:
        raise Damaged("the pack has more names or bytes than it may")
    manifest = _read_manifest(archive)
    names = {info.filename for info in infos} - {"pack.json"}
    unknown = [name for name in names if name not in _FILES and not _OTHERS.fullmatch(name)]
    if unknown or len(names) + 1 < len(infos) or not names.issuperset(_FILES):
        raise Damaged("a file has an unknown name, is there twice, or is missing")
    files = {name: _unpack(archive, name) for name in sorted(names)}
    hashes = {name: hashlib.sha256(file).hexdigest() for name, file in files.items()}
    if hashes != member(manifest, "files", dict):
        raise Damaged("a file has another hash than pack.json names")
    return manifest, files


def _read_manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        manifest = parse_json(_unpack(archive, "pack.json"))
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise Unreadable(f"pack.json cannot be read, or its format is not {FORMAT}")
    return manifest


def _unpack(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        info = archive.getinfo(name)
        with archive.open(info) as file:
            data = file.read(info.file_size)
    except Exception:  # noqa: BLE001 (zipfile raises many kinds)
        raise Damaged("a file cannot be unpacked") from None
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Damaged("a file is compressed by an unknown method")
    return data


class Subject(NamedTuple):
    """Whom a pack is about. Where the log has no leaf of the organization, there is no key."""

    organization: str
    contact: str
    key_table_root: bytes | None
    tags: tuple[bytes, ...]  # of the organization, and of the contact


def parse_subject(data: bytes) -> Subject:
    """Parse subject.json, and derive tags and the root of the key table from the bucket key."""
    value = parse_json(data)
    organization, contact = member(value, "organization", str), member(value, "contact", str)
    if not organization.isprintable() or not re.fullmatch(r"\+[1-9][0-9]{1,14}", contact):
        raise Damaged("the subject is no organization and number")
    key = None if value.get("key", "") is None else decode_base64(value.get("key"), 32)
    path = decode_hashes(member(value, "path", list))
    if member(value, "depth", int) != DEPTH or len(path) != (DEPTH if key else 0):
        raise Damaged(f"depth and path are not {DEPTH}")
    tag = sha256(b"consent-ledger/org/v1\n", organization.encode())
    if key is None:
        return Subject(organization, contact, None, (tag,))
    names = f"{organization}\n{contact}".encode()
    bucket = int.from_bytes(sha256(b"consent-ledger/contact/v1\n", names), "big") >> 256 - DEPTH
    contact_tag = hmac.digest(key, b"consent-ledger/tag/v1\n" + names, "sha256")
    root = root_of_leaf(bucket, 1 << DEPTH, key, path)
    return Subject(organization, contact, root, (tag, contact_tag))


class Line(NamedTuple):
    """A line of entries.jsonl: a leaf, what opens it, or a record without a leaf."""

    leaf: int | None
    kind: int
    tag: bytes
    body: bytes
    record: str | None
    commitment: bytes


def parse_lines(files: Mapping[str, bytes], top: Checkpoint) -> list[Line]:
    """Parse entries.jsonl, and prove each of its leaves by its tlog-proof."""
    *texts, end = files["entries.jsonl"].decode().split("\n")
    lines = [_parse_line(parse_json(text), files, top) for text in texts]
    leaves = [line.leaf for line in lines if line.leaf is not None]
    if end or leaves != sorted({*leaves}) or any(one.leaf is None for one in lines[: len(leaves)]):
        raise Damaged("the lines of entries.jsonl are out of order")
    if len(leaves) != sum(name.startswith("proofs/") for name in files):
        raise Damaged("there are proofs of other leaves than those of entries.jsonl")
    return lines


def _parse_line(value: object, files: Mapping[str, bytes], top: Checkpoint) -> Line:
    if not isinstance(value, dict) or ("record" in value) != ("salt" in value):
        raise Damaged("a line of entries.jsonl has a record without a salt, or no record")
    record = member(value, "record", str) if "record" in value else None
    salt = decode_base64(value["salt"], 16) if record is not None else b""
    commitment = hmac.digest(salt, (record or "").encode(), "sha256")
    if value.get("leaf", 0) is None and record is not None and value.get("entry") is None:
        return Line(None, RECORD, b"", b"", record, commitment)
    leaf, entry = member(value, "leaf", int), decode_base64(value.get("entry"), ENTRY)
    path = parse_tlog_proof(files.get(f"proofs/{leaf}.tlog-proof", b""), leaf, top.raw)
    if root_of_leaf(leaf, top.size, entry, path) != top.root:
        raise Damaged(f"the proof of leaf {leaf} does not lead to the checkpoint")
    return Line(leaf, entry[0], entry[TAG], entry[BODY], record, commitment)


def parse_tlog_proof(data: bytes, leaf: int, checkpoint: bytes) -> list[bytes]:
    """Return the path of a C2SP tlog-proof without extra data, of this leaf and checkpoint."""
    head, tail = b"c2sp.org/tlog-proof@v1\nindex %d\n" % leaf, b"\n" + checkpoint
    path = data[len(head) : len(data) - len(tail)]
    if data != head + path + tail or path[-1:] not in (b"", b"\n"):
        raise Damaged(f"the tlog-proof of leaf {leaf} is malformed or of another checkpoint")
    return decode_hashes(path.decode().split("\n")[:-1])


def check_lines(lines: Sequence[Line], named: Collection[int], subject: Subject) -> None:
    """Raise Damaged unless the lines have the leaves that the index names, with their tags."""
    logged = [line for line in lines if line.leaf is not None]
    if {line.leaf for line in logged} != named:
        raise Damaged("entries.jsonl has other leaves than index and tail name")
    if any(line.tag not in subject.tags for line in logged):
        raise Damaged("a leaf of entries.jsonl has another tag")
    roots = {one.body for one in logged if (one.kind, one.tag) == (ORGANIZATION, subject.tags[0])}
    if roots != ({subject.key_table_root} if len(subject.tags) == 2 else set()):
        raise Damaged("the bucket key is not the one that the log commits to")
    if {one.commitment for one in lines if one.leaf is None} & {one.body for one in logged}:
        raise Damaged("a record without a leaf has one")


def parse_index(data: bytes, top: Checkpoint, tags: Sequence[bytes]) -> Named:
    """Return the leaves that the index names for some tags, and the roots within the tail."""
    value = parse_json(data)
    runs, large, small = member(value, "runs", list), (top.size - 1) // 65536, (top.size - 1) // 256
    if member(value, "levels", int) != 2 or len(runs) != large + small - 256 * large:
        raise Damaged("the index has not the runs of its cover")
    leaves, roots = _parse_tail(value, top, 256 * small, tags)
    places = [*((1, n) for n in range(large)), *((0, n) for n in range(256 * large, small))]
    for run, (level, number) in zip(runs, places, strict=True):
        if (member(run, "level", int), member(run, "number", int)) != (level, number):
            raise Damaged("the runs of the index are not in the order of the cover")
        leaves |= _parse_run(run, level, top, tags)
    return leaves, roots


def _parse_tail(value: object, top: Checkpoint, start: int, tags: Sequence[bytes]) -> Named:
    leaves, roots, texts = set(), {}, member(value, "tail", list)
    tree = Frontier(start, decode_hashes(member(value, "frontier", list)))
    for i, text in enumerate(texts[:256]):
        entry = decode_base64(text, ENTRY)
        tree.add(leaf_hash(entry))
        roots[tree.size] = tree.root()
        leaves |= {start + i} if entry[TAG] in tags else set()
        if (entry[0] == LOG) != (i == 0):
            raise Damaged("a leaf of the tail has the wrong kind")
    if start + len(texts) != top.size or roots.get(top.size) != top.root:
        raise Damaged("the tail does not lead to the checkpoint")
    return leaves, roots


def _parse_run(run: Any, level: int, top: Checkpoint, tags: Sequence[bytes]) -> set[int]:
    width, end = 256 ** (level + 1), (run["number"] + 1) * 256 ** (level + 1)
    entry, path = decode_base64(run.get("entry"), ENTRY), decode_hashes(member(run, "proof", list))
    if root_of_leaf(end, top.size, entry, path) != top.root or entry[0] != LOG:
        raise Damaged("the root of a run of the index is not in the log")
    root = entry[BODY] if level else entry[TAG]
    items = [_parse_item(one, RUN_ITEMS[level], root) for one in member(run, "items", list)]
    if not all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(items)):
        raise Damaged("the items of a run of the index are out of order")
    leaves = {leaf for tag in tags for leaf in _matches(items, tag, RUN_ITEMS[level])}
    if any(not end - width < leaf < end or leaf % 256 == 0 for leaf in leaves):
        raise Damaged("an item of the index names a leaf that its run does not cover")
    return leaves


def _parse_item(value: Any, count: int, root: bytes) -> tuple[int, bytes]:
    at, path = member(value, "at", int), decode_hashes(member(value, "proof", list))
    item = decode_base64(value.get("item"), 40)
    if root_of_leaf(at, count, item, path) != root:
        raise Damaged("the proof of an item does not lead to the root of its run")
    return at, item


def _matches(items: Sequence[tuple[int, bytes]], tag: bytes, count: int) -> list[int]:
    """Return the leaves of the items with a tag; raise Damaged unless neighbors show all."""
    keys = [item for _, item in items]
    low, high = bisect_left(keys, tag), bisect_right(keys, tag + b"\xff" * 8)
    places = [at for at, _ in items[max(low - 1, 0) : high + 1]]
    begins, ends = low > 0 or places[:1] == [0], high < len(items) or places[-1:] == [count - 1]
    if not begins or not ends or places != [*range(places[0], places[-1] + 1)]:
        raise Damaged("a run of the index does not show the neighbors of its items")
    return [int.from_bytes(key[32:], "big") for key in keys[low:high]]


# --- The records of the contact, and their times --------------------------------------------------


class Record:
    """The lines with one commitment, lowest leaf first, and what the record says."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.leaf, self.kinds = lines[0].leaf, {line.kind for line in lines}
        self.place = "no leaf" if self.leaf is None else f"leaf {self.leaf}"
        shown = [line for line in lines if line.record is not None]
        self.is_shown = bool(shown)
        self.is_opened = all(line.commitment == line.body for line in shown)
        try:
            value = parse_json((shown[0].record if shown else None) or "{}")
        except ValueError:  # it is judged by its leaf
            value = None
        self.members: dict[str, Any] = value if isinstance(value, dict) else {}
        self.pk, self.sk, self.status = (self.text(name) for name in ("pk", "sk", "status"))
        self.effective_at = self.text("effective_at")
        self.received = posix_time(self.text("received_at"))
        is_dated = self.received + posix_time(self.effective_at) < float("inf")  # both are known
        is_known = bool(self.pk and self.sk) and self.status in ("opt-in", "opt-out")
        self.is_whole = is_dated and is_known
        self.sender = self.sk.partition("#")[0]
        self.weight = (posix_time(self.effective_at), self.status, self.sk.rpartition("#")[2])

    def text(self, name: str) -> str:
        value = self.members.get(name)
        return value if isinstance(value, str) else ""


def group_records(lines: Sequence[Line], tags: Sequence[bytes]) -> list[Record]:
    """Return the contact's records by their lowest leaf, then those without a leaf."""
    groups: dict[bytes, list[Line]] = {}
    for line in lines:
        if line.tag in tags[1:] and line.kind in RECORD_KINDS:
            groups.setdefault(line.body, []).append(line)
    loose = sorted((line.record or "", line) for line in lines if line.leaf is None)
    return [Record(one) for one in (*groups.values(), *([line] for _, line in loose))]


class Clock:
    """The times between which a leaf was added, from what saw the log."""

    def __init__(self, anchors: Iterable[Checkpoint]) -> None:
        ordered = sorted(anchors, key=lambda seen: seen.size)
        early = [(min(seen.times.values()), tuple(seen.times)) for seen in ordered]
        late = [(max(seen.times.values()), tuple(seen.times)) for seen in ordered]
        self._sizes = [seen.size for seen in ordered]
        self._not_before: list[Bound] = [None, *itertools.accumulate(early, max)]
        self._not_after: list[Bound] = [None, *itertools.accumulate(late[::-1], min)][::-1]
        self.first = late[0][0] if late else UNKNOWN

    def bounds(self, leaf: int) -> tuple[Bound, Bound]:
        """Return the last time at which the log lacked a leaf, and the first at which it had it."""
        place = bisect_right(self._sizes, leaf)
        return self._not_before[place], self._not_after[place]


# --- The report -----------------------------------------------------------------------------------

VERDICTS = ("VERIFIED", "VERIFIED, WITH OPEN POINTS", "GAPS", "BROKEN", "UNREADABLE")  # exit 0..4
RANKS = {"pack": 0, "log_key": 1, "witnesses": 2, "record": 3, "time": 3, "text": 3}
RANKS |= {"completeness": 4, "state": 5, "receipt": 6, "kept": 7, "not_proven": 8}
BROKEN = {"DAMAGED", "NOT SIGNED", "ALTERED", "DIFFERS", "FORK"}
GAPS = {"ERASED", "WITHHELD", "REMOVED", "CHANGED", "LATE", "FUTURE", "NOT LOGGED"}
OPEN = {
    ("log_key", "FROM THE PACK"): "pass --policy with a policy from elsewhere than the pack",
    ("witnesses", "NO QUORUM"): "a pack of a size that the policy's quorum cosigned",
    ("witnesses", "NONE"): "a policy with witnesses, and a pack of a size that they cosigned",
    ("record", "BACKFILLED"): "other evidence that it is as old as it says: the log began later",
    ("leaf", "UNKNOWN KIND"): "a verifier that knows this kind of leaf",
    ("time", "CLAIMED"): "a policy, and a pack with anchors before and after the leaf",
    ("time", "NOT LATER THAN"): "a pack with an anchor that lacks the leaf",
    ("text", "NOT IN THE PACK"): "the agreement text of this hash",
    ("completeness", "COMPLETE AS INDEXED"): "the cosignature of an auditor, or --log",
    ("kept", "NOT COMPARABLE"): "a pack made with --kept-size of this size, or --log",
}
UNSAID = {"log_key": "NOT SIGNED", "witnesses": "NONE", "completeness": "NOT SHOWN"}
UNSAID |= {"state": "CANNOT BE SAID", "kept": "NONE GIVEN"}
NOT_PROVEN = {
    "N1": "that the person acted: it is proven what was sent to the operator, not who clicked",
    "N2": "that no record was rejected or lost before it was accepted",
    "N3": "anything after the pack's size",
    "N4": "completeness against an operator who wrote a false index",
    "N5": "one history: a log that nobody watches can be replaced by a second one",
    "N6": "how much later than the last anchor before it a leaf was added",
    "N7": "that a court admits this",
}


class Statement(NamedTuple):
    """A line of the report; `key` is its word without numbers and times."""

    kind: str
    key: str
    word: str
    text: str
    more: dict[str, Any]


class Report:
    """What is said of a pack."""

    def __init__(self) -> None:
        self.subject: dict[str, Any] = dict.fromkeys(("origin", "size", "organization", "contact"))
        self.statements: list[Statement] = []
        self.stamps: list[str] = []
        self.unknown_kinds: list[str] = []
        self.is_watched = False

    def say(self, kind: str, key: str, text: str, *, word: str = "", **more: Any) -> None:
        self.statements.append(Statement(kind, key, word or key, text, more))

    def keys(self, kind: str) -> set[str]:
        return {one.key for one in self.statements if one.kind == kind}

    def exit_code(self) -> int:
        """Return the exit code of the verdict: the worst that a statement makes."""
        keys = {one.key for one in self.statements}
        if "UNREADABLE" in keys:
            return 4
        return 3 if keys & BROKEN else 2 if keys & GAPS else 1 if self.open_points() else 0

    def open_points(self) -> list[str]:
        """Return each word that leaves a point open, of what, and what closes it."""
        points: dict[tuple[str, str], list[str]] = {}
        unknown = [(("leaf", "UNKNOWN KIND"), one) for one in self.unknown_kinds]
        for at, text in [*(((one.kind, one.key), one.text) for one in self.statements), *unknown]:
            if at in OPEN:
                points.setdefault(at, []).append(text)
        return [f"{at[1]}: {OPEN[at]} ({'; '.join(texts)})" for at, texts in points.items()]

    def finish(self) -> None:
        """Add what could not be said, the receipt and N1 to N7, and put all in order."""
        for kind, key in UNSAID.items():
            if not self.keys(kind):
                self.say(kind, key, "not examined, since the pack is damaged")
        self.say("receipt", "NONE GIVEN", "receipts are of a later release")
        is_complete = self.keys("completeness") & {"COMPLETE", "COMPLETE, RECOMPUTED"}
        closed = {"N4": is_complete, "N5": self.is_watched, "N6": not self.keys("record")}
        for name, text in NOT_PROVEN.items():
            if not closed.get(name):
                self.say("not_proven", name, text)
        self.statements.sort(key=lambda one: RANKS[one.kind])

    def as_text(self) -> str:
        """Return the report for people, without control characters."""
        limit = {"not_proven": "NOT PROVEN: "}
        said = [f"{limit.get(one.kind, '')}{one.word}: {one.text}" for one in self.statements]
        points = [f"OPEN: {one}" for one in self.open_points()]
        lines = [VERDICTS[self.exit_code()], *said, *points, *self.stamps]
        plain = ("".join(c if c.isprintable() else "?" for c in line) for line in lines)
        return "\n".join((*plain, ""))

    def as_json(self) -> str:
        """Return the report for programs."""
        code, said = self.exit_code(), self.statements
        value = {"format": "consent-ledger-verdict/1", "verdict": VERDICTS[code], "exit": code}
        value |= self.subject
        value["statements"] = [
            {"statement": one.kind, "word": one.word, "text": one.text} | one.more for one in said
        ]
        value["open_points"] = self.open_points()
        return json.dumps(value, indent=2) + "\n"


# --- The examination ------------------------------------------------------------------------------

KEPT = ("FORK", "NOT COMPARABLE", "CONSISTENT")
STAMP = (
    "TIMESTAMP: unzip -p PACK.zip times.json | jq -r '.[] | select(.size == {size}).tsr' "
    "| base64 -d > {size}.tsr && openssl ts -verify -digest {digest} -in {size}.tsr -CAfile TSA.pem"
)


class Options(NamedTuple):
    """What the reader brings. Without a policy the pack's is used."""

    policy: Policy | None = None
    kept: Sequence[tuple[str, bytes, float]] = ()  # name, note, time
    log: Path | None = None
    tsa_roots: bytes = b""


class Examination:
    """Reads the parts of a pack in order, and says what follows from each."""

    def __init__(self, files: Mapping[str, bytes], options: Options, report: Report) -> None:
        self.files, self.options, self.report = files, options, report
        self.policy = options.policy or parse_policy(files["policy"])
        self.is_pinned = options.policy is not None
        self.seen = [self.policy.see(files["checkpoint"])]
        self.top = self.seen[0]
        self.roots = {self.top.size: self.top.root}  # by size, as far as they are proven
        self.proofs: dict[int, list[bytes]] = {}  # of sizes without a checkpoint
        self.kept: dict[str, list[Checkpoint]] = {key: [] for key in KEPT}
        self.is_replayed, self.backfill_end = False, MAX_INTEGER

    def run(self, manifest: Mapping[str, Any]) -> None:
        """Examine the pack; raise Damaged at the first fault."""
        self.report.subject.update(origin=self.top.origin, size=self.top.size)
        pinned = "PINNED" if self.is_pinned else "FROM THE PACK"
        key = pinned if self.top.is_signed else "NOT SIGNED"
        self.report.say("log_key", key, f"the log is {self.top.origin}")
        if (manifest.get("origin"), manifest.get("size")) != (self.top.origin, self.top.size):
            raise Damaged("pack.json names another origin or size")
        self._read_times()
        self._say_witnesses()
        self.subject = parse_subject(self.files["subject.json"])
        self.report.subject.update(zip(("organization", "contact"), self.subject, strict=False))
        self.lines = parse_lines(self.files, self.top)
        named, roots = parse_index(self.files["index.json"], self.top, self.subject.tags)
        check_lines(self.lines, named, self.subject)
        self.roots |= roots
        self._replay_log(named)
        self._compare_kept()
        self._say_records()
        self._say_completeness()
        self._say_state()
        self.report.say("pack", "INTACT", f"{len(self.files)} files, every hash and proof fits")

    def _read_times(self) -> None:
        entries = parse_json(self.files["times.json"])
        keys = len(self.policy.logs) + len(self.policy.witnesses)  # each of which is checked
        if not isinstance(entries, list) or len(entries) * max(keys, 8) > 8 * MAX_ANCHORS:
            raise Damaged("times.json is no list, or has too many anchors")
        sizes = [0, *(member(entry, "size", int) for entry in entries), self.top.size + 1]
        if any(one >= other for one, other in itertools.pairwise(sizes)):
            raise Damaged("the sizes of times.json are out of order, or beyond the pack's")
        for entry in entries:
            path = decode_hashes(member(entry, "consistency", list))
            if entry.get("checkpoint") is None:
                self.proofs[entry["size"]] = path
            else:
                self._add_anchor(entry, path)

    def _add_anchor(self, entry: Mapping[str, Any], path: Sequence[bytes]) -> None:
        one, top = self.policy.see(member(entry, "checkpoint", str).encode()), self.top
        is_signed = one.is_signed or not top.is_signed
        if (one.origin, one.size) != (top.origin, entry["size"]) or not is_signed:
            raise Damaged(f"anchor {entry['size']} is of another log or size, or not signed")
        if one.size == top.size and one.root != top.root:
            self.kept["FORK"].append(one)
            return
        if not top.extends(one, path):
            raise Damaged(f"the pack's checkpoint does not extend anchor {one.size}")
        if entry.get("tsr") is not None:
            self._add_stamp(one, decode_base64(entry["tsr"]))
        self.roots[one.size] = one.root
        self.seen.append(one)

    def _add_stamp(self, seen: Checkpoint, stamp: bytes) -> None:
        raw, size, roots = seen.raw, seen.size, self.options.tsa_roots
        time = load("consents_timestamps").verified_time(stamp, raw, roots) if roots else UNKNOWN
        if time == time:  # it is not UNKNOWN
            seen.times["timestamp authority"] = time
        else:
            self.report.stamps.append(STAMP.format(size=size, digest=sha256(raw).hex()))

    def _say_witnesses(self) -> None:
        known = self.policy.witnesses.keys()
        best = max(self.seen, key=lambda one: (len(one.times.keys() & known), one.size))
        count, size = len(best.times.keys() & known), best.size
        is_met = self.is_pinned and self.policy.quorum in self.policy.satisfied(best)
        self.report.is_watched |= is_met
        key = ("QUORUM" if is_met else "NO QUORUM") if count else "NONE"
        word = f"{count} OF {len(known)}, {key}" if count else key
        more = {"cosigned": count, "known": len(known), "size": size}
        self.report.say("witnesses", key, f"at size {size}", word=word, **more)

    def _replay_log(self, named: Collection[int]) -> None:
        """Compare the index with the log's files, where the reader has them."""
        if self.options.log is None:
            return
        sizes = {self.top.size, *(parse_checkpoint(raw).size for _, raw, _ in self.options.kept)}
        sizes = {size for size in sizes if size <= self.top.size}
        tags = self.subject.tags
        found = load("consents_audit").replay(self.options.log, self.policy, sizes, tags)
        self.is_replayed = found.roots[self.top.size] == self.top.root
        if not self.is_replayed:
            self.kept["FORK"].append(self.seen[0])
        elif found.leaves != named:
            raise Damaged("the log has other leaves of the contact than its index names")
        else:
            self.roots |= found.roots
            self.backfill_end = found.backfill_end

    def _compare_kept(self) -> None:
        for name, raw, time in self.options.kept:
            try:
                seen = self.policy.see(raw)
            except Damaged as error:
                raise UsageError(f"{name}: {error}") from None
            if not seen.is_signed or seen.origin != self.top.origin:
                raise UsageError(f"{name}: no log key of the policy signed it for this origin")
            if time == time:  # it is not UNKNOWN
                seen.times["you"] = time
            self.kept[self._compare(seen)].append(seen)
        self.report.is_watched |= bool(self.kept["CONSISTENT"])
        key = next((key for key in KEPT if self.kept[key]), "NONE GIVEN")
        sizes = ", ".join(str(seen.size) for seen in self.kept.get(key, ()))
        self.report.say(
            "kept", key, f"size {sizes}" if sizes else "no checkpoint was given with --kept"
        )

    def _compare(self, one: Checkpoint) -> str:
        if one.size in self.roots:
            return "CONSISTENT" if self.roots[one.size] == one.root else "FORK"
        if one.size not in self.proofs:
            return "NOT COMPARABLE"
        if not self.top.extends(one, self.proofs[one.size]):
            raise Damaged(f"the pack's checkpoint does not extend the kept one of size {one.size}")
        return "CONSISTENT"

    def _say_records(self) -> None:
        kept = [seen for seen in self.kept["CONSISTENT"] if "you" in seen.times]
        self.clock = Clock(one for one in (*self.seen, *kept) if self.policy.is_anchor(one))
        self.records = group_records(self.lines, self.subject.tags)
        for record in self.records:
            said = f": {record.status}, sender {record.sender}, effective {record.effective_at}"
            text = record.place + (said if record.is_whole else "")
            self.report.say("record", self._judge(record), text, leaf=record.leaf)
            self._say_time(record)
            self._say_text(record)
        known = {(ORGANIZATION, self.subject.tags[0])}
        known |= {(kind, tag) for kind in RECORD_KINDS for tag in self.subject.tags[1:]}
        unknown = [one for one in self.lines if one.leaf is not None and one[1:3] not in known]
        self.report.unknown_kinds += [f"leaf {one.leaf}, of kind {one.kind}" for one in unknown]

    def _judge(self, record: Record) -> str:
        """Return the word of a record: the first that applies."""
        pk = f"{self.subject.organization}#{self.subject.contact}"
        if record.leaf is None:
            return "NOT LOGGED"
        if not record.is_opened or record.pk not in ("", pk):
            return "ALTERED"
        if not record.is_shown:
            return "ERASED" if REMOVED in record.kinds else "WITHHELD"
        if REMOVED in record.kinds or CHANGED in record.kinds:
            return "REMOVED" if REMOVED in record.kinds else "CHANGED"
        received = record.received if record.is_whole else UNKNOWN
        if record.kinds == {BACKFILLED}:
            is_late = record.leaf > self.backfill_end or received > self.clock.first
            return "LATE" if is_late else "BACKFILLED"
        before, after = self.clock.bounds(record.leaf)
        delay = FILE_DELAY if "/" in record.text("request_id") else MERGE_DELAY
        if before and received + delay < before[0]:
            return "LATE"
        return "FUTURE" if after and received > after[0] + MERGE_DELAY else "PROVEN"

    def _say_time(self, record: Record) -> None:
        before, after = (None, None) if record.leaf is None else self.clock.bounds(record.leaf)
        begin, end = (rfc3339(bound[0]) if bound else None for bound in (before, after))
        names = ", ".join(dict.fromkeys(name for one in (before, after) if one for name in one[1]))
        proven = (begin, end) if self.is_pinned else (None, None)
        more = {"not_before": proven[0], "not_after": proven[1], "leaf": record.leaf}
        if not self.is_pinned or not end or (record.is_shown and not record.is_whole):
            word = f"CLAIMED {rfc3339(record.received)}" if record.is_whole else "CLAIMED"
            why = f"not before {begin}, by {names}" if begin else "no anchor: LATE is not found"
            self.report.say("time", "CLAIMED", f"{record.place} ({why})", word=word, **more)
            return
        key = "BETWEEN" if begin else "NOT LATER THAN"
        word = f"BETWEEN {begin} AND {end}" if begin else f"NOT LATER THAN {end}"
        self.report.say("time", key, f"{record.place} ({names})", word=word, **more)

    def _say_text(self, record: Record) -> None:
        evidence = record.members.get("evidence")
        named = evidence.get("agreement_text_hash") if isinstance(evidence, dict) else None
        text = self.files.get(f"texts/{named}.txt")
        key = "NONE NAMED" if named is None else "NOT IN THE PACK"
        if text is not None:
            key = "MATCHES" if hashlib.sha256(text).hexdigest() == named else "DIFFERS"
        what = "no agreement text" if named is None else f"agreement text {named}"
        self.report.say("text", key, f"{record.place}: {what}", leaf=record.leaf)

    def _say_completeness(self) -> None:
        seen = (*self.seen, *self.kept["CONSISTENT"]) if self.is_pinned else ()
        audits = (one for one in seen if AUDITORS in self.policy.satisfied(one))
        audited = max((one.size for one in audits), default=0)
        key = "COMPLETE" if audited > (self.top.size - 1) // 256 * 256 else "COMPLETE AS INDEXED"
        key = "COMPLETE, RECOMPUTED" if self.is_replayed else key
        text = f"below size {self.top.size}; audited to size {audited}"
        self.report.say("completeness", key, text, audited_size=audited or None)

    def _say_state(self) -> None:
        """Say for each sender which record counts: the latest, at one instant an opt-out."""
        if self.report.exit_code() >= 2 or not all(record.is_whole for record in self.records):
            self.report.say("state", "CANNOT BE SAID", "records have gaps, or lack a field")
            return
        last = {one.sender: one for one in sorted(self.records, key=lambda one: one.weight)}
        for sender in sorted(last, key=lambda one: (one != "*", one)):
            best = max(last[sender], last.get("*", last[sender]), key=lambda one: one.weight)
            key = "OPTED IN" if best.status == "opt-in" else "OPTED OUT"
            text = f"{sender} since {best.effective_at} ({best.place}); rules are not applied"
            self.report.say("state", key, text, sender=sender, record_leaf=best.leaf)
        if not self.records:
            self.report.say("state", "NONE", "the log has no record of the contact")


def load(name: str) -> Any:  # another file of this package, which only some options need
    try:
        return __import__(name)
    except ImportError as error:
        raise UsageError(f"{name}.py cannot be used: {error.name} is not installed") from None


# --- The command ----------------------------------------------------------------------------------


def verify(data: bytes, options: Options) -> Report:
    """Return the report on a pack, whatever its bytes are."""
    report = Report()
    try:
        manifest, files = open_pack(data)
        Examination(files, options, report).run(manifest)
    except UsageError:
        raise
    except Unreadable as error:
        report.say("pack", "UNREADABLE", str(error), word="DAMAGED")
        return report
    except Exception as error:  # noqa: BLE001 (Python's exit code of a traceback is a verdict here)
        report.say("pack", "DAMAGED", str(error) or type(error).__name__)
    report.finish()
    return report


class Parser(argparse.ArgumentParser):
    """A parser whose errors exit with 64: argparse's 2 is a verdict here."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("consents-verify", description="Verify a proof pack of a consent ledger.")
    parser.add_argument("pack", type=Path, metavar="PACK.zip")
    trust = parser.add_mutually_exclusive_group()
    trust.add_argument("--policy", type=Path, help="keys from elsewhere than the pack")
    trust.add_argument("--trust-pack", action="store_true", help="use the keys in the pack")
    parser.add_argument("--kept", action="append", metavar="FILE[@TIME]")
    parser.add_argument("--log", type=Path, metavar="DIR", help="the log as static files")
    parser.add_argument("--tsa-roots", type=Path, metavar="PEM")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def read_kept(argument: str) -> tuple[str, bytes, float]:
    """Read a kept checkpoint, FILE or FILE@TIME: the note or its base64."""
    path, _, time = argument.rpartition("@")
    known = posix_time(time)
    name = path if known == known else argument
    raw = Path(name).read_bytes()
    note = raw if b"\n\n" in raw else decode_base64(raw.decode().strip())
    parse_checkpoint(note)
    return name, note, known


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if words[:1] == ["audit"]:
            return int(load("consents_audit").main(words[1:]))
        given = parse_arguments(words)
        policy = parse_policy(given.policy.read_bytes()) if given.policy else None
        roots = given.tsa_roots.read_bytes() if given.tsa_roots else b""
        options = Options(policy, [read_kept(one) for one in given.kept or ()], given.log, roots)
        with given.pack.open("rb") as file:
            report = verify(file.read(MAX_ZIP + 1), options)
        text = report.as_json() if given.json else report.as_text()
        sys.stdout.write(text.encode("ascii", "backslashreplace").decode())
    except (UsageError, OSError, ValueError) as error:
        sys.stderr.write(f"consents-verify: {error}\n")
        return 64
    return report.exit_code()


if __name__ == "__main__":
    sys.modules["consents_verify"] = sys.modules[__name__]  # the other files import it by this name
    sys.exit(main())
