"""Stage 2 of the log: the same log from any crash, and a halt where things do not fit."""

from dataclasses import replace

import pytest
from consents.proof import notes, publish
from consents.proof.batches import Batch, Position
from consents.proof.entries import size_with
from consents.proof.growth import Edge
from consents.proof.publish import LogHalted, Published, Publisher
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.log_store import ORIGIN, LogKey, LogPositions, LogStore, entries


class World:
    """A log, and batches that were assigned."""

    def __init__(self) -> None:
        self.store, self.positions, self.key = LogStore(), LogPositions(), LogKey()
        self.publisher = Publisher(ORIGIN, self.positions, self.store, self.key)

    def assign(self, *counts: int) -> None:
        """Assign batches of so many new entries."""
        for count in counts:
            some = entries(count, self.positions.count())
            batch = Batch.of(some)
            self.store.write_batch(batch.name, b"".join(some))
            self.positions.assign(batch)

    def publish(self) -> list[Published]:
        """Publish all that is assigned."""
        return [*self.publisher.publish(lambda: True)]

    def log(self) -> dict[str, bytes]:
        """Return the objects of the log."""
        return {
            name: one for name, one in self.store.objects.items() if not name.startswith("batch/")
        }

    def checkpoint(self) -> notes.Checkpoint:
        """Return the published checkpoint, whose signature is valid."""
        note = notes.parse_note(self.store.objects["checkpoint"])
        assert self.key.verifier.has_signed(note)
        return notes.parse_checkpoint(note.text)

    def check_halts(self) -> None:
        """Fail unless publishing halts, without a signature and without another checkpoint."""
        before, signatures = self.store.objects.get("checkpoint"), self.key.signatures
        with pytest.raises(LogHalted):
            self.publish()
        assert (self.store.objects.get("checkpoint"), self.key.signatures) == (before, signatures)


@pytest.fixture
def world() -> World:
    """A world without entries."""
    return World()


def test_new_log_is_published_with_its_first_leaf(world: World) -> None:
    assert world.publish() == [Published(1, 0)]
    assert world.checkpoint() == (ORIGIN, 1, world.store.grow(Edge(), []).root())


def test_what_is_assigned_is_published_once(world: World) -> None:
    world.assign(10, 300)

    assert world.publish() == [Published(size_with(310), 310)]
    assert world.publish() == []
    assert world.key.signatures == 1


@given(runs=st.lists(st.lists(st.integers(1, 300), max_size=3), min_size=1, max_size=4))
def test_tiles_do_not_depend_on_the_runs_that_wrote_them(runs: list[list[int]]) -> None:
    stepwise, at_once = World(), World()
    for counts in runs:
        stepwise.assign(*counts)
        stepwise.publish()
        at_once.assign(*counts)
    at_once.publish()

    assert at_once.log().items() <= stepwise.log().items()
    assert stepwise.checkpoint() == at_once.checkpoint()


def test_run_that_is_killed_at_any_write_is_completed_by_the_next() -> None:
    def begun() -> World:
        world = World()
        world.assign(200)
        world.publish()
        world.assign(900)
        return world

    whole = begun()
    whole.publish()
    writes = 0
    while True:
        world = begun()
        world.store.writes_left = writes
        try:
            world.publish()
            break
        except KeyboardInterrupt:
            world.store.writes_left = 1 << 30
        world.assign(50)
        assert world.publish() == [Published(size_with(1150), 950)]
        shared = whole.log().keys() & world.log().keys() - {"checkpoint"}
        assert all(whole.log()[name] == world.log()[name] for name in shared)
        writes += 1
    assert writes == 12  # 4 bundles, 4 tiles, the partial bundle, 2 partial tiles, the checkpoint


def test_slower_of_two_publishers_leaves_the_checkpoint_of_the_faster(world: World) -> None:
    world.assign(10)
    faster = Publisher(ORIGIN, world.positions, world.store, world.key)

    class Overtaken(LogKey):
        def sign(self, message: bytes) -> bytes:
            world.assign(5)
            assert [*faster.publish(lambda: True)] == [Published(size_with(15), 15)]
            return super().sign(message)

    slower = Publisher(ORIGIN, world.positions, world.store, Overtaken())
    assert [*slower.publish(lambda: True)] == []
    assert world.checkpoint().size == size_with(15)


def test_many_entries_are_published_in_several_checkpoints(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "MAX_ENTRIES", 100)
    world.assign(40, 40, 40, 40)

    assert [one.added for one in world.publish()] == [120, 40]


def test_publishing_ends_between_two_checkpoints_where_time_is_short(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "MAX_ENTRIES", 100)
    world.assign(100, 100)
    time = iter([True, False])

    assert len([*world.publisher.publish(lambda: next(time))]) == 1


def published(world: World) -> World:
    """Return a world with a published log of 400 entries, after which 50 are assigned."""
    world.assign(150, 250)
    world.publish()
    world.assign(50)
    return world


def test_fewer_assigned_entries_than_published_ones_halt(world: World) -> None:
    published(world).positions.assigned_to = 399

    world.check_halts()


def test_positions_restored_to_an_older_state_halt_whatever_follows(world: World) -> None:
    published(world).positions.positions[1:] = []
    world.positions.assigned_to = 150
    world.check_halts()
    world.positions.assigned_to = 150
    more = entries(300, 10_000)
    for some in (more[:250], more[250:]):
        world.positions.assign(Batch.of(some))
        world.store.write_batch(Batch.of(some).name, b"".join(some))

    world.check_halts()


def test_batches_in_another_order_halt(world: World) -> None:
    first, second, third = published(world).positions.positions
    world.positions.positions[:] = [
        Position(0, second.batch),
        Position(second.batch.count, first.batch),
        third,
    ]

    world.check_halts()


def test_missing_batch_halts(world: World) -> None:
    published(world).positions.positions.pop()

    world.check_halts()


def test_gap_between_batches_halts(world: World) -> None:
    published(world).assign(20, 20)
    del world.positions.positions[3]

    world.check_halts()


@pytest.mark.parametrize("content", [b"", b"changed", bytes(50 * 65)])
def test_changed_batch_halts(world: World, content: bytes) -> None:
    name = published(world).positions.positions[-1].batch.name
    world.store.objects[f"batch/{name}"] = content

    world.check_halts()


def test_batch_that_is_gone_halts(world: World) -> None:
    del world.store.objects[f"batch/{published(world).positions.positions[-1].batch.name}"]

    world.check_halts()


def test_assigned_entry_of_the_log_itself_halts(world: World) -> None:
    forged = [bytes(65)]
    published(world).positions.assign(Batch.of(forged))
    world.store.write_batch(Batch.of(forged).name, forged[0])

    world.check_halts()


def test_full_tile_with_another_content_halts(world: World) -> None:
    published(world).assign(300)
    world.store.objects["tile/0/001"] = bytes(8192)

    world.check_halts()


@pytest.mark.parametrize("name", ["tile/entries/001.p/146", "tile/0/001.p/146", "tile/1/000.p/1"])
def test_changed_or_missing_edge_halts(world: World, name: str) -> None:
    content = published(world).store.objects[name]
    if "entries" not in name:
        world.store.objects[name] = content[:-1] + b"x"
        world.check_halts()
    del world.store.objects[name]

    world.check_halts()


def test_changed_last_entry_of_the_edge_halts(world: World) -> None:
    bundle = published(world).store.objects["tile/entries/001.p/146"]
    world.store.objects["tile/entries/001.p/146"] = bundle[:-1] + b"x"

    world.check_halts()


@pytest.mark.parametrize("content", [b"", b"log.example.com/test\n1\nroot\n", b"\xff"])
def test_unreadable_checkpoint_halts(world: World, content: bytes) -> None:
    published(world).store.objects["checkpoint"] = content or b" "

    world.check_halts()


def test_checkpoint_of_another_key_halts(world: World) -> None:
    other = replace(published(world).publisher, signer=LogKey(b"other key of thirty-two bytes..."))

    with pytest.raises(LogHalted):
        [*other.publish(lambda: True)]


def test_log_of_another_origin_halts(world: World) -> None:
    other = replace(published(world).publisher, origin="log.example.com/other")

    with pytest.raises(LogHalted):
        [*other.publish(lambda: True)]
    del world.store.objects["checkpoint"]
    with pytest.raises(LogHalted):  # leaf 0 names the origin, in a full bundle
        [*other.publish(lambda: True)]


def test_lost_checkpoint_is_made_again_from_the_batches(world: World) -> None:
    checkpoint = published(world).store.objects.pop("checkpoint")
    world.publish()
    size = notes.parse_checkpoint(notes.parse_note(checkpoint).text).size

    assert world.checkpoint().size == size_with(450) > size
