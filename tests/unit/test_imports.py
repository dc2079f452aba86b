"""Importing a dropped file: any step twice, half, late or beside itself, with the same end."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import consents.imports
import pytest
from consents.domain.drop import Counts, Drop, Import, Place, drop_of
from consents.domain.outcome import Arrival
from consents.domain.record import ConsentRecord, Receipt
from consents.imports import (
    BYTES_PER_PART,
    MOST_PARTS,
    PARTS_PER_CHECKPOINT,
    ROWS_PER_PART,
    Part,
    Planner,
    RowsNotStored,
    Worker,
    after,
    cut,
    fail,
)
from consents.wires.rows import MAX_ROW_BYTES, Record
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import (
    BAD_ITEM,
    CHECKBOX,
    ITEM,
    NOW,
    OWNED,
    SENDER,
    bulk_record,
    with_field,
)

BEFORE = Receipt(NOW - timedelta(days=1), "01JTBQH2FZ8K1RXC0WJ4Z9P3VM")
HEADER = b"correlation_id,sender_id,contact_id,status,source,date_of_consent,note\n"
TOO_LONG = b"x" * MAX_ROW_BYTES + b"\n"
PIECE = 256 * 1024

type Message = Drop | tuple[str, Part]


class Killed(Exception):
    """The process is gone."""


class World:
    """All that an import works with, in dicts; something may happen before and after each call."""

    def __init__(self, drop: Drop, content: bytes) -> None:
        self.drop = drop
        self.content = content
        self.objects: dict[str, bytes] = {}
        self.imports: dict[str, Import] = {}
        self.done: dict[int, Counts] = {}
        self.held: dict[str, Receipt] = {}
        self.parts: dict[int, Part] = {}
        self.queue: deque[Message] = deque([drop])
        self.happens: dict[int, Callable[[], None]] = {}
        self.refuses: str | None = None
        self.out_of_reach: set[str] = set()
        self.ticks = 0
        self.hours = count()

    def tick(self) -> None:
        """Let happen what happens now."""
        self.ticks += 1
        self.happens.pop(self.ticks, lambda: None)()

    # Files

    def stream(self, drop: Drop, offset: int) -> Iterator[bytes]:
        assert drop == self.drop
        for start in range(offset, len(self.content), PIECE):
            self.tick()
            yield self.content[start : start + PIECE]

    def read_part(self, drop: Drop, part: Part) -> bytes:
        self.tick()
        if drop.is_gzip:
            return self.objects[drop.part_key(part.place.part)]
        return self.content[part.place.offset : part.end]

    def write(self, key: str, content: bytes) -> None:
        self.tick()
        self.objects[key] = content
        self.tick()

    def join(self, keys: Iterable[str], key: str, *, small: bool) -> None:
        self.tick()
        wanted = list(keys)
        assert not small or len(wanted) <= consents.imports.PARTS_PER_PIECE
        self.objects[key] = b"".join(self.objects[part] for part in wanted)
        self.tick()

    # Progress

    def begin(self, drop: Drop, now: datetime) -> Import:
        self.tick()
        begun = self.imports.setdefault(drop.import_id, Import(drop, now))
        self.tick()
        return begun

    def get(self, import_id: str) -> Import:
        self.tick()
        return self.imports[import_id]

    def is_done(self, import_id: str, part: int) -> bool:
        self.tick()
        assert import_id == self.drop.import_id
        return part in self.done

    def checkpoint(self, progress: Import) -> None:
        self.tick()
        reached = self._reached
        if progress.place.offset > reached.place.offset or reached.place == Place():
            self._set(place=progress.place, header=progress.header)
        self.tick()

    def cut(self, import_id: str, parts: int) -> None:
        self.tick()
        assert import_id == self.drop.import_id
        assert self._reached.parts in (None, parts)
        self._set(parts=parts)
        self.tick()

    def add(self, import_id: str, part: int, counts: Counts) -> bool:
        self.tick()
        assert import_id == self.drop.import_id
        is_added = part not in self.done and self._reached.outcome is None
        if is_added:
            self.done[part] = counts
            held = self._reached.counts
            codes = held.rejected.keys() | counts.rejected.keys()
            total = Counts(
                held.accepted + counts.accepted,
                held.duplicates + counts.duplicates,
                {code: held.rejected.get(code, 0) + counts.rejected.get(code, 0) for code in codes},
            )
            self._set(counts=total, parts_done=self._reached.parts_done + 1)
        self.tick()
        return is_added

    def refused_parts(self, import_id: str) -> list[int]:
        self.tick()
        assert import_id == self.drop.import_id
        return sorted(part for part, counts in self.done.items() if counts.rejected)

    def end(self, import_id: str, outcome: str, reason: str | None, now: datetime) -> Import:
        self.tick()
        assert import_id == self.drop.import_id
        if self._reached.outcome is None:
            self._set(outcome=outcome, reason=reason, finished_at=now)
        self.tick()
        return self._reached

    def keep_joined(self, import_id: str, pieces: int) -> None:
        self.tick()
        assert import_id == self.drop.import_id
        self._set(pieces_joined=max(pieces, self._reached.pieces_joined))
        self.tick()

    def keep_reported(self, import_id: str) -> None:
        self.tick()
        assert import_id == self.drop.import_id
        assert self._reached.outcome is not None
        self._set(is_reported=True)
        self.tick()

    @property
    def _reached(self) -> Import:
        return self.imports[self.drop.import_id]

    def _set(self, **changes: Any) -> None:
        self.imports[self.drop.import_id] = replace(self._reached, **changes)

    # Ledger, directory, queue

    def append_rows(
        self,
        organization_id: str,
        records: Sequence[ConsentRecord],
        receipts: Sequence[Receipt],
        time_left: Callable[[], float],
    ) -> list[Arrival]:
        assert organization_id == self.drop.org_id
        assert time_left() == 60.0
        for record, receipt in zip(records, receipts, strict=True):
            self.tick()
            if record.contact not in self.out_of_reach:
                self.held.setdefault(record.digest(), receipt)
        self.tick()
        holders = [self.held.get(record.digest()) for record in records]
        return [
            Arrival.of(holder.request_id if holder else None, receipt.request_id)
            for holder, receipt in zip(holders, receipts, strict=True)
        ]

    def senders(self, org_id: str, phone_number_ids: Iterable[str]) -> dict[str, str]:
        self.tick()
        assert org_id == self.drop.org_id
        return {name: SENDER for name in phone_number_ids if name == OWNED}

    def send(self, drop: Drop, parts: Sequence[Part]) -> None:
        for part in parts:
            self.tick()
            assert self.parts.setdefault(part.place.part, part) == part
            self.queue.append((drop.import_id, part))
        self.tick()

    # Running

    def deliver(self, message: Message) -> None:
        """Handle a message in a process of its own; time is up where the tenth part is cut."""

        def clock() -> datetime:
            return NOW + timedelta(hours=next(self.hours))

        if isinstance(message, Drop):
            planner = Planner(self, self, self.send, lambda _: self.refuses)
            if not planner.plan(message, clock, lambda: len(self.parts) != PARTS_PER_CHECKPOINT):
                self.queue.append(message)
        else:
            Worker(self, self, self, self.senders).import_part(*message, clock(), lambda: 60.0)

    def run(self) -> None:
        """Deliver every message until none is left; one whose process is killed comes again."""
        while self.queue:
            message = self.queue.popleft()
            try:
                self.deliver(message)
            except (Killed, RowsNotStored):
                self.queue.append(message)

    def run_again(self) -> None:
        """Deliver all that there ever was, as another process would."""
        for message in self.everything():
            self.deliver(message)

    def everything(self) -> list[Message]:
        return [self.drop, *((self.drop.import_id, part) for part in self.parts.values())]

    def report(self, name: str) -> bytes:
        return self.objects[self.drop.report_key(name)]

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads(self.report("summary.json")))

    @property
    def rejected(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.report("rejected.jsonl").splitlines()]

    @property
    def end_state(self) -> Any:
        """What has to be the same, whatever happened on the way."""
        assert self._reached.is_reported
        told = {name: value for name, value in self.summary.items() if not name.endswith("_at")}
        return told, self.report("rejected.jsonl"), self.held.keys(), sorted(self.parts.items())


def contact(number: int) -> str:
    return f"+1555444{number:04}"


def item(number: int) -> dict[str, Any]:
    return ITEM | {"contact_id": contact(number), "correlation_id": f"{number:032x}"}


def jsonl(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def line(record: dict[str, Any], note: str = "") -> bytes:
    names = HEADER.decode().strip().split(",")[:-1]
    return ",".join([*(record[name] for name in names), note]).encode() + b"\n"


def world_of(content: bytes, name: str = "bulk-consents/may.jsonl") -> World:
    drop = drop_of("drops", f"drops/org_1/{name}", "v1")
    assert drop is not None
    return World(drop, content)


def imported(content: bytes, name: str = "bulk-consents/may.jsonl") -> World:
    world = world_of(content, name)
    world.run()
    return world


def totals(world: World) -> tuple[int, int, int]:
    told = world.summary
    assert told["rows"] == told["accepted"] + told["duplicates"] + told["rejected"]
    assert told["rejected"] == sum(told["rejected_by_code"].values()) == len(world.rejected)
    return told["accepted"], told["duplicates"], told["rejected"]


# Each over-long row is a part of its own and ends another: many parts of few rows.
LONG_FILE = b"".join(jsonl(item(number), BAD_ITEM) + TOO_LONG for number in range(5))
LONG_FILE += jsonl(item(0), item(5), item(6))
# Before, between and after its rows are more blank lines than a part may have.
BLANK_FILE = b"\n" * 1000 + jsonl(item(1)) + b"\n" * 1500 + TOO_LONG + b" \r\n" * 12_345 + jsonl(7)
BLANK_FILE += b"\n" * 2000
SHORT_FILE = b"".join(
    [
        HEADER,
        line(item(1)) + b"\n" + line(item(2), '"two\nlines"') + line(BAD_ITEM),
        TOO_LONG,
        line(item(1)) + line(item(3)) + line(item(3)),
    ]
)
FILES = {
    "plain": ("bulk-consents/may.jsonl", LONG_FILE, (7, 1, 10)),
    "blank lines": ("bulk-consents/may.jsonl", BLANK_FILE, (1, 0, 2)),
    "csv": ("bulk-consents/may.csv", SHORT_FILE, (3, 2, 2)),
    "csv in gzip": ("bulk-consents/may.csv.gz", SHORT_FILE, (3, 2, 2)),
}
each_file = pytest.mark.parametrize(("name", "content", "expected"), FILES.values(), ids=FILES)


def killed() -> None:
    raise Killed


@each_file
def test_a_process_killed_at_any_point_changes_nothing(
    name: str, content: bytes, expected: tuple[int, int, int]
) -> None:
    undisturbed = imported(content, name)
    assert totals(undisturbed) == expected

    for point in range(1, undisturbed.ticks + 1):
        world = world_of(content, name)
        world.happens[point] = killed
        world.run()
        assert world.end_state == undisturbed.end_state, f"killed at {point}"


def test_a_report_of_many_parts_is_joined_in_pieces_and_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = imported(LONG_FILE)
    monkeypatch.setattr(consents.imports, "PARTS_PER_PIECE", 2)
    in_pieces = imported(LONG_FILE)

    assert in_pieces.end_state == at_once.end_state
    assert any("/report/" in key for key in in_pieces.objects.keys() - at_once.objects.keys())


def test_a_process_killed_between_pieces_of_a_report_leaves_the_rest_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consents.imports, "PARTS_PER_PIECE", 2)
    test_a_process_killed_at_any_point_changes_nothing(*FILES["plain"])
    world = world_of(LONG_FILE)
    joined: list[str] = []
    join = world.join

    def kill_after_two(keys: Iterable[str], key: str, *, small: bool) -> None:
        joined.append(key)
        join(keys, key, small=small)
        if len(joined) == 2:
            world.happens[world.ticks + 2] = killed  # once it is kept that it is joined

    monkeypatch.setattr(world, "join", kill_after_two)
    world.run()
    assert len(joined) == len(set(joined)) > 3
    assert world.end_state == imported(LONG_FILE).end_state


@each_file
def test_all_delivered_a_second_time_at_any_point_changes_nothing(
    name: str, content: bytes, expected: tuple[int, int, int]
) -> None:
    undisturbed = imported(content, name)

    for point in range(1, undisturbed.ticks + 1):
        world = world_of(content, name)
        world.happens[point] = world.run_again
        world.run()
        assert totals(world) == expected, f"interrupted at {point}"
        assert world.end_state == undisturbed.end_state, f"interrupted at {point}"


@each_file
def test_parts_in_reverse_order_end_the_same(
    name: str, content: bytes, expected: tuple[int, int, int]
) -> None:
    world = world_of(content, name)
    while world.queue:
        world.deliver(world.queue.pop() if world.imports else world.queue.popleft())

    assert totals(world) == expected
    assert world.end_state == imported(content, name).end_state


def test_an_import_that_has_ended_stays_as_it_is() -> None:
    world = imported(SHORT_FILE, "bulk-consents/may.csv")
    world.objects.clear()

    for _ in range(5):
        world.run_again()
    assert world.objects == {}


def test_a_part_that_is_counted_is_not_read_again() -> None:
    world = world_of(LONG_FILE)
    world.deliver(world.queue.popleft())
    part = world.queue.popleft()
    world.deliver(part)
    world.held.clear()

    world.deliver(part)
    assert world.held == {}


def test_a_part_that_comes_after_an_import_failed_does_not_report_it_again() -> None:
    world = world_of(LONG_FILE)
    world.deliver(world.queue.popleft())
    fail(world.drop.import_id, "part 2 could not be stored", world, world, NOW)
    world.objects.clear()

    for part in world.everything()[1:]:
        world.deliver(part)
    assert world.objects == {}
    assert world.held == {}


def test_a_part_that_is_under_way_when_its_import_fails_is_in_no_count_and_no_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = world_of(jsonl(7) + TOO_LONG)
    world.deliver(world.queue.popleft())
    first, second = world.queue
    import_id = world.drop.import_id
    add = world.add

    def fail_before(import_id: str, part: int, counts: Counts) -> bool:
        fail(import_id, "given up", world, world, NOW)
        return add(import_id, part, counts)

    world.deliver(first)
    monkeypatch.setattr(world, "add", fail_before)
    assert isinstance(second, tuple)
    worker = Worker(world, world, world, world.senders)
    assert worker.import_part(*second, NOW, lambda: 60.0) is None

    assert totals(world) == (0, 0, 1)
    assert world.imports[import_id].counts == Counts(rejected={"30646": 1})


# Rows


def test_rows_have_the_numbers_that_a_person_sees() -> None:
    world = imported(SHORT_FILE, "bulk-consents/may.csv")

    assert [told["row"] for told in world.rejected] == [5, 6]
    assert {receipt.request_id for receipt in world.held.values()} == {
        f"{world.drop.import_id}/{row}" for row in (2, 4, 8)
    }


def test_rows_keep_their_numbers_across_parts_of_a_thousand() -> None:
    world = imported(jsonl(*[item(1)] * 2500, BAD_ITEM) + b"\n \r\n" + jsonl(7))

    assert totals(world) == (1, 2499, 2)
    assert [told["row"] for told in world.rejected] == [2501, 2504]
    assert [part.rows for part in world.parts.values()] == [1000, 1000, 504]


def test_a_part_of_blank_lines_alone_is_not_sent_and_its_rows_are_numbered() -> None:
    world = imported(BLANK_FILE)

    assert [part.place for part in world.parts.values()] == [
        Place(1, 1000, 1001),
        Place(2, len(BLANK_FILE) - 2000 - len(TOO_LONG) - 3 * 12_345 - 2, 2502),
        Place(3, len(BLANK_FILE) - 2000 - 3 * 345 - 2, 14_503),
    ]
    assert [told["row"] for told in world.rejected] == [2502, 14_848]
    assert totals(world) == (1, 0, 2)


def test_many_blank_lines_are_left_to_the_next_planner_where_time_is_up() -> None:
    world = world_of(b"\n" * 25_000 + jsonl(item(1)))
    planner = Planner(world, world, world.send, lambda _: None)
    reached = []
    while planner.plan(world.drop, lambda: NOW, lambda: False) is None:
        reached.append(world.imports[world.drop.import_id].place)

    assert reached == [Place(1, 10_000, 10_001), Place(1, 20_000, 20_001), Place(2, 25_221, 25_002)]
    assert list(world.parts) == [1]


def test_a_report_names_a_row_its_faults_and_the_correlation_id_it_has() -> None:
    world = imported(jsonl(BAD_ITEM) + b"{\n")
    tokens = ["CORRELATION_ID", "SENDER_ID", "CONTACT_ID", "STATUS", "SOURCE"]

    assert world.rejected == [
        {
            "row": 1,
            "code": "30646",
            "reason": "INVALID_CONTACT_ID; INVALID_DATE_OF_CONSENT",
            "correlation_id": BAD_ITEM["correlation_id"],
        },
        {"row": 2, "code": "30646", "reason": "; ".join(f"INVALID_{token}" for token in tokens)},
    ]
    assert world.summary["rejected_by_code"] == {"30646": 2}


def test_an_attested_file_is_counted_by_code() -> None:
    foreign = CHECKBOX | {"phone_number_id": "00000000-0000-0000-0000-000000000000"}
    bad = with_field(CHECKBOX, "evidence.ip_address", "999")
    world = imported(jsonl(CHECKBOX, foreign, bad) + b"{\n", "attested/may.jsonl")

    assert totals(world) == (1, 0, 3)
    assert world.summary["rejected_by_code"] == {"NOT_FOUND": 1, "VALIDATION_FAILED": 2}
    assert [told["reason"] for told in world.rejected] == [
        "phone_number_id: not found",
        "evidence.ip_address: must be a valid IP address",
        "must be JSON in UTF-8",
    ]


def test_a_record_that_another_holds_is_a_duplicate_and_a_killed_runs_own_is_not() -> None:
    world = world_of(jsonl(item(1), item(2), item(3), item(3)))
    world.held = {
        bulk_record(item(1)).digest(): BEFORE,
        bulk_record(item(2)).digest(): Receipt(NOW, f"{world.drop.import_id}/2"),
    }
    world.run()

    assert totals(world) == (2, 2, 0)


def test_every_row_is_received_when_the_import_began_however_late_its_part() -> None:
    world = world_of(jsonl(item(1)) + TOO_LONG + jsonl(item(2)))
    while world.queue:
        world.deliver(world.queue.popleft())
        next(world.hours)

    assert {receipt.received_at for receipt in world.held.values()} == {NOW}


def test_rows_that_cannot_be_stored_are_not_counted_until_they_are() -> None:
    world = world_of(jsonl(item(1), item(2), 7))
    world.out_of_reach = {contact(2)}
    world.deliver(world.queue.popleft())
    with pytest.raises(RowsNotStored):
        world.deliver(world.queue[0])
    assert world.imports[world.drop.import_id].counts == Counts()

    world.out_of_reach = set()
    world.run()
    assert totals(world) == (2, 0, 1)


# Failing


def failed(world: World) -> str:
    assert world.summary["state"] == "failed"
    return str(world.summary["reason"])


def test_an_organization_that_may_not_import_has_its_file_fail_unread() -> None:
    world = world_of(LONG_FILE)
    world.refuses = "there is no such organization"
    world.run()

    assert failed(world) == world.refuses
    assert world.summary["started_at"] < world.summary["finished_at"]
    assert totals(world) == (0, 0, 0)
    assert world.parts == {}


HEADERS = {
    "empty": (b"", "row 1, the header, must name one of correlation_id, "),
    "unknown": (b"a,b\n", "row 1, the header, must name one of correlation_id, "),
    "latin-1": (b"status,\xfc\n", "the header must be UTF-8"),
    "open quote": (b'status,"a\n', "the header must be CSV, all quotes closed or doubled"),
    "utf-16": (HEADER.decode().encode("utf-16-le"), "the header must be UTF-8"),
}


@pytest.mark.parametrize(("content", "reason"), HEADERS.values(), ids=HEADERS)
def test_a_file_without_a_header_fails(content: bytes, reason: str) -> None:
    world = imported(content, "bulk-consents/may.csv")

    assert failed(world).startswith(reason)
    assert totals(world) == (0, 0, 0)


UMLAUT = {"note": "M\u00fcnchen"}
TEXT = json.dumps(item(1) | UMLAUT, ensure_ascii=False) + "\n"
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_lines_that_are_not_utf_8_throughout_fail(encoding: str) -> None:
    world = imported((TEXT * 2500).encode(encoding))

    assert failed(world) == "must be UTF-8, and none of its first rows is"
    assert totals(world) == (0, 0, 0)
    assert world.parts == {}


@pytest.mark.parametrize("bad", [b"\xff\xfe{}\n", b"{}\0\n", TEXT.encode("latin-1")])
def test_rows_that_are_not_utf_8_are_refused_where_another_is(bad: bytes) -> None:
    world = imported(b"\n" + bad + TOO_LONG + bad * 2500 + jsonl(item(2)) + bad)

    assert totals(world) == (1, 0, 2503)
    assert world.rejected[0]["row"] == 2


@pytest.mark.parametrize("content", [b"\n \n", TOO_LONG])
def test_a_file_without_a_line_to_judge_by_is_imported(content: bytes) -> None:
    assert imported(content).summary["state"] == "completed"


ROOM_FOR_ONE = {
    "of parts": Place(part=MOST_PARTS, offset=7, row=9),
    "of rows": Place(part=3, offset=7, row=MOST_PARTS * ROWS_PER_PART),
}


@pytest.mark.parametrize("place", ROOM_FOR_ONE.values(), ids=ROOM_FOR_ONE)
def test_a_file_of_as_many_parts_as_it_may_have_is_sent_to_its_end(place: Place) -> None:
    world = planned_from(place, jsonl(7))

    assert [world.parts[part].place for part in world.parts] == [place]
    assert world.imports[world.drop.import_id].parts == place.part


@pytest.mark.parametrize("place", ROOM_FOR_ONE.values(), ids=ROOM_FOR_ONE)
def test_a_file_of_more_parts_fails_before_they_are_sent(place: Place) -> None:
    world = planned_from(place, jsonl(7) + TOO_LONG)

    assert failed(world) == "must have at most 200000 parts of 1000 rows or 1 MiB"
    assert world.parts == {}


def planned_from(place: Place, content: bytes) -> World:
    """Return the world in which a planner has cut a file from a place to its end."""
    world = world_of(bytes(place.offset) + content)
    world.imports[world.drop.import_id] = Import(world.drop, NOW, place=place)
    world.deliver(world.queue.popleft())
    return world


@pytest.mark.parametrize("point", range(1, 40))
def test_a_failed_import_reports_just_the_rows_it_counted(point: int) -> None:
    world = world_of(jsonl(item(1), 7) + TOO_LONG + jsonl(item(2), 7))

    def give_up() -> None:
        if world.imports:
            fail(world.drop.import_id, "given up", world, world, NOW)
        raise Killed

    world.happens[point] = give_up
    world.run()
    first = totals(world), world.summary["state"]
    world.run_again()
    assert (totals(world), world.summary["state"]) == first


def test_parts_that_come_after_an_import_failed_change_nothing() -> None:
    world = world_of(LONG_FILE)
    world.deliver(world.queue.popleft())
    world.deliver(world.queue.popleft())
    fail(world.drop.import_id, "part 2 could not be stored", world, world, NOW)
    before = world.summary, dict(world.held)
    world.run()

    assert failed(world) == "part 2 could not be stored"
    assert (world.summary, world.held) == before


# Cutting


SIZES = st.one_of(st.integers(1, 3000), st.just(MAX_ROW_BYTES), st.just(MAX_ROW_BYTES + 1))
TABLES = st.lists(st.tuples(SIZES, st.integers(1, 1500)), max_size=6)


def records(table: list[tuple[int, int]]) -> list[Record]:
    """Return records of hardly a content, of given sizes so many times; some are blank."""
    return [
        Record(b"x" * (size % 2) if size <= MAX_ROW_BYTES else None, size)
        for size, times in table
        for _ in range(times if size <= 3000 else 1)
    ]


@given(TABLES)
def test_parts_are_small_and_follow_one_another(table: list[tuple[int, int]]) -> None:
    found = records(table)
    place, sent = Place(), 0
    for part in cut(found, place):
        cut_up = found[part.place.row - 1 :][: part.rows]
        sizes = [record.size for record in cut_up]
        sent += any(record.content != b"" for record in cut_up)
        assert part.place == place
        assert part.end == place.offset + sum(sizes)
        assert 1 <= part.rows <= ROWS_PER_PART
        assert sum(sizes) <= BYTES_PER_PART or part.rows == 1
        assert part.too_long == (sizes[0] > MAX_ROW_BYTES)
        place = after(part)
    assert place == Place(1 + sent, sum(record.size for record in found), 1 + len(found))


@given(TABLES)
def test_parts_are_the_same_from_every_place_where_one_begins(table: list[tuple[int, int]]) -> None:
    found = records(table)
    whole = list(cut(found, Place()))

    for index, part in enumerate(whole):
        assert list(cut(found[part.place.row - 1 :], part.place)) == whole[index:]
