"""Audit a log: replay every entry; check tiles, roots and index; cosign what holds.

    consents-verify audit DIR_OR_URL --policy POLICY [--state FILE] [--cosign KEY]

The cosignature of an auditor also states that the index follows from the log.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from consents_verify import (
    BACKFILLED,
    BASE,
    BODY,
    COSIGNATURE,
    ENTRY,
    LOG,
    MAX_INTEGER,
    ORDER,
    TAG,
    Checkpoint,
    Frontier,
    Parser,
    Policy,
    UsageError,
    decode_base64,
    encode_point,
    leaf_hash,
    multiply,
    parse_json,
    parse_policy,
    sha256,
)

WIDTH = 256  # of a tile
SPAN = 65_536  # leaves of a run of level 1, and of a step of the audit
MAX_FILE = WIDTH * (ENTRY + 2)
STATE = "consent-ledger-audit-state/1"
ENTRY_SIZE = ENTRY.to_bytes(2, "big")


class Fault(Exception):
    """The first leaf at which a log is wrong, and the file that shows it."""

    def __init__(self, leaf: int, path: str, what: str) -> None:
        super().__init__(what)
        self.leaf, self.path = leaf, path


# --- The files of a log (C2SP tlog-tiles) ---------------------------------------------------------


class Source(Protocol):
    """A log's files by their names."""

    def read(self, name: str) -> bytes:
        """Return a file; raise UsageError if it cannot be read."""


class Directory(NamedTuple):
    """A log as `consents log export` writes it."""

    path: Path

    def read(self, name: str) -> bytes:
        """Return a file; raise UsageError if it cannot be read."""
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {name} of the log: {error.strerror}") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which could carry the bearer's key to another host."""

    def redirect_request(self, *_: object) -> None:
        """Return None: the redirect is an error."""


class Url(NamedTuple):
    """A log that is served over HTTP, to whom the bearer may be."""

    base: str
    bearer: str

    def read(self, name: str) -> bytes:
        """Return a file; raise UsageError if it cannot be read."""
        headers = {"Authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        request = urllib.request.Request(f"{self.base}/{name}", headers=headers)  # noqa: S310
        try:
            with urllib.request.build_opener(_NoRedirects()).open(request, timeout=60) as response:
                return bytes(response.read(MAX_FILE + 1))
        except (OSError, ValueError) as error:
            reason = getattr(error, "code", type(error).__name__)
            raise UsageError(f"cannot read {name} of the log: {reason}") from None


def tile_path(number: int) -> str:
    """Return the number of a tile as paths spell it: 1234067 is x001/x234/067."""
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03}")
    return "/".join(groups[::-1])


def tile_name(level: int | str, number: int, width: int) -> str:
    """Return the name of a tile or entry bundle, full or partial."""
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{tile_path(number)}{partial}"


def read_entries(source: Source, start: int, size: int) -> Iterator[bytes]:
    """Return the entries of a log of a size, from a multiple of 256 on."""
    for leaf in range(start, size, WIDTH):
        width = min(WIDTH, size - leaf)
        name = tile_name("entries", leaf // WIDTH, width)
        data, step = source.read(name), ENTRY + 2
        rows = [data[i : i + step] for i in range(0, len(data), step)]
        if len(data) != width * step or any(row[:2] != ENTRY_SIZE for row in rows):
            raise Fault(leaf, name, "the entry bundle is malformed")
        yield from (row[2:] for row in rows)


def read_checkpoint(source: Source, policy: Policy) -> Checkpoint:
    """Return the log's checkpoint, which a log key of the policy must have signed."""
    try:
        seen = policy.see(source.read("checkpoint"))
    except ValueError as error:
        raise UsageError(f"the log's checkpoint cannot be read: {error}") from None
    if not seen.is_signed:
        raise UsageError("the log's checkpoint is not signed by a log key of the policy")
    return seen


# --- --log of the verifier ------------------------------------------------------------------------


@dataclass(slots=True)
class Replay:
    """What a log's entries say below a size."""

    roots: dict[int, bytes] = field(default_factory=dict)
    leaves: set[int] = field(default_factory=set)
    backfill_end: int = MAX_INTEGER


def replay(
    directory: Path, policy: Policy, sizes: Collection[int], tags: Collection[bytes]
) -> Replay:
    """Return a log's roots at some sizes, and the leaves of some tags below the greatest."""
    source, size = Directory(directory), max(sizes)
    log = read_checkpoint(source, policy)
    if log.size < size:
        raise UsageError(f"the log has {log.size} leaves, the pack {size}: export the log again")
    found, tree = Replay(), Frontier()
    try:
        for entry in read_entries(source, 0, log.size):
            if tree.size < size:
                _note(found, tree.size, entry, tags)
            tree.add(leaf_hash(entry))
            if tree.size in sizes:
                found.roots[tree.size] = tree.root()
    except Fault as fault:
        raise UsageError(f"{fault.path} of the log: {fault}") from None
    if tree.root() != log.root:
        raise UsageError("the log's entries are not those that its checkpoint is signed for")
    return found


def _note(found: Replay, leaf: int, entry: bytes, tags: Collection[bytes]) -> None:
    if entry[TAG] in tags and entry[0] != LOG:
        found.leaves.add(leaf)
    if entry[0] == BACKFILLED and not any(entry[1:]):
        found.backfill_end = min(found.backfill_end, leaf)


# --- The audit ------------------------------------------------------------------------------------


class Step(NamedTuple):
    """Where an audit can continue: at a multiple of 65,536 leaves.

    `edge` has the hashes of the last tile of each level from 2 on; `roots` those of the last runs.
    """

    size: int
    edge: list[list[bytes]]
    roots: list[bytes]


class Audit:
    """Adds a log's entries one by one, and checks what they make."""

    def __init__(self, source: Source, origin: str, step: Step) -> None:
        self.source, self.origin, self.step, self.size = source, origin, step, step.size
        self.levels = [[], [], *(hashes[:] for hashes in step.edge)]
        self.roots = step.roots[:]
        self.items: list[bytes] = []

    def add(self, entry: bytes) -> None:
        """Add the next entry; raise Fault if it is not what the entries before it make it."""
        if self.size % WIDTH == 0:
            self._check_roots(entry)
        elif entry[0] == LOG:
            raise self._fault("a leaf of kind 0 in another place")
        else:
            self.items.append(entry[TAG] + self.size.to_bytes(8, "big"))
        self.size += 1
        if self.size % WIDTH == 0:
            self.roots[0] = items_root(self.items[-WIDTH + 1 :])
        if self.size % SPAN == 0:
            self.roots[1], self.items = items_root(self.items), []
        self._add_hash(0, leaf_hash(entry))
        if self.size % SPAN == 0:
            self.step = Step(self.size, [one[:] for one in self.levels[2:]], self.roots[:])

    def _check_roots(self, entry: bytes) -> None:
        tag, body = self.roots if self.size % SPAN == 0 else (self.roots[0], bytes(32))
        if self.size == 0:
            tag, body = sha256(self.origin.encode()), sha256(b"consent-ledger/log/v1")
        if entry[0] != LOG:
            raise self._fault("a leaf of another kind in the place of kind 0")
        if entry[TAG] != tag:
            raise self._fault("the root of the last run of level 0 is wrong")
        if entry[BODY] != body:
            raise self._fault("the root of the last run of level 1 is wrong")

    def _fault(self, what: str) -> Fault:
        return Fault(self.size, f"tile/entries/{tile_path(self.size // WIDTH)}", what)

    def _add_hash(self, level: int, node: bytes) -> None:
        if level == len(self.levels):
            self.levels.append([])
        hashes = self.levels[level]
        hashes.append(node)
        if len(hashes) == WIDTH:
            self._check_tile(level)
            self.levels[level] = []
            self._add_hash(level + 1, tree_of(hashes).root())

    def _check_tile(self, level: int) -> None:
        """Raise Fault unless the log's last tile of a level has the hashes of its entries."""
        hashes, leaves = self.levels[level], WIDTH**level
        first = self.size // leaves - len(hashes)
        name = tile_name(level, first // WIDTH, len(hashes))
        data = self.source.read(name)
        wrong = [i for i, one in enumerate(hashes) if data[32 * i : 32 * i + 32] != one]
        if wrong or len(data) != 32 * len(hashes):
            raise Fault((first + min(wrong, default=0)) * leaves, name, "tile and entries differ")

    def finish(self) -> None:
        """Check the partial tiles."""
        for level, hashes in enumerate(self.levels):
            if hashes:
                self._check_tile(level)

    def root(self) -> bytes:
        """Return the root of the log so far."""
        tree = Frontier()
        for hashes in self.levels[::-1]:
            tree.hashes += tree_of(hashes).hashes
        return tree.root()


def tree_of(hashes: Sequence[bytes]) -> Frontier:
    """Return the tree over some hashes."""
    tree = Frontier()
    for one in hashes:
        tree.add(one)
    return tree


def items_root(items: Sequence[bytes]) -> bytes:
    """Return the root of a run of the index."""
    return tree_of([leaf_hash(item) for item in sorted(items)]).root()


def audit(source: Source, log: Checkpoint, state: State) -> Step:
    """Replay a log from the last step of a state; return the step to continue from.

    Raises:
        Fault: the log is wrong, or does not extend what the state saw.
    """
    seen = state.seen
    if seen and log.size < seen[0]:
        raise Fault(log.size, "checkpoint", f"the log is shorter than {seen[0]}, its last size")
    run = Audit(source, log.origin, state.step)
    entries = read_entries(source, run.size, log.size)
    while True:
        if seen and run.size == seen[0] and run.root() != seen[1]:
            raise Fault(run.step.size, "checkpoint", f"not the log that was seen at size {seen[0]}")
        entry = next(entries, None)
        if entry is None:
            break
        run.add(entry)
    run.finish()
    if run.root() != log.root:
        raise Fault(run.step.size, "checkpoint", "the root is not that of the entries")
    return run.step


class State(NamedTuple):
    """What the last audit saw: size and root, and where to continue."""

    seen: tuple[int, bytes] | None
    step: Step


def read_state(path: Path | None, origin: str) -> State:
    """Return the state in a file, or of a first audit."""
    if path is None or not path.exists():
        return State(None, Step(0, [], [b"", b""]))
    try:
        value = parse_json(path.read_bytes())
        if (value["format"], value["origin"]) != (STATE, origin):
            raise UsageError("the state is of another log or format")
        edge = [[decode_base64(one, 32) for one in hashes] for hashes in value["edge"]]
        roots = [decode_base64(one) for one in value["roots"]]
        step = Step(value["start"], edge, roots)
        return State((value["size"], decode_base64(value["root"], 32)), step)
    except (OSError, ValueError, LookupError, TypeError):
        raise UsageError(f"the state in {path} cannot be read") from None


def write_state(path: Path, log: Checkpoint, step: Step) -> None:
    """Replace the state by what was seen now."""
    value = {
        "format": STATE,
        "origin": log.origin,
        "size": log.size,
        "root": encode(log.root),
        "start": step.size,
        "edge": [[encode(one) for one in hashes] for hashes in step.edge],
        "roots": [encode(one) for one in step.roots],
    }
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(value))
    os.replace(new, path)


def encode(data: bytes) -> str:
    """Return the base64 of some bytes."""
    return base64.b64encode(data).decode()


# --- Cosigning (C2SP tlog-cosignature) ------------------------------------------------------------


class Cosigner:
    """An Ed25519 key that cosigns, of a name."""

    def __init__(self, name: str, seed: bytes) -> None:
        digest = hashlib.sha512(seed).digest()
        number = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
        self._secret, self._prefix = number % ORDER, digest[32:]
        self.public = encode_point(multiply(self._secret, BASE))
        self.name = name
        self.id = sha256(name.encode(), b"\n", COSIGNATURE, self.public)[:4]

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of a message."""
        r = _scalar(self._prefix, message)
        nonce = encode_point(multiply(r, BASE))
        s = (r + _scalar(nonce, self.public, message) * self._secret) % ORDER
        return nonce + s.to_bytes(32, "little")

    def line(self, checkpoint: Checkpoint, now: int) -> str:
        """Return the cosignature of a checkpoint, as a line of its note."""
        signature = self.sign(b"cosignature/v1\ntime %d\n" % now + checkpoint.text)
        return f"\N{EM DASH} {self.name} {encode(self.id + now.to_bytes(8, 'big') + signature)}"


def parse_cosigner(text: str) -> Cosigner:
    """Return the key of `PRIVATE+KEY+<name>+<key id>+<base64 of 0x04 and the seed>`."""
    try:
        private, key, name, key_id, encoded = text.strip().split("+", 4)
        material = decode_base64(encoded, 33)
    except ValueError:
        raise UsageError("the file of --cosign has no key") from None
    cosigner = Cosigner(name, material[1:])
    words = private, key, key_id, material[:1]
    if words != ("PRIVATE", "KEY", cosigner.id.hex(), COSIGNATURE):
        raise UsageError("the key of --cosign is malformed, or its id is of another key")
    return cosigner


def _scalar(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER


# --- The command ----------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    """Run `audit`, print its verdict, and return its exit code."""
    given = _parse_arguments(arguments)
    try:
        policy = parse_policy(given.policy.read_bytes())
        bearer = given.bearer_file.read_text().strip() if given.bearer_file else ""
        cosigner = parse_cosigner(given.cosign.read_text()) if given.cosign else None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read a file: {error}") from None
    is_url = given.log.startswith(("https://", "http://"))
    source = Url(given.log.rstrip("/"), bearer) if is_url else Directory(Path(given.log))
    log = read_checkpoint(source, policy)
    value: dict[str, Any] = {"verdict": "CLEAN", "exit": 0, "origin": log.origin, "size": log.size}
    value |= dict.fromkeys(("leaf", "path", "fault"))
    try:
        step = audit(source, log, read_state(given.state, log.origin))
        if given.state:
            write_state(given.state, log, step)
        if cosigner:
            value["cosignature"] = cosigner.line(log, int(time.time()))
    except Fault as fault:
        value |= {"verdict": "BROKEN", "exit": 3, "leaf": fault.leaf, "path": fault.path}
        value["fault"] = str(fault)
    sys.stdout.write(json.dumps(value, indent=2) + "\n" if given.json else as_text(value))
    return int(value["exit"])


def as_text(value: dict[str, Any]) -> str:
    """Return the verdict for people."""
    lines = [value["verdict"], f"{value['origin']}, {value['size']} leaves"]
    if value["fault"]:
        lines[1] = f"leaf {value['leaf']}: {value['fault']} ({value['path']})"
    return "\n".join((*lines, *([value["cosignature"]] if "cosignature" in value else []), ""))


def _parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("consents-verify audit", description="Audit a whole log.")
    parser.add_argument("log", metavar="DIR_OR_URL")
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--state", type=Path, help="what was seen last; replaced if all is right")
    parser.add_argument("--cosign", type=Path, metavar="KEY", help="a file with the auditor's key")
    parser.add_argument("--bearer-file", type=Path, help="a file with the API key for a URL")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)
