"""Any step of an import may run twice, half, late or concurrently: the result is the same."""

import logging
from collections.abc import Iterator

import pytest

from tests.factories import BAD_ITEM, item_json, jsonl
from tests.unit.import_world import (
    HEADER,
    TOO_LONG,
    Killed,
    World,
    csv_line,
    imported,
    kill,
    world_of,
)

# A row that is too long is a part, and ends the part before it: some parts of few rows. The first
# part and the last one have only blank lines.
LONG_FILE = b"\n\n" + TOO_LONG + jsonl(item_json(0), BAD_ITEM) + TOO_LONG
LONG_FILE += jsonl(item_json(0), item_json(1), 7) + TOO_LONG + b" \r\n"
BLANK_FILE = b"\n\n" + TOO_LONG + b"\n"
SHORT_FILE = b"".join(
    [
        HEADER,
        csv_line(item_json(1))
        + b"\n"
        + csv_line(item_json(2), '"two\nlines"')
        + csv_line(BAD_ITEM),
        TOO_LONG,
        csv_line(item_json(1)) + csv_line(item_json(3)) + csv_line(item_json(3)),
    ]
)
FILES = {
    "plain": ("bulk-consents/may.jsonl", LONG_FILE, 2, (2, 1, 5)),
    "checkpoints of blank lines": ("bulk-consents/may.jsonl", BLANK_FILE, 1, (0, 0, 1)),
    "csv": ("bulk-consents/may.csv", SHORT_FILE, 2, (3, 2, 2)),
    "csv in gzip": ("bulk-consents/may.csv.gz", SHORT_FILE, 2, (3, 2, 2)),
}


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Write no logs and metrics: thousands of imports run here."""
    logging.disable()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
        yield
    logging.disable(logging.NOTSET)


each_file = pytest.mark.parametrize(
    ("name", "content", "checkpoint", "expected"), FILES.values(), ids=FILES
)


@each_file
def test_a_process_killed_at_any_step_changes_nothing(
    name: str, content: bytes, checkpoint: int, expected: tuple[int, int, int]
) -> None:
    undisturbed = imported(content, name, checkpoint=checkpoint, seconds_per_look=10)
    assert undisturbed.totals() == expected

    for step in range(1, undisturbed.steps.taken + 1):
        world = world_of(content, name, checkpoint=checkpoint, seconds_per_look=10)
        world.steps.at[step] = kill
        world.run()
        assert world.end_state() == undisturbed.end_state(), f"killed at {step}"


@each_file
def test_all_messages_delivered_again_at_any_step_change_nothing(
    name: str, content: bytes, checkpoint: int, expected: tuple[int, int, int]
) -> None:
    undisturbed = imported(content, name, checkpoint=checkpoint, seconds_per_look=10)

    for step in range(1, undisturbed.steps.taken + 1):
        world = world_of(content, name, checkpoint=checkpoint, seconds_per_look=10)
        world.steps.at[step] = world.run_again
        world.run()
        assert world.totals() == expected, f"interrupted at {step}"
        assert world.end_state() == undisturbed.end_state(), f"interrupted at {step}"


@each_file
def test_parts_in_reverse_order_have_the_same_result(
    name: str, content: bytes, checkpoint: int, expected: tuple[int, int, int]
) -> None:
    world = world_of(content, name, checkpoint=checkpoint, seconds_per_look=10)
    while not world.imports.begun or not world.reached().is_released:
        world.deliver(world.queues.pop_plan())
    for message in reversed(world.sent_parts()):
        world.deliver(message)
    world.run()

    assert world.totals() == expected
    undisturbed = imported(content, name, checkpoint=checkpoint, seconds_per_look=10)
    assert world.end_state() == undisturbed.end_state()


@pytest.mark.parametrize("step", range(1, 56))
def test_a_failed_import_reports_the_rows_that_it_counted(step: int) -> None:
    world = world_of(jsonl(item_json(1), 7) + TOO_LONG + jsonl(item_json(2), 7))

    def fail_and_kill() -> None:
        if world.imports.begun:
            world.fail("a part could not be stored")
        raise Killed

    world.steps.at[step] = fail_and_kill
    world.run()
    first = world.totals(), world.summary()["state"]
    world.run_again()
    assert (world.totals(), world.summary()["state"]) == first


def four_files() -> World:
    """Return a world in which one of four files has to wait."""
    world = World(window=4)
    for number in range(4):
        world.put(jsonl(item_json(number), 7), f"bulk-consents/{number}.jsonl")
    return world


def test_waiting_imports_end_though_a_process_is_killed() -> None:
    undisturbed = four_files()
    undisturbed.run()

    for step in range(1, undisturbed.steps.taken + 1):
        world = four_files()
        world.steps.at[step] = kill
        world.run()
        assert world.end_state() == undisturbed.end_state(), f"killed at {step}"


def test_waiting_imports_end_though_messages_are_delivered_again() -> None:
    undisturbed = four_files()
    undisturbed.run()

    for step in range(1, undisturbed.steps.taken + 1):
        world = four_files()
        world.steps.at[step] = world.run_again
        world.run()
        assert world.end_state() == undisturbed.end_state(), f"interrupted at {step}"


def test_an_import_that_has_ended_stays_as_it_is() -> None:
    world = imported(SHORT_FILE, "bulk-consents/may.csv")
    world.files.objects.clear()

    for _ in range(5):
        world.run_again()
    assert world.files.objects == {}
    assert world.queues.due == []
