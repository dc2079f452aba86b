"""Ending an import: its outcome, its reports, and the start of the next import."""

from datetime import timedelta
from functools import cache, partial

import orjson
import pytest
from consents.imports.import_state import Counts
from consents.imports.reporter import PARTS_PER_CHUNK

from tests.factories import NOW, ORG_ID, begun_import, drop
from tests.unit.import_world import Killed, World, kill

LATER = NOW + timedelta(minutes=5)
MANY = 2 * PARTS_PER_CHUNK + 7


@cache
def counted(parts: int, rejected: int) -> dict[int, Counts]:
    """Return the counts of each part; the first ones have a rejected row."""
    good, bad = Counts(accepted=1), Counts(rejected={"30646": 1})
    return {number: bad if number <= rejected else good for number in range(1, parts + 1)}


@cache
def rejected_rows(rejected: int) -> dict[str, bytes]:
    """Return the objects with the rejected row of each of the first parts."""
    return {drop().rejected_key(part): b'{"row": %d}\n' % part for part in range(1, rejected + 1)}


def world_with(parts: int, rejected: int) -> World:
    """Return a world with an import whose parts are done; the first ones have a rejected row."""
    world = World()
    dropped = drop()
    world.drops.append(dropped)
    world.imports.done[dropped.import_id] = dict(counted(parts, rejected))
    world.files.objects |= rejected_rows(rejected)
    world.imports.begun[dropped.import_id] = begun_import(
        dropped,
        parts=parts,
        released=parts,
        parts_done=parts,
        counts=Counts(parts - rejected, 0, {"30646": rejected}),
    )
    world.limits.running[ORG_ID] = {dropped.import_id}
    return world


def finish(world: World) -> None:
    world.reporter.finish(world.drop.import_id, LATER)


def rows(world: World) -> list[int]:
    return [row["row"] for row in world.rejected()]


# ---------------------------------------------------------------- Reports


def test_a_completed_import_has_a_summary_and_its_rejected_rows() -> None:
    world = world_with(parts=5, rejected=3)
    finish(world)

    assert world.totals() == (2, 0, 3)
    assert world.summary() == {
        "import_id": world.drop.import_id,
        "state": "completed",
        "rows": 5,
        "accepted": 2,
        "duplicates": 0,
        "rejected": 3,
        "rejected_by_code": {"30646": 3},
        "started_at": "2026-05-01T12:00:00.000000Z",
        "finished_at": "2026-05-01T12:05:00.000000Z",
        "source": {
            "bucket": world.drop.bucket,
            "key": world.drop.key,
            "version": world.drop.version,
        },
    }
    assert rows(world) == [1, 2, 3]


def test_a_failed_import_has_a_summary_with_its_reason() -> None:
    world = world_with(parts=5, rejected=1)
    world.reporter.fail(world.drop.import_id, "part 6 could not be stored", LATER)

    assert world.reason() == "part 6 could not be stored"
    assert world.totals() == (4, 0, 1)


def test_an_import_that_has_not_ended_is_not_reported() -> None:
    world = world_with(parts=5, rejected=3)
    for parts in (None, 6):
        world.imports._set(world.drop.import_id, parts=parts)
        finish(world)

    assert world.reached().outcome is None
    assert not any(key.startswith("reports/") for key in world.files.objects)
    assert world.limits.running == {ORG_ID: {world.drop.import_id}}


def test_the_first_outcome_of_an_import_stands() -> None:
    world = world_with(parts=5, rejected=3)
    finish(world)
    world.reporter.fail(world.drop.import_id, "part 1 could not be stored", LATER)

    assert world.summary()["state"] == "completed"


def test_an_import_is_reported_once() -> None:
    world = world_with(parts=5, rejected=3)
    finish(world)
    world.files.objects.clear()
    finish(world)

    assert world.files.objects == {}


def test_reports_of_few_parts_are_joined_at_once() -> None:
    world = world_with(parts=PARTS_PER_CHUNK, rejected=PARTS_PER_CHUNK)
    finish(world)

    assert rows(world) == list(range(1, PARTS_PER_CHUNK + 1))
    assert not any("/report/" in key for key in world.files.objects)


def test_reports_of_many_parts_are_joined_in_chunks() -> None:
    world = world_with(parts=MANY, rejected=MANY)
    finish(world)

    assert rows(world) == list(range(1, MANY + 1))
    assert [key for key in world.files.objects if "/report/" in key] == [
        world.drop.chunk_key(number) for number in (1, 2, 3)
    ]


# ---------------------------------------------------------------- Crashes


def test_a_crash_between_chunks_leaves_the_rest_to_the_next_run() -> None:
    world = world_with(parts=MANY, rejected=MANY)
    joined: list[int] = []

    def kill_after_two_chunks() -> None:
        joined.append(world.reached().chunks_joined)
        if joined[-1] == 2:
            raise Killed
        world.steps.after_call["kept_joined"] = kill_after_two_chunks

    world.steps.after_call["kept_joined"] = kill_after_two_chunks
    with pytest.raises(Killed):
        finish(world)
    first_run = {key: world.files.objects.pop(key) for key in list(world.files.objects)}
    last_parts = range(2 * PARTS_PER_CHUNK + 1, MANY + 1)
    # Only what is left may be read: the parts after the second chunk, and the chunks.
    for key in [world.drop.chunk_key(1), world.drop.chunk_key(2)]:
        world.files.objects[key] = first_run[key]
    for part in last_parts:
        key = world.drop.rejected_key(part)
        world.files.objects[key] = first_run[key]
    finish(world)

    assert joined == [1, 2]
    assert rows(world) == list(range(1, MANY + 1))


def test_a_crash_at_any_step_changes_no_report() -> None:
    undisturbed = world_with(parts=MANY, rejected=MANY)
    finish(undisturbed)

    for step in range(1, undisturbed.steps.taken + 1):
        world = world_with(parts=MANY, rejected=MANY)
        world.steps.at[step] = kill
        with pytest.raises(Killed):
            finish(world)
        finish(world)
        assert world.end_state() == undisturbed.end_state(), f"killed at {step}"


def test_a_report_written_by_two_processes_is_the_same() -> None:
    undisturbed = world_with(parts=MANY, rejected=MANY)
    finish(undisturbed)

    for step in range(1, undisturbed.steps.taken + 1):
        world = world_with(parts=MANY, rejected=MANY)
        world.steps.at[step] = partial(finish, world)
        finish(world)
        assert world.end_state() == undisturbed.end_state(), f"interrupted at {step}"


# ---------------------------------------------------------------- The next import


def waiting_world(waiting: int) -> tuple[World, list[str]]:
    """Return a world with an import that runs and others that wait, and the ids of these."""
    world = world_with(parts=1, rejected=0)
    ids = [drop(f"bulk-consents/{number}.jsonl").import_id for number in range(waiting)]
    begun_at = {import_id: NOW + timedelta(seconds=n) for n, import_id in enumerate(ids)}
    world.limits.waiting[ORG_ID] = begun_at
    world.limits.running[ORG_ID] = {world.drop.import_id, "running 2", "running 3"}
    return world, ids


def test_an_import_that_ends_frees_its_place() -> None:
    world = world_with(parts=1, rejected=0)
    finish(world)

    assert world.limits.running == {ORG_ID: set()}
    assert world.queues.plans() == []


def test_the_oldest_waiting_import_gets_the_free_place() -> None:
    world, ids = waiting_world(3)
    finish(world)

    assert world.queues.plans() == ids[:1]
    assert world.queues.delays == [0]


def test_as_many_imports_start_as_places_are_free() -> None:
    world, ids = waiting_world(3)
    world.limits.running[ORG_ID] = {world.drop.import_id}
    finish(world)

    assert world.queues.plans() == ids


@pytest.mark.parametrize("call", ["limits.end", "plan"])
def test_a_crash_before_the_next_import_starts_is_repaired(call: str) -> None:
    world, ids = waiting_world(3)
    world.steps.before[call] = kill
    with pytest.raises(Killed):
        finish(world)
    finish(world)

    assert world.queues.plans() == ids[:1]


def test_the_next_import_starts_after_the_reports_are_written() -> None:
    world, _ = waiting_world(1)
    written: list[bool] = []
    world.steps.before["limits.end"] = lambda: written.append(world.reached().is_reported)
    finish(world)

    assert written == [True]


def test_a_summary_is_json_that_a_person_can_read() -> None:
    world = world_with(parts=1, rejected=0)
    finish(world)
    summary = world.report("summary.json")

    assert summary == orjson.dumps(orjson.loads(summary), option=orjson.OPT_INDENT_2)
