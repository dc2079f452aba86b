"""Packs that the service makes, as the verifier sees them: two implementations, one format."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from consents.domain.record import timestamp
from consents.proof import bucket_keys, notes
from consents.proof.anchors import Anchor, anchor_name
from consents.proof.batches import Batch
from consents.proof.prove import Prover, Question
from consents.proof.publish import Publisher
from consents.proof.records import Item
from consents.proof.seal import Change, Sealer
from consents.proof.snapshot import Snapshot
from consents.proof.subject import KeyTable
from consents_verify import Options, main, parse_policy, verify
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.log_store import ORIGIN, LogKey, LogPositions, LogStore
from tests.verifier.log_model import AUDITOR, WITNESSES

ORG, CONTACT, OTHER = "org_1", "+15554443333", "+15557778888"
START = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = "I agree to messages."
KEY = LogKey()
POLICY = f"""\
log {KEY.verifier}
witness one {WITNESSES[0].vkey}
witness two {WITNESSES[1].vkey}
witness carol {AUDITOR.vkey}
group auditors any carol
group both all one two
quorum both
""".encode()
PINNED = Options(parse_policy(POLICY))


@cache
def part_roots() -> list[bytes]:
    """Return the part roots of one seed; they take a second."""
    return [*bucket_keys.part_roots(bytes(32))]


class Positions(LogPositions):
    """Positions and key tables, all of one seed."""

    def add_organization(
        self,
        org_id: str,
        seed: bytes,  # noqa: ARG002
        part_roots: list[bytes],
        batch: Batch,
    ) -> bool:
        """Keep the seed whose part roots are known: another sealer was faster."""
        super().add_organization(org_id, bytes(32), part_roots, batch)
        return False

    def key_table(self, org_id: str) -> KeyTable | None:
        """Return the key table of an organization."""
        return KeyTable(*self.organizations[org_id]) if org_id in self.organizations else None


class Service:
    """The ledger, its stream, and the log, in memory."""

    def __init__(self) -> None:
        self.now = START
        self.ledger: dict[str, Item] = {}
        self.store, self.positions = LogStore(), Positions()
        self.sealer = Sealer(self.positions, self.store, lambda _: part_roots())
        self.publisher = Publisher(ORIGIN, self.positions, self.store, KEY)

    def write(self, sk: str, item: Item | None, *, is_streamed: bool = True) -> None:
        """Change an item of the ledger; the stream delivers the change, or is off."""
        old = self.ledger.pop(sk, None)
        if item is not None:
            self.ledger[sk] = item
        if is_streamed:
            self.sealer.seal([Change(old, item)], self.now)

    def others(self, count: int) -> None:
        """Seal records of another contact."""
        changes = (Change(None, record("opt-in", START, str(i), OTHER)) for i in range(count))
        self.sealer.seal(changes, self.now)

    def publish(self, anchored: timedelta | None = None, *, by: Sequence[Any] = WITNESSES) -> None:
        """Publish the log; witnesses cosign it so long after the start."""
        for _ in self.publisher.publish(lambda: True):
            pass
        if anchored is not None:
            text = notes.parse_note(self.store.objects["checkpoint"]).text
            time = int((START + anchored).timestamp())
            note = self.store.objects["checkpoint"].decode()
            note += "".join(witness.cosign(text, time) for witness in by)
            self.store.objects[anchor_name(self.size)] = note.encode()

    @property
    def size(self) -> int:
        """Return the size of the published log."""
        return int(self.store.objects["checkpoint"].split(b"\n")[1])

    def snapshot(self) -> Snapshot:
        """Return the published log, with the cosignatures of its size."""
        note = self.store.objects.get(anchor_name(self.size), self.store.objects["checkpoint"])
        return Snapshot(note, self.store.read, self.store.read_range)

    def anchor_sizes(self) -> list[int]:
        """Return the anchored sizes."""
        return [int(name[8:]) for name in self.store.objects if name.startswith("anchors/")]

    def read_anchor(self, size: int) -> Anchor:
        """Return the anchor of a size."""
        name = anchor_name(size)
        return Anchor(self.store.read(name), self.store.objects.get(f"{name}.tsr", b""))

    def batches(self, names: Sequence[str]) -> Iterable[bytes]:
        """Return the entries of batches."""
        return self.store.batches(names)

    def items(self, org_id: str, contact: str, _: Callable[[], float]) -> Sequence[Item]:
        """Return the items of a contact."""
        pk = {"S": f"{org_id}#{contact}"}
        return [item for item in self.ledger.values() if item["pk"] == pk]

    def pack(self, contact: str = CONTACT, kept: Sequence[int] = ()) -> bytes:
        """Return the pack of a contact."""
        prover = Prover(self, _texts, self, self.positions, lambda: POLICY, _judge)
        now = START + timedelta(days=90)
        question = Question(ORG, contact, kept)
        return prover.prove(question, now, lambda: 60.0).content

    def export(self, directory: Path) -> Path:
        """Write the log's files."""
        for name, content in self.store.objects.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(content)
        return directory


def _texts(_: str, hashes: Iterable[str]) -> Mapping[str, str]:
    return dict.fromkeys(hashes, TEXT)


def _judge(pack: bytes, policy: bytes) -> Mapping[str, Any]:
    value: Mapping[str, Any] = json.loads(verify(pack, Options(parse_policy(policy))).as_json())
    return value


def record(status: str, at: datetime, digest: str = "d1", contact: str = CONTACT) -> Item:
    """Return an item of the ledger."""
    sk = f"+15550001111#{timestamp(at)}#{status}#{digest}"
    return {
        "pk": {"S": f"{ORG}#{contact}"},
        "sk": {"S": sk},
        "wire": {"S": "attested"},
        "status": {"S": status},
        "effective_at": {"S": timestamp(at)},
        "received_at": {"S": timestamp(at)},
        "request_id": {"S": "req_1"},
        "evidence": {
            "M": {
                "agreement_text_hash": {"S": sha256(TEXT.encode()).hexdigest()},
                "user_agent": {"S": 'é\u2028\x07\x7f"\\/\t'},
            }
        },
        "salt": {"B": sha256(sk.encode()).digest()[:16]},
    }


def said(pack: bytes, kind: str) -> list[str]:
    """Return the words of the statements of a kind."""
    return [one.word for one in verify(pack, PINNED).statements if one.kind == kind]


@pytest.fixture
def service() -> Service:
    """A service with an opt-in and an opt-out, between anchors."""
    service = Service()
    service.others(300)
    service.publish(timedelta(0))
    service.write("in", record("opt-in", START + timedelta(seconds=10)))
    service.publish(timedelta(minutes=2))
    service.others(200)
    service.write("out", record("opt-out", START + timedelta(minutes=3)))
    service.publish(timedelta(minutes=4), by=(*WITNESSES, AUDITOR))
    return service


def test_a_pack_of_the_service_is_verified(service: Service) -> None:
    report = verify(service.pack(), PINNED)

    assert report.as_text().partition("\n")[0] == "VERIFIED"
    assert said(service.pack(), "record") == ["PROVEN", "PROVEN"]
    assert said(service.pack(), "time") == [
        "BETWEEN 2026-03-01T00:00:00Z AND 2026-03-01T00:02:00Z",
        "BETWEEN 2026-03-01T00:02:00Z AND 2026-03-01T00:04:00Z",
    ]
    assert said(service.pack(), "text") == ["MATCHES", "MATCHES"]
    assert said(service.pack(), "state") == ["OPTED OUT"]


def test_a_pack_of_an_unknown_contact_shows_that_there_is_no_record(service: Service) -> None:
    pack = service.pack("+15550000000")

    assert verify(pack, PINNED).exit_code() == 0
    assert said(pack, "state") == ["NONE"]


def test_a_pack_without_an_entry_of_its_organization_is_whole() -> None:
    service = Service()
    service.publish(timedelta(0), by=(*WITNESSES, AUDITOR))

    assert said(service.pack(), "pack") == ["INTACT"]
    assert said(service.pack(), "state") == ["NONE"]


@pytest.mark.parametrize(
    ("is_streamed", "words"),
    [(True, ["ERASED", "PROVEN"]), (False, ["WITHHELD", "PROVEN"])],
)
def test_a_deleted_item_is_found(service: Service, is_streamed: bool, words: list[str]) -> None:
    service.write("in", None, is_streamed=is_streamed)
    service.publish()

    assert said(service.pack(), "record") == words


@pytest.mark.parametrize(
    ("is_streamed", "words"),
    [
        (True, ["ERASED", "PROVEN", "CHANGED"]),
        (False, ["WITHHELD", "PROVEN", "NOT LOGGED"]),
    ],
)
def test_an_altered_item_is_found(service: Service, is_streamed: bool, words: list[str]) -> None:
    altered = {**service.ledger["in"], "status": {"S": "opt-out"}}
    service.write("in", altered, is_streamed=is_streamed)
    service.publish()

    assert said(service.pack(), "record") == words


def test_a_backdated_item_is_late(service: Service) -> None:
    service.publish(timedelta(days=60))
    service.others(1)
    service.publish(timedelta(days=61))
    service.write("old", record("opt-in", START + timedelta(seconds=20), "old"))
    service.publish(timedelta(days=62))

    assert said(service.pack(), "record")[-1] == "LATE"


def test_an_item_without_salt_and_with_a_number_is_committed_to(service: Service) -> None:
    item = {**record("opt-in", START + timedelta(minutes=4), "n"), "count": {"N": "1"}}
    del item["salt"]
    service.write("number", item)
    service.publish(timedelta(minutes=6))

    assert said(service.pack(), "record")[-1] == "PROVEN"
    assert said(service.pack(), "state") == ["CANNOT BE SAID"]


def test_kept_checkpoints_are_compared(service: Service) -> None:
    middle = service.store.objects["checkpoint"]
    service.others(700)
    service.publish(timedelta(minutes=5))
    between = int(middle.split(b"\n")[1])
    options = Options(PINNED.policy, kept=[("kept", middle, float("nan"))])
    del service.store.objects[anchor_name(between)]

    for kept, word in (((), "NOT COMPARABLE"), ((between,), "CONSISTENT")):
        statements = verify(service.pack(kept=kept), options).statements
        assert [one.word for one in statements if one.kind == "kept"] == [word]


def test_the_log_of_the_service_is_clean_and_replayed(service: Service, tmp_path: Path) -> None:
    service.others(700)
    service.publish(timedelta(minutes=5))
    log = service.export(tmp_path / "log")
    (tmp_path / "policy").write_bytes(POLICY)
    (tmp_path / "pack.zip").write_bytes(service.pack())
    policy = ["--policy", str(tmp_path / "policy")]

    assert main(["audit", str(log), *policy]) == 0
    assert main([str(tmp_path / "pack.zip"), *policy, "--log", str(log)]) == 0


FATES = {
    "kept": "PROVEN",
    "delivered twice": "PROVEN",
    "removed": "ERASED",
    "removed unseen": "WITHHELD",
    "added unseen": "NOT LOGGED",
    "removed and restored unseen": "REMOVED",
}


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(sorted(FATES)), st.integers(0, 300)), max_size=6))
def test_both_sides_agree_on_every_fate_of_a_record(fates: list[tuple[str, int]]) -> None:
    service = Service()
    service.publish(timedelta(0))
    expected: dict[str, str] = {}
    for i, (fate, others) in enumerate(fates):
        item = record("opt-in", START + timedelta(seconds=i), f"d{i}")
        expected[item["sk"]["S"]] = FATES[fate]
        service.write(f"{i}", item, is_streamed=fate != "added unseen")
        service.others(others)
        if fate == "delivered twice":
            service.now += timedelta(days=30)
            service.sealer.seal([Change(None, item), Change(None, item)], service.now)
        if fate.startswith("removed"):
            service.write(f"{i}", None, is_streamed=fate != "removed unseen")
        if fate == "removed and restored unseen":
            service.write(f"{i}", item, is_streamed=False)
    service.publish(timedelta(minutes=1))

    pack = service.pack()
    logged = [word for word in expected.values() if word != "NOT LOGGED"]
    loose = [word for word in expected.values() if word == "NOT LOGGED"]
    assert said(pack, "record") == [*logged, *loose]
    assert said(pack, "pack") == ["INTACT"]
    assert verify(pack, PINNED).exit_code() == (2 if {*logged, *loose} - {"PROVEN"} else 1)
