"""`make bench-log`: the transparency log by its size: sealing, growing, publishing, proofs.

CPU is that of this process. Publishing runs on the local engine, whose S3 sets the pace: its
milliseconds compare only with each other, its calls are those of AWS. Prints rows of Markdown
tables.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from hashlib import sha256
from random import Random
from statistics import median
from typing import Any

import boto3
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table
from consents.aws.kms import SigningKey
from consents.aws.s3 import CONFIG, Objects
from consents.proof import bucket_keys, tlog
from consents.proof.batches import Batch
from consents.proof.bucket import LogBucket
from consents.proof.entries import Kind, entry, tag_of
from consents.proof.growth import Edge, Growth
from consents.proof.index_proof import prove_index
from consents.proof.judgement import judge
from consents.proof.notes import SignatureType, VerifierKey, parse_checkpoint, parse_note
from consents.proof.policy import policy_text
from consents.proof.prove import Pack, Prover, Question
from consents.proof.publish import Publisher
from consents.proof.seal import Change, Sealer
from consents.proof.table import LogTable
from consents.proof.tiles import TileTree
from samcli.yamlhelper import parse_yaml_file

from bench.drops import ROOT, engine

SIZES = [1_000, 10_000, 100_000, 1_000_000]
BATCH = 50_000
ROUNDS = 5
CONTACTS = 200_000
ORIGIN = "log.example.com/bench"


def main() -> None:
    """Measure and print."""
    logging.disable(logging.INFO)  # one line per batch
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        per_record, key_table = sealing()
    print(f"SHA-256 of a leaf {hashing():.2f} us: divide by it to compare machines")
    print(f"seal a record {per_record:.1f} us, an organization's key table {key_table:.2f} s")
    for size in SIZES:
        cpu, objects, stored = growing(size)
        print(f"| {size:,} | {cpu:.0f} | {size / cpu:.0f} | {objects:,} | {stored / size:.0f} |")
    with engine(dict(parse_yaml_file(str(ROOT / "template.yaml")))):
        for row in publishing():
            print("| " + " | ".join(row) + " |", flush=True)


def entries(count: int, start: int = 0) -> list[bytes]:
    """Return entries of records, from a number on."""
    return [
        entry(Kind.RECORD, _hash(b"contact", number % CONTACTS), _hash(b"record", number))
        for number in range(start, start + count)
    ]


def _hash(what: bytes, number: int) -> bytes:
    return sha256(what + number.to_bytes(8)).digest()


def hashing(count: int = 100_000) -> float:
    """Return the CPU microseconds of hashing a leaf."""
    leaves = entries(1) * count
    return cpu(lambda: [tlog.leaf_hash(leaf) for leaf in leaves]) / count * 1e6


class _Nowhere:
    """Assigns positions and writes batches, at no cost."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def seed(self, _org_id: str) -> bytes:
        return self._seed

    def add_organization(self, *_: Any) -> bool:
        return True

    def assign(self, *_: Any) -> bool:
        return True

    def write_batch(self, *_: Any) -> None:
        pass


def sealing(records: int = 10_000) -> tuple[float, float]:
    """Return the CPU microseconds of a record, and the CPU seconds of a key table."""
    nowhere = _Nowhere(bytes(32))
    changes = [Change(None, _item(number)) for number in range(records)]
    seal = cpu(lambda: Sealer(nowhere, nowhere).seal(changes, datetime.now(UTC)))
    key_table = cpu(lambda: [*bucket_keys.part_roots(bytes(32))])
    return seal / records * 1e6, key_table


def _item(number: int) -> dict[str, Any]:
    evidence = {"consent_method": "checkbox", "form_url": "https://example.com/signup"}
    evidence |= {"ip_address": "203.0.113.42", "user_agent": "Mozilla/5.0 " + "x" * 100}
    texts = {
        "sk": f"+15550001111#2026-05-01T12:00:00.000Z#opt-in#{number:032x}",
        "wire": "attested",
        "status": "opt-in",
        "effective_at": "2026-05-01T12:00:00.000Z",
        "received_at": "2026-05-01T12:00:01.000Z",
        "request_id": "01JTBQH2FZ8K1RXC0WJ4Z9P3VM",
    }
    item: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
    item |= {"pk": {"S": f"org_1#+1555{number:07}"}, "salt": {"B": "c2l4dGVlbiBieXRlcyBvaw=="}}
    return item | {"evidence": {"M": {name: {"S": text} for name, text in evidence.items()}}}


def growing(size: int) -> tuple[float, int, int]:
    """Return the CPU ms of so many entries, the objects that they make, and their bytes."""
    added = entries(size)
    made: list[tuple[str, bytes]] = []

    def grow() -> None:
        growth = Growth(Edge(), ORIGIN, lambda _: [])  # all bundles are made in this run
        made[:] = [*growth.add(added), *growth.partial_objects()]

    return cpu(grow) * 1000, len(made), sum(len(content) for _, content in made)


def cpu(act: Callable[[], Any]) -> float:
    """Return the median CPU seconds of an act."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        act()
        times.append(time.process_time() - began)
    return median(times)


def publishing() -> Iterator[list[str]]:
    """Return, per size of the log, the time and the calls of publishing more, and of proofs."""
    log = _Log()
    for size in SIZES:
        began, held = time.perf_counter(), log.size
        while log.size < size:
            log.assign(min(BATCH, size - log.size))
            log.publish()
        pace = (log.size - held) / (time.perf_counter() - began)
        published = *log.one_more(1), *log.one_more(1000)
        yield [f"{size:,}", f"{pace:,.0f}", *published, *log.proofs(), *log.pack()]


class _Ledger:
    """A ledger of one record."""

    def items(self, *_: Any) -> list[dict[str, Any]]:
        return [_item(0)]


class _Log:
    """A log on the local engine."""

    def __init__(self) -> None:
        s3, kms = boto3.client("s3", config=CONFIG), boto3.client("kms")
        s3.create_bucket(Bucket="log")
        s3.meta.events.register("before-call.s3", lambda model, **_: self._count(model.name))
        made = kms.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")
        key = SigningKey(Boto3Client(lambda: kms), made["KeyMetadata"]["KeyId"])
        self.calls: Counter[str] = Counter()
        self.size = 0
        self._bucket = LogBucket(Objects(s3, "log"))
        client = Boto3Client(lambda: boto3.client("dynamodb"))
        self._table = LogTable(Table(client, "LogTable"))
        self._publisher = Publisher(ORIGIN, self._table, self._bucket, key)
        policy = policy_text(VerifierKey(ORIGIN, SignatureType.ED25519, key.public_key)).encode()
        no_texts: dict[str, str] = {}
        self._prover = Prover(
            _Ledger(), lambda *_: no_texts, self._bucket, self._table, lambda: policy, judge
        )
        Sealer(self._table, self._bucket).seal([Change(None, _item(0))], datetime.now(UTC))
        self.size += 2  # the organization and its record

    def _count(self, call: str) -> None:
        self.calls[call] += 1

    def assign(self, count: int) -> None:
        """Assign positions to more entries."""
        some = entries(count, self.size)
        batch = Batch.of(some)
        self._bucket.write_batch(batch.name, b"".join(some))
        self._table.assign(batch, datetime.now(UTC))
        self.size += count

    def publish(self) -> None:
        """Publish all that is assigned."""
        list(self._publisher.publish(lambda: True))

    def one_more(self, count: int) -> Iterator[str]:
        """Publish a batch of so many entries; return wall ms, CPU ms, and the GETs and PUTs."""
        rounds = []
        for _ in range(ROUNDS):
            self.assign(count)
            self.calls.clear()
            began, began_cpu = time.perf_counter(), time.process_time()
            self.publish()
            rounds.append((time.perf_counter() - began, time.process_time() - began_cpu))
        wall, used = (median(times) * 1000 for times in zip(*rounds, strict=True))
        yield from (f"{wall:.0f}", f"{used:.0f}")
        yield f"{self.calls['GetObject']} + {self.calls['PutObject']}"

    def proofs(self) -> Iterator[str]:
        """Return the CPU ms of the proof of a leaf, of an older size, and of a contact."""
        stored = self._bucket.checkpoint()
        assert stored is not None
        size = parse_checkpoint(parse_note(stored.content).text).size
        tree, random = TileTree(size, self._bucket.read), Random(0)
        leaf, old = random.randrange(size), random.randrange(1, size)
        tag = tag_of(entries(1, random.randrange(CONTACTS))[0])
        for prove in (
            lambda: tree.inclusion_proof(leaf),
            lambda: tree.consistency_proof(old),
            lambda: prove_index(tree, self._bucket.read_range, [tag]),
        ):
            yield f"{cpu(prove) * 1000:.2f}"

    def pack(self) -> Iterator[str]:
        """Return the KB of a pack, the CPU ms of making it, and of that what verifying takes."""
        question = Question("org_1", "+15550000000")
        made: list[Pack] = []
        taken = cpu(
            lambda: made.append(self._prover.prove(question, datetime.now(UTC), lambda: 25.0))
        )
        content, policy = made[-1].content, self._prover.policy()
        assert made[-1].report["verdict"] == "VERIFIED, WITH OPEN POINTS"
        yield f"{len(content) / 1000:.0f}"
        yield f"{taken * 1000:.0f}"
        yield f"{cpu(lambda: judge(content, policy)) * 1000:.0f}"


if __name__ == "__main__":
    main()
