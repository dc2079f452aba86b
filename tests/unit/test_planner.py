"""Planning an import: its turn, its parts, the window, the daily bound, and time slices."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from consents.aws.sqs import MAX_DELAY_SECONDS
from consents.domain.organization import Plan
from consents.domain.record import timestamp
from consents.imports.api import describe
from consents.imports.drop import Drop
from consents.imports.import_state import Place
from consents.imports.limits import MAX_RUNNING
from consents.imports.parts import MAX_PARTS, ROWS_PER_PART
from consents.imports.planner import (
    PARTS_PER_CHECKPOINT,
    POLL_SECONDS,
    SLICE,
)

from tests.factories import (
    BAD_ITEM,
    KEY_ID,
    NOW,
    ORG_ID,
    begun_import,
    credential,
    drop,
    item_json,
    jsonl,
    organization,
    pending_upload,
)
from tests.unit.import_world import (
    HEADER,
    TOO_LONG,
    DictFiles,
    Killed,
    World,
    csv_line,
    file_of_parts,
    imported,
    kill,
    world_of,
)

OTHER_ORG = "org_2"
SMALL = jsonl(item_json(1))


def planned(world: World, times: int = 20) -> World:
    """Return the world after so many runs of a planner on its first import."""
    for _ in range(times):
        world.plan()
    return world


# ---------------------------------------------------------------- Parts


def test_a_part_of_only_blank_lines_is_not_sent() -> None:
    content = b"\n" * 1000 + SMALL + b"\n" * 1500 + TOO_LONG + b" \r\n" * 12_345 + jsonl(7)
    content += b"\n" * 2000
    world = imported(content)
    end = len(content) - 2000

    assert [part.place for part in world.queues.parts.values()] == [
        Place(1, 1000, 1001),
        Place(2, end - len(TOO_LONG) - 3 * 12_345 - 2, 2502),
        Place(3, end - 3 * 345 - 2, 14_503),
    ]
    assert [row["row"] for row in world.rejected()] == [2502, 14_848]
    assert world.totals() == (1, 0, 2)


def test_many_blank_lines_are_left_to_later_slices() -> None:
    world = world_of(b"\n" * 25_000 + SMALL)
    world.has_time = False
    places = []
    while not world.imports.begun or world.reached().parts is None:
        world.plan()
        places.append(world.reached().place)

    assert places[:2] == [Place(1, 10_000, 10_001), Place(1, 20_000, 20_001)]
    assert places[2:] == [Place(2, 25_000 + len(SMALL), 25_002)] * 2
    assert [number for _, number in world.queues.parts] == [1]


def test_parts_of_a_gzip_file_are_written_before_they_are_sent() -> None:
    world = world_of(HEADER + csv_line(item_json(1)), "bulk-consents/may.csv.gz")
    world.steps.before["send_parts"] = kill
    with pytest.raises(Killed):
        world.plan()

    assert list(world.files.objects) == [world.drop.part_key(1)]


def test_a_header_is_stored_before_any_part_is_released() -> None:
    world = world_of(HEADER + csv_line(item_json(1)), "bulk-consents/may.csv")
    world.steps.before["send_parts"] = kill
    with pytest.raises(Killed):
        world.plan()

    assert world.reached().header == ("correlation_id", *HEADER.decode().split(",")[1:6], None)


def test_an_empty_file_completes_without_any_part() -> None:
    world = imported(b"")

    assert (world.summary()["state"], world.reached().parts) == ("completed", 0)


# ---------------------------------------------------------------- The window


def test_no_more_parts_are_out_than_the_window_has() -> None:
    world = planned(world_of(file_of_parts(30), window=8))

    assert (world.reached().parts, world.reached().released) == (30, 8)
    assert len(world.queues.parts) == 8


def test_parts_that_are_done_make_room_for_as_many_more() -> None:
    world = planned(world_of(file_of_parts(30), window=8))
    for part in world.sent_parts()[:3]:
        world.deliver(part)
    world.plan()

    assert world.reached().released == 11


def test_a_file_is_cut_further_while_the_window_is_full() -> None:
    world = world_of(file_of_parts(30), window=1)
    world.seconds_per_look = 0
    world.plan()

    assert (world.reached().parts_cut, world.reached().released) == (30, 1)


@pytest.mark.parametrize(("files", "share"), [(1, 9), (2, 4), (3, 3)])
def test_running_imports_share_the_window(files: int, share: int) -> None:
    world = World(window=9)
    drops = [world.put(file_of_parts(12), f"bulk-consents/{n}.jsonl") for n in range(files)]
    for each in drops:  # all run, before any releases
        world.limits.start(ORG_ID, each.import_id, NOW)
    for _ in range(5):
        for each in drops:
            world.plan(each)

    assert [world.reached(each).released for each in drops] == [share] * files
    assert world.imports.out() <= 9


def test_each_import_may_have_a_part_out_in_a_tiny_window() -> None:
    world = World(window=1)
    drops = [world.put(file_of_parts(2), f"bulk-consents/{n}.jsonl") for n in range(3)]
    for each in drops * 3:
        world.plan(each)

    assert [world.reached(each).released for each in drops] == [1, 1, 1]


def test_the_window_is_of_one_organization() -> None:
    world = World(window=8)
    world.directory.organizations[OTHER_ORG] = organization(org_id=OTHER_ORG)
    drops = [world.put(file_of_parts(12), org_id=org_id) for org_id in (ORG_ID, OTHER_ORG)]
    for each in drops * 5:
        world.plan(each)

    assert [world.reached(each).released for each in drops] == [8, 8]


def test_a_long_file_never_has_more_than_the_window_ahead_of_it() -> None:
    world = World(window=20)
    world.directory.organizations[OTHER_ORG] = organization(org_id=OTHER_ORG)
    world.put(file_of_parts(100))
    while not world.queues.parts:
        world.deliver(world.queues.pop_plan())
    small = world.put(SMALL, org_id=OTHER_ORG)
    while not world.imports.begun.get(small.import_id, begun_import()).is_reported:
        world.deliver_next()

    # The parts that were out when the small file came, and those while it was planned.
    assert world.reached().parts_done <= 2 * 20
    world.run()
    assert world.totals() == (100, 0, 0)
    assert world.imports.most_out[ORG_ID] == 20


def test_an_import_is_polled_each_second_until_it_is_released() -> None:
    world = world_of(file_of_parts(30), window=8)
    world.run()

    assert set(world.queues.delays) == {POLL_SECONDS}
    assert world.totals() == (30, 0, 0)


def test_an_import_whose_parts_are_all_released_has_no_message() -> None:
    world = world_of(file_of_parts(3))
    world.plan()

    assert world.reached().is_released
    assert world.queues.plans() == []


# ---------------------------------------------------------------- Crashes between two writes


def test_parts_sent_twice_after_a_crash_are_counted_once() -> None:
    world = world_of(file_of_parts(5))
    world.steps.before["release"] = kill
    world.run()

    assert world.queues.sent_parts == 10
    assert world.totals() == (5, 0, 0)


def test_parts_not_sent_in_a_crash_are_sent_in_the_next_run() -> None:
    world = world_of(file_of_parts(5))
    world.steps.before["send_parts"] = kill
    world.run()

    assert world.queues.sent_parts == 5
    assert world.totals() == (5, 0, 0)


def test_a_crash_before_parts_are_sent_spends_the_daily_bound() -> None:
    world = world_of(file_of_parts(5))
    world.steps.before["send_parts"] = kill
    world.run()

    assert world.limits.parts_taken == {(ORG_ID, "2026-05-01"): 10}


def test_a_crash_after_an_import_started_leaves_it_running() -> None:
    world = world_of(SMALL)
    world.steps.before["start"] = kill
    with pytest.raises(Killed):
        world.plan()
    world.plan()

    assert not world.reached().is_queued
    assert world.limits.running == {ORG_ID: {world.drop.import_id}}


def test_a_late_planner_never_moves_the_place_back() -> None:
    world = world_of(file_of_parts(30))
    late = world_of(file_of_parts(30))
    late.plan()
    stale = late.reached()
    planned(world)
    before = world.reached()
    world.imports.checkpoint(stale, [])

    assert world.reached() == before


# ---------------------------------------------------------------- Waiting for a turn


def five_files() -> tuple[World, list[Drop]]:
    world = World()
    return world, [world.put(SMALL, f"bulk-consents/{number}.jsonl") for number in range(5)]


def test_an_import_beyond_the_limit_waits_without_a_message() -> None:
    world, drops = five_files()
    for _ in drops:
        world.deliver(world.queues.pop_plan())

    assert [world.reached(each).is_queued for each in drops] == [False] * 3 + [True] * 2
    assert [world.reached(each).released for each in drops] == [1, 1, 1, 0, 0]
    assert world.queues.plans() == []
    assert MAX_RUNNING == 3


def test_an_import_that_ends_starts_the_oldest_that_waits() -> None:
    world, drops = five_files()
    for each in drops:
        world.plan(each)
    world.deliver(world.sent_parts()[1])

    assert world.reached(drops[1]).outcome == "completed"
    assert world.queues.plans() == [drops[3].import_id]
    world.plan(drops[4])  # a message that came again: it does not overtake
    assert world.reached(drops[4]).is_queued
    world.plan(drops[3])
    assert not world.reached(drops[3]).is_queued


def test_an_import_that_fails_starts_the_next_as_well() -> None:
    world, drops = five_files()
    for each in drops:
        world.plan(each)
    world.reporter.fail(drops[0].import_id, "part 1 could not be stored", world.clock())

    assert world.queues.plans() == [drops[3].import_id]


def test_a_waiting_import_that_fails_is_no_longer_waiting() -> None:
    world, drops = five_files()
    for each in drops:
        world.plan(each)
    world.reporter.fail(drops[3].import_id, "the file could not be read", world.clock())

    assert list(world.limits.waiting[ORG_ID]) == [drops[4].import_id]
    world.run()
    assert [world.summary(each)["state"] for each in drops] == [
        *["completed"] * 3,
        "failed",
        "completed",
    ]


def test_all_waiting_imports_end_in_the_order_of_their_drops() -> None:
    world, drops = five_files()
    world.run()
    finished = [world.reached(each).finished_at for each in drops]

    assert [world.totals(each)[0] + world.totals(each)[1] for each in drops] == [1] * 5
    assert all(one and other and one <= other for one, other in pairwise(finished[2:]))


def test_the_imports_of_another_organization_do_not_wait() -> None:
    world, _ = five_files()
    world.directory.organizations[OTHER_ORG] = organization(org_id=OTHER_ORG)
    for _ in range(5):
        world.deliver(world.queues.pop_plan())
    other = world.put(SMALL, org_id=OTHER_ORG)
    world.plan(other)

    assert world.reached(other).released == 1


def test_a_waiting_import_is_queued_for_its_readers() -> None:
    world, drops = five_files()
    for each in drops:
        world.plan(each)

    assert describe(world.reached(drops[4]), world.queues.now, [])["state"] == "queued"


# ---------------------------------------------------------------- The daily bound


def bounded(parts: int, per_day: int) -> World:
    """Return a world with a file of so many parts in an organization with a daily bound."""
    world = World()
    world.directory.organizations[ORG_ID] = organization(parts_per_day=per_day)
    world.put(file_of_parts(parts))
    return world


MIDNIGHT = datetime(2026, 5, 2, tzinfo=NOW.tzinfo)


def test_an_import_pauses_where_the_daily_bound_is_reached() -> None:
    world = planned(bounded(12, per_day=5))

    assert world.reached().released == 5
    assert world.reached().paused_until == MIDNIGHT


def test_a_paused_import_is_queued_with_a_reason() -> None:
    world = planned(bounded(12, per_day=5))
    described = describe(world.reached(), world.queues.now, [])

    assert described["state"] == "queued"
    assert described["reason"] == "the daily bound of parts is reached: continues 2026-05-02"


def test_a_paused_import_is_looked_at_at_most_every_15_minutes() -> None:
    world = planned(bounded(12, per_day=5), times=3)

    assert world.queues.delays[-1] == MAX_DELAY_SECONDS == 900


def test_a_paused_import_resumes_right_after_midnight_utc() -> None:
    world = bounded(12, per_day=5)
    world.queues.now = MIDNIGHT - timedelta(minutes=5)
    world.seconds_per_look = 1
    planned(world, times=3)

    seconds_to_midnight = (MIDNIGHT - world.queues.now).total_seconds()
    assert seconds_to_midnight <= world.queues.delays[-1] <= seconds_to_midnight + 3


def test_a_paused_import_takes_as_many_days_as_its_bound_needs() -> None:
    world = bounded(12, per_day=5)
    world.run()

    assert world.totals() == (12, 0, 0)
    assert [taken for _, taken in sorted(world.limits.parts_taken.items())] == [5, 5, 2]
    assert world.reached().paused_until is None
    assert world.summary()["finished_at"][:10] == "2026-05-03"


def test_the_daily_bound_is_shared_by_the_imports_of_a_day() -> None:
    world = bounded(4, per_day=5)
    other = world.put(file_of_parts(4), "bulk-consents/june.jsonl")
    for _ in range(5):
        world.plan()
        world.plan(other)

    assert (world.reached().released, world.reached(other).released) == (4, 1)
    assert world.reached(other).paused_until == MIDNIGHT


def test_a_raised_bound_resumes_a_paused_import() -> None:
    world = planned(bounded(12, per_day=5))
    world.directory.organizations[ORG_ID] = organization(parts_per_day=50)
    world.plan()

    assert (world.reached().released, world.reached().paused_until) == (12, None)


# ---------------------------------------------------------------- Time slices


class SlowFiles(DictFiles):
    """Reads a file from its beginning: reaching a place takes time, as in a gzip file."""

    seconds_to_reach = 0

    def stream(self, drop: Drop, offset: int) -> Iterator[bytes]:
        if offset:
            self.world.queues.now += timedelta(seconds=self.seconds_to_reach)
        yield from super().stream(drop, offset)

    world: World


def cut_in_one_slice(seconds_to_reach: int, seconds_per_look: int) -> int:
    """Return how many checkpoints a planner makes that continues a long file."""
    world = World()
    files = SlowFiles(world.steps)
    files.world, files.seconds_to_reach = world, seconds_to_reach
    world.files = files
    world.put(b"\n" * 1000 * PARTS_PER_CHECKPOINT * 12 + SMALL)
    world.has_time = False
    world.plan()
    assert world.reached().place.row == 1 + 1000 * PARTS_PER_CHECKPOINT
    world.has_time, world.seconds_per_look = True, seconds_per_look
    before = world.reached().place.row
    world.plan()
    return (world.reached().place.row - before) // (1000 * PARTS_PER_CHECKPOINT)


def test_a_slice_ends_after_20_seconds_of_cutting() -> None:
    assert timedelta(seconds=20) == SLICE
    assert cut_in_one_slice(seconds_to_reach=0, seconds_per_look=5) == 2


def test_a_slice_cuts_as_long_as_it_took_to_reach_its_place() -> None:
    assert cut_in_one_slice(seconds_to_reach=60, seconds_per_look=5) == 7


def test_a_short_way_to_a_place_does_not_shorten_a_slice() -> None:
    assert cut_in_one_slice(seconds_to_reach=10, seconds_per_look=5) == 2


def test_a_file_is_cut_to_its_end_while_time_does_not_pass() -> None:
    assert cut_in_one_slice(seconds_to_reach=0, seconds_per_look=0) == 11


def test_an_invocation_that_is_nearly_over_ends_its_slice() -> None:
    world = world_of(file_of_parts(30))
    world.has_time, world.seconds_per_look = False, 0
    world.plan()

    assert world.reached().parts_cut == PARTS_PER_CHECKPOINT
    assert world.queues.plans() == [world.drop.import_id]


# ---------------------------------------------------------------- Who may import


REJECTED: dict[str, tuple[Any, str]] = {
    "unknown": (None, "there is no such organization"),
    "without capture": (
        organization(plan=Plan.STARTER),
        "the plan does not include consent capture",
    ),
}


@pytest.mark.parametrize(("found", "reason"), REJECTED.values(), ids=REJECTED)
def test_an_organization_that_may_not_import_fails_unread(found: Any, reason: str) -> None:
    world = world_of(file_of_parts(3))
    world.directory.organizations[ORG_ID] = found
    world.run()

    assert world.reason() == reason
    assert world.summary()["started_at"] < world.summary()["finished_at"]
    assert world.totals() == (0, 0, 0)
    assert world.queues.parts == {}


def announced(**changes: Any) -> World:
    """Return a world with an announced upload, and the credential that announced it."""
    world = World()
    pending = pending_upload()
    content = HEADER + b"".join(csv_line(item_json(number)) for number in range(3))
    world.put(content, pending.drop.key.split("/", 2)[2])
    world.imports.announced[pending.drop.import_id] = pending
    world.limits.open_uploads = {pending.drop.import_id}
    world.directory.credentials[ORG_ID, KEY_ID] = credential(**changes)
    return world


def test_a_file_that_a_live_credential_announced_is_imported() -> None:
    world = announced()
    world.run()

    assert world.totals() == (3, 0, 0)


def test_an_upload_that_begins_is_no_longer_open() -> None:
    world = announced()
    world.plan()

    assert world.limits.open_uploads == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"revoked_at": timestamp(NOW - timedelta(minutes=1))},
        {"revoked_at": timestamp(NOW + timedelta(minutes=1))},
        {"expires_at": timestamp(NOW)},
    ],
    ids=["revoked", "revoked since", "expired"],
)
def test_a_file_that_a_dead_credential_announced_fails(changes: dict[str, str]) -> None:
    world = announced(**changes)
    world.run()

    assert world.reason() == "the key that announced the upload is revoked or expired"
    assert world.totals() == (0, 0, 0)
    assert world.ledger.held == {}
    assert world.queues.parts == {}


def test_a_file_that_a_deleted_credential_announced_fails() -> None:
    world = announced()
    world.directory.credentials.clear()
    world.run()

    assert world.reason() == "the key that announced the upload is revoked or expired"


def test_a_credential_of_another_organization_is_not_found() -> None:
    world = announced()
    world.directory.credentials = {(OTHER_ORG, KEY_ID): credential(org_id=OTHER_ORG)}
    world.run()

    assert world.reason() == "the key that announced the upload is revoked or expired"


def test_a_key_revoked_while_its_import_waits_fails_the_import() -> None:
    world = announced()
    for number in range(3):
        world.plan(world.put(SMALL, f"bulk-consents/{number}.jsonl"))
    world.plan()
    assert world.reached().is_queued
    world.directory.credentials[ORG_ID, KEY_ID] = credential(revoked_at=timestamp(NOW))
    world.run()

    assert world.reason() == "the key that announced the upload is revoked or expired"


def test_a_key_revoked_after_its_import_started_changes_nothing() -> None:
    world = announced()
    world.window = 1
    world.plan()
    world.directory.credentials[ORG_ID, KEY_ID] = credential(revoked_at=timestamp(NOW))
    world.run()

    assert world.totals() == (3, 0, 0)


def test_a_file_dropped_by_an_operator_needs_no_credential() -> None:
    world = world_of(SMALL)
    world.run()

    assert world.directory.credentials == {}
    assert world.totals() == (1, 0, 0)


# ---------------------------------------------------------------- Files that cannot be read


HEADERS = {
    "empty": (b"", "row 1, the header, must name one of correlation_id, "),
    "unknown": (b"a,b\n", "row 1, the header, must name one of correlation_id, "),
    "latin-1": (b"status,\xfc\n", "the header must be UTF-8"),
    "open quote": (b'status,"a\n', "the header must be CSV, all quotes closed or doubled"),
    "utf-16": (HEADER.decode().encode("utf-16-le"), "the header must be UTF-8"),
}


@pytest.mark.parametrize(("content", "reason"), HEADERS.values(), ids=HEADERS)
def test_a_csv_without_a_header_fails(content: bytes, reason: str) -> None:
    world = imported(content, "bulk-consents/may.csv")

    assert world.reason().startswith(reason)
    assert world.totals() == (0, 0, 0)


UMLAUT = {"note": "M\u00fcnchen"}
TEXT = json.dumps(item_json(1) | UMLAUT, ensure_ascii=False) + "\n"
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_lines_in_another_encoding_than_utf_8_fail(encoding: str) -> None:
    world = imported((TEXT * 2500).encode(encoding))

    assert world.reason() == "must be UTF-8, and none of its first rows is"
    assert world.totals() == (0, 0, 0)
    assert world.queues.parts == {}


@pytest.mark.parametrize("bad", [b"\xff\xfe{}\n", b"{}\0\n", TEXT.encode("latin-1")])
def test_one_row_in_utf_8_is_enough_to_import_a_file(bad: bytes) -> None:
    world = imported(b"\n" + bad + TOO_LONG + bad * 1100 + jsonl(item_json(2)) + bad)

    assert world.totals() == (1, 0, 1103)
    assert world.rejected()[0]["row"] == 2


@pytest.mark.parametrize("content", [b"\n \n", TOO_LONG], ids=["blank", "too long"])
def test_a_file_without_a_line_to_judge_by_is_imported(content: bytes) -> None:
    assert imported(content).summary()["state"] == "completed"


ROOM_FOR_ONE = {
    "of parts": Place(part=MAX_PARTS, offset=7, row=9),
    "of rows": Place(part=3, offset=7, row=MAX_PARTS * ROWS_PER_PART),
}


def planned_from(place: Place, content: bytes) -> World:
    """Return the world in which a planner has cut a file from a place to the end."""
    world = world_of(bytes(place.offset) + content)
    released = place.part - 1
    world.imports.begun[world.drop.import_id] = begun_import(
        world.drop, place=place, released=released, parts_done=released
    )
    world.plan()
    return world


@pytest.mark.parametrize("place", ROOM_FOR_ONE.values(), ids=ROOM_FOR_ONE)
def test_a_file_may_have_as_many_parts_as_the_limit(place: Place) -> None:
    world = planned_from(place, jsonl(7))

    assert [part.place for part in world.queues.parts.values()] == [place]
    assert world.reached().parts == place.part


@pytest.mark.parametrize("place", ROOM_FOR_ONE.values(), ids=ROOM_FOR_ONE)
def test_a_file_with_more_parts_fails_before_they_are_sent(place: Place) -> None:
    world = planned_from(place, jsonl(7) + TOO_LONG)

    assert world.reason() == "must have at most 200000 parts of 1000 rows or 1 MiB"
    assert world.queues.parts == {}


def test_a_file_that_fails_after_some_parts_keeps_their_rows() -> None:
    limit = MAX_PARTS * ROWS_PER_PART
    world = world_of(jsonl(item_json(1)))
    world.imports.begun[world.drop.import_id] = begun_import(
        world.drop, place=Place(1, 0, limit - 1)
    )
    world.files.dropped[world.drop.key] = jsonl(*map(item_json, range(3)))
    world.plan()

    assert world.reason().startswith("must have at most")


# ---------------------------------------------------------------- Imports that have ended


def test_an_import_that_failed_is_not_planned_further() -> None:
    world = world_of(file_of_parts(30), window=8)
    world.plan()
    world.fail("part 2 could not be stored")
    released, before = world.reached().released, len(world.queues.plans())
    world.plan()

    assert world.reached().released == released
    assert len(world.queues.plans()) == before


def test_an_import_that_fails_in_a_slice_releases_nothing_more() -> None:
    world = world_of(file_of_parts(30))

    def fail() -> None:
        world.fail("part 1 could not be stored")

    world.steps.before["checkpoint"] = fail
    world.run()

    assert world.queues.parts == {}
    assert world.reason() == "part 1 could not be stored"


def test_an_unreported_import_is_reported_by_its_planner() -> None:
    world = world_of(SMALL)
    world.plan()
    done = replace(world.reached(), outcome="failed", reason="x", finished_at=NOW)
    world.imports.begun[world.drop.import_id] = done
    world.plan()

    assert world.reason() == "x"


def test_an_object_that_is_gone_fails_its_import() -> None:
    world = world_of(jsonl(BAD_ITEM))
    world.plan()
    world.files.dropped.clear()
    world.run()

    assert world.reason() == "the object is gone"
    assert drop() == world.drop
