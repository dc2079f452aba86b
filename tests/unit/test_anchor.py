"""Anchors: which cosignatures are asked for, believed and kept."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from consents.proof import notes
from consents.proof.anchor import Anchored, Anchorer, anchor
from consents.proof.anchors import anchor_name
from consents.proof.batches import Batch
from consents.proof.cosignatures import with_cosignatures
from consents.proof.http_post import Reply
from consents.proof.notes import Note, Signature
from consents.proof.publish import Publisher
from consents.proof.snapshot import Snapshot
from consents.proof.tiles import TileTree
from consents.proof.witness_client import Post, WitnessFailed, request_cosignature
from consents.proof.witness_policy import InvalidPolicy, Witness

from tests.factories import NOW
from tests.unit.log_store import ORIGIN, LogKey, LogPositions, LogStore, entries
from tests.unit.witness_model import WitnessModel


class World:
    """A log, and two witnesses of which both suffice."""

    def __init__(self) -> None:
        self.store, self.positions, self.key = LogStore(), LogPositions(), LogKey()
        self.publisher = Publisher(ORIGIN, self.positions, self.store, self.key)
        self.witnesses = [WitnessModel(name, self.key.verifier) for name in ("one", "two")]
        self.down: set[str] = set()
        self.later: dict[int, list[Signature]] = {}
        self.sees_anchors = True
        lines = [
            f"witness {w.verifier.name} {w.verifier} https://a/{w.verifier.name}"
            for w in self.witnesses
        ]
        self.policy = "\n".join([*lines, "group both all one two", "quorum both", ""])
        self.policies_written = 0
        self.anchorer = Anchorer(self, self.ask)

    def publish(self, count: int) -> int:
        """Publish so many more entries, and return the size of the log."""
        some = entries(count, self.positions.count())
        self.store.write_batch(Batch.of(some).name, b"".join(some))
        self.positions.assign(Batch.of(some))
        return max(one.size for one in self.publisher.publish(lambda: True))

    def post(self, url: str, body: bytes) -> Reply:
        """Return the response of the witness at a URL."""
        (witness,) = [
            one for one in self.witnesses if url == f"https://a/{one.verifier.name}/add-checkpoint"
        ]
        return witness.add_checkpoint(body)

    def ask(self, asked: Iterable[Witness], note: Note, tree: TileTree) -> dict[str, Signature]:
        """Return the cosignatures of the witnesses that are not down."""
        return {
            one.name: request_cosignature(one, note, tree, self.post, NOW)
            for one in asked
            if one.name not in self.down
        }

    # What an anchor needs of the log's objects.

    def cosigned_snapshot(self) -> Snapshot | None:
        """Return the log up to the published checkpoint."""
        stored = self.store.checkpoint()
        if stored is None:
            return None
        size = Snapshot(stored.content, self.store.read, self.store.read_range).size
        if not self.sees_anchors:
            return Snapshot(stored.content, self.store.read, self.store.read_range)
        note = self.store.objects.get(anchor_name(size), stored.content)
        merged = with_cosignatures(notes.parse_note(note), self.later.get(size, []))
        return Snapshot(bytes(merged), self.store.read, self.store.read_range)

    def witness_policy(self) -> str:
        """Return the policy."""
        return self.policy

    def write_witness_policy(self, text: str) -> None:
        """Replace the policy."""
        self.policy = text
        self.policies_written += 1

    def write_anchor(self, size: int, content: bytes) -> bool:
        """Write an anchor once."""
        is_new = anchor_name(size) not in self.store.objects
        self.store.objects.setdefault(anchor_name(size), content)
        return is_new

    def add_cosignature(self, size: int, cosignature: Signature) -> None:
        """Keep a cosignature beside an anchor."""
        self.later.setdefault(size, []).append(cosignature)


@pytest.fixture
def world() -> World:
    """A log without entries."""
    return World()


def cosigners(world: World) -> list[str]:
    """Return the names in the signatures of the newest anchor as readers have it."""
    snapshot = world.cosigned_snapshot()
    assert snapshot is not None
    return [one.name for one in notes.parse_note(snapshot.note).signatures]


def test_anchor_is_the_checkpoint_with_cosignatures(world: World) -> None:
    size = world.publish(300)

    assert world.anchorer.anchor() == Anchored(size, {"one", "two"}, is_met=True)
    note = notes.parse_note(world.store.objects[anchor_name(size)])
    published = notes.parse_note(world.store.objects["checkpoint"])
    assert note.text == published.text
    assert note.signatures[:1] == published.signatures
    assert all(one.verifier.has_signed(note) for one in world.witnesses)


def test_log_without_a_checkpoint_has_no_anchor(world: World) -> None:
    assert world.anchorer.anchor() is None


def test_anchor_without_witnesses_is_the_checkpoint(world: World) -> None:
    world.policy = ""
    size = world.publish(1)

    assert world.anchorer.anchor() == Anchored(size, set(), is_met=True)
    assert world.store.objects[anchor_name(size)] == world.store.objects["checkpoint"]


def test_witness_gets_the_proof_from_the_size_that_it_knows(world: World) -> None:
    for count in (1, 300, 1, 700):
        size = world.publish(count)
        anchored = world.anchorer.anchor()
        assert anchored is not None
        assert (anchored.size, anchored.is_met) == (size, True)

    assert {one.size for one in world.witnesses} == {size}


def test_missing_quorum_is_asked_again_and_kept_beside_the_anchor(world: World) -> None:
    size = world.publish(5)
    world.down = {"two"}
    assert world.anchorer.anchor() == Anchored(size, {"one"}, is_met=False)
    written = world.store.objects[anchor_name(size)]
    world.down = set()
    requests = len(world.witnesses[0].requests)

    assert world.anchorer.anchor() == Anchored(size, {"one", "two"}, is_met=True)
    assert world.store.objects[anchor_name(size)] == written
    assert cosigners(world) == [ORIGIN, "one", "two"]
    assert len(world.witnesses[0].requests) == requests  # it has cosigned


def test_two_publishers_at_one_size_leave_one_anchor(world: World) -> None:
    size = world.publish(5)
    first = world.anchorer.anchor()
    world.sees_anchors = False  # it read before the first had written

    assert world.anchorer.anchor() == first
    assert len(world.later[size]) == 2  # of keys that are in the anchor already
    merged = with_cosignatures(
        notes.parse_note(world.store.objects[anchor_name(size)]), world.later[size]
    )
    assert bytes(merged) == world.store.objects[anchor_name(size)]


def test_witness_without_a_url_is_not_asked(world: World) -> None:
    world.policy = world.policy.replace(" https://a/two", "").replace("quorum both", "quorum one")
    world.publish(5)

    anchored = world.anchorer.anchor()
    assert anchored is not None
    assert (anchored.cosigners, anchored.is_met) == ({"one"}, True)


@pytest.mark.parametrize("policy", ["", "quorum none", "group two all\nquorum two"])
def test_policy_of_the_event_replaces_one_that_differs(world: World, policy: str) -> None:
    world.publish(1)
    before, is_valid = world.policy, "group" not in policy
    for _ in range(2):
        anchor(world.anchorer, policy)

    assert world.policies_written == is_valid
    assert world.policy == (policy and f"{policy}\n" if is_valid else before)
    anchor(world.anchorer, None)
    assert world.policies_written == is_valid
    anchor(world.anchorer, before.removesuffix("\n"))
    assert world.policy == before


def test_invalid_policy_is_no_anchor(world: World) -> None:
    world.publish(1)
    world.policy = "quorum nobody"

    with pytest.raises(InvalidPolicy):
        world.anchorer.anchor()


# ---------------------------------------------------------------- Responses that are not believed


def asked(world: World, post: Post) -> Signature:
    """Return the cosignature of the first witness as its responses are replaced."""
    snapshot = world.cosigned_snapshot()
    assert snapshot is not None
    witness = Witness("one", world.witnesses[0].verifier, "https://a/one")
    return request_cosignature(witness, notes.parse_note(snapshot.note), snapshot.tree, post, NOW)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(404, b"unknown"), "status 404"),
        (Reply(302, b""), "status 302"),
        (Reply(200, b""), "invalid cosignature"),
        (Reply(200, b"\xff"), "invalid cosignature"),
        (Reply(200, "— one AAAA\n".encode()), "invalid cosignature"),
        (Reply(409, b"many\n"), "invalid response"),
        (Reply(409, b"-1\n"), "invalid response"),
        (Reply(409, b"9" * 5000), "invalid response"),
        (Reply(409, b"7\n"), "a larger log"),
        (Reply(409, b"3\n"), "conflict"),
    ],
)
def test_response_without_a_cosignature_fails(world: World, reply: Reply, reason: str) -> None:
    world.publish(5)

    with pytest.raises(WitnessFailed, match=reason):
        asked(world, lambda *_: reply)


def test_cosignature_of_another_checkpoint_fails(world: World) -> None:
    world.publish(5)
    line = world.witnesses[0].cosignature(f"{ORIGIN}\n6\n{'A' * 43}=\n")

    with pytest.raises(WitnessFailed, match="invalid cosignature"):
        asked(world, lambda *_: Reply(200, line.encode()))


def test_cosignature_of_another_witness_fails(world: World) -> None:
    world.publish(5)

    with pytest.raises(WitnessFailed, match="invalid cosignature"):
        asked(world, lambda _, body: world.witnesses[1].add_checkpoint(body))


def test_cosignature_of_the_future_fails(world: World) -> None:
    world.publish(5)
    world.witnesses[0].time = NOW + timedelta(hours=1, seconds=1)

    with pytest.raises(WitnessFailed, match="invalid cosignature"):
        asked(world, world.post)


def test_witness_of_a_forked_log_does_not_cosign(world: World) -> None:
    world.publish(5)
    world.witnesses[0].size, world.witnesses[0].root = 3, bytes(32)

    with pytest.raises(WitnessFailed, match="status 422"):
        asked(world, world.post)
    assert len(world.witnesses[0].requests) == 2
