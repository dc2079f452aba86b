"""The stores of imports in dicts, and processes that may be killed or run again at any step."""

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from consents.domain.organization import Credential, Organization
from consents.domain.outcome import InsertResult
from consents.domain.record import ConsentRecord, Receipt
from consents.imports.drop import Drop
from consents.imports.import_state import Counts, Import, PendingUpload, Place
from consents.imports.limits import MAX_RUNNING
from consents.imports.parts import Part
from consents.imports.planner import PARTS_PER_CHECKPOINT, Planner
from consents.imports.reporter import PARTS_PER_CHUNK, Reporter
from consents.imports.rows import MAX_ROW_BYTES, UnreadableFile
from consents.imports.worker import RowsNotStored, Worker

from tests.factories import ITEM, NOW, ORG_ID, OWNED, SENDER, drop, item_json, jsonl, organization

PIECE = 1024 * 1024
SECONDS_LEFT = 60.0
SECONDS_PER_LOOK = 1
"""How far the clock goes on at each look: with 10, a slice ends after its first checkpoint."""

MAX_DELIVERIES = 5000

HEADER = b"correlation_id,sender_id,contact_id,status,source,date_of_consent,note\n"
TOO_LONG = b"x" * MAX_ROW_BYTES + b"\n"

type Message = Drop | str | tuple[str, Part]
"""A created object, an import to plan further, or a part to import."""


class Killed(Exception):
    """The process was killed."""


def kill() -> None:
    """Kill the process that makes the current call."""
    raise Killed


class Steps:
    """Counts the calls to all stores; an action may run before any of them, or after a named one.

    Nothing changes between the end of a call and the begin of the next: one step is enough.
    """

    def __init__(self) -> None:
        self.taken = 0
        self.at: dict[int, Callable[[], None]] = {}
        self.before: dict[str, Callable[[], None]] = {}
        self.after_call: dict[str, Callable[[], None]] = {}

    def take(self, call: str = "") -> None:
        self.taken += 1
        self.at.pop(self.taken, lambda: None)()
        self.before.pop(call, lambda: None)()

    def after(self, call: str) -> None:
        self.after_call.pop(call, lambda: None)()


class DictFiles:
    """The objects of imports."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.dropped: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}
        self.reads = 0

    def stream(self, drop: Drop, offset: int) -> Iterator[bytes]:
        if drop.key not in self.dropped:
            raise UnreadableFile("the object is gone")
        for start in range(offset, len(self.dropped[drop.key]), PIECE):
            self.steps.take("stream")
            yield self.dropped[drop.key][start : start + PIECE]

    def read_part(self, drop: Drop, part: Part) -> bytes:
        self.steps.take("read_part")
        self.reads += 1
        if drop.key not in self.dropped:
            raise UnreadableFile("the object is gone")
        if drop.is_gzip:
            return self.objects[drop.part_key(part.place.part)]
        return self.dropped[drop.key][part.place.offset : part.end]

    def write(self, key: str, content: bytes) -> None:
        self.steps.take("write")
        self.objects[key] = content

    def join(self, keys: Iterable[str], key: str, *, small: bool) -> None:
        self.steps.take("join")
        wanted = list(keys)
        assert not small or len(wanted) <= PARTS_PER_CHUNK
        self.objects[key] = b"".join(self.objects[one] for one in wanted)


class DictImports:
    """The progress of imports."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.announced: dict[str, PendingUpload] = {}
        self.begun: dict[str, Import] = {}
        self.cut: dict[str, dict[int, Part]] = {}
        self.done: dict[str, dict[int, Counts]] = {}
        self.most_out: dict[str, int] = {}
        """The most parts that were out at once, per organization."""

    def begin(self, drop: Drop, now: datetime) -> Import:
        self.steps.take("begin")
        announced = self.announced.get(drop.import_id)
        new = Import(drop, now, key_id=announced.key_id if announced else "", is_queued=True)
        return self.begun.setdefault(drop.import_id, new)

    def get(self, import_id: str) -> Import:
        self.steps.take()
        return self.begun[import_id]

    def start(self, import_id: str) -> None:
        self.steps.take("start")
        self._set(import_id, is_queued=False)

    def checkpoint(self, progress: Import, parts: Sequence[Part]) -> None:
        self.steps.take("checkpoint")
        import_id = progress.drop.import_id
        stored = self.cut.setdefault(import_id, {})
        for part in parts:
            bare = replace(part, content=b"")
            assert stored.setdefault(part.place.part, bare) == bare
        self.steps.take()  # the place is another item
        reached = self.begun[import_id]
        if progress.place.offset > reached.place.offset or reached.place == Place():
            self._set(import_id, place=progress.place, header=progress.header)

    def cut_parts(self, import_id: str, first: int, last: int) -> list[Part]:
        self.steps.take()
        return [self.cut[import_id][number] for number in range(first, last + 1)]

    def finish_cutting(self, import_id: str, parts: int) -> None:
        self.steps.take()
        assert self.begun[import_id].parts in (None, parts)
        self._set(import_id, parts=parts)

    def release(self, import_id: str, released: int) -> None:
        self.steps.take("release")
        found = self.begun[import_id]
        assert released <= found.parts_cut
        if released > found.released:
            self._set(import_id, released=released, paused_until=None)
        org_id = found.drop.org_id
        self.most_out[org_id] = max(self.most_out.get(org_id, 0), self.out(org_id))

    def out(self, org_id: str = ORG_ID) -> int:
        """Return how many parts of an organization are released and not done."""
        running = (one for one in self.begun.values() if one.drop.org_id == org_id)
        return sum(one.released - one.parts_done for one in running if one.outcome is None)

    def pause(self, import_id: str, until: datetime) -> None:
        self.steps.take()
        self._set(import_id, paused_until=until)

    def is_done(self, import_id: str, part: int) -> bool:
        self.steps.take()
        return part in self.done.get(import_id, {})

    def add(self, import_id: str, part: int, counts: Counts) -> bool:
        self.steps.take("add")
        found, done = self.begun[import_id], self.done.setdefault(import_id, {})
        is_added = part not in done and found.outcome is None
        if is_added:
            done[part] = counts
            total = _sum(found.counts, counts)
            self._set(import_id, counts=total, parts_done=found.parts_done + 1)
        return is_added

    def rejected_parts(self, import_id: str) -> list[int]:
        self.steps.take()
        done = self.done.get(import_id, {})
        return sorted(part for part, counts in done.items() if counts.rejected)

    def end(self, import_id: str, outcome: str, reason: str | None, now: datetime) -> Import:
        self.steps.take("end")
        if self.begun[import_id].outcome is None:
            self._set(import_id, outcome=outcome, reason=reason, finished_at=now)
        return self.begun[import_id]

    def keep_joined(self, import_id: str, chunks: int) -> None:
        self.steps.take()
        self._set(import_id, chunks_joined=max(chunks, self.begun[import_id].chunks_joined))
        self.steps.after("kept_joined")

    def keep_reported(self, import_id: str) -> None:
        self.steps.take()
        assert self.begun[import_id].outcome is not None
        self._set(import_id, is_reported=True)

    def _set(self, import_id: str, **changes: Any) -> None:
        self.begun[import_id] = replace(self.begun[import_id], **changes)


def _sum(one: Counts, other: Counts) -> Counts:
    codes = one.rejected.keys() | other.rejected.keys()
    rejected = {code: one.rejected.get(code, 0) + other.rejected.get(code, 0) for code in codes}
    return Counts(one.accepted + other.accepted, one.duplicates + other.duplicates, rejected)


class DictLimits:
    """The limits of each organization's imports."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.open_uploads: set[str] = set()
        self.running: dict[str, set[str]] = {}
        self.waiting: dict[str, dict[str, datetime]] = {}
        self.parts_taken: dict[tuple[str, str], int] = {}
        """Per organization and UTC day."""

    def close_upload(self, org_id: str, import_id: str) -> None:  # noqa: ARG002
        self.steps.take()
        self.open_uploads.discard(import_id)

    def start(self, org_id: str, import_id: str, begun_at: datetime) -> int:
        self.steps.take("limits.start")
        running = self.running.setdefault(org_id, set())
        waiting = self.waiting.setdefault(org_id, {})
        if import_id not in running:
            waiting[import_id] = begun_at
            self.steps.take()
            if import_id not in self._next(org_id):
                return 0
            running.add(import_id)
            del waiting[import_id]
        return len(running)

    def end(self, org_id: str, import_id: str, begun_at: datetime) -> list[str]:
        self.steps.take("limits.end")
        assert self.waiting.get(org_id, {}).pop(import_id, begun_at) == begun_at
        self.steps.take()
        self.running.setdefault(org_id, set()).discard(import_id)
        self.steps.take()
        return self._next(org_id)

    def _next(self, org_id: str) -> list[str]:
        waiting = self.waiting.get(org_id, {})
        oldest_first = sorted(waiting, key=lambda import_id: (waiting[import_id], import_id))
        return oldest_first[: MAX_RUNNING - len(self.running.get(org_id, ()))]

    def take_parts(self, org_id: str, parts: int, per_day: int, now: datetime) -> int:
        self.steps.take("take_parts")
        day = org_id, now.date().isoformat()
        taken = min(parts, per_day - self.parts_taken.get(day, 0))
        self.parts_taken[day] = self.parts_taken.get(day, 0) + taken
        return taken


class DictDirectory:
    """Organizations, credentials and senders."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.organizations: dict[str, Organization] = {}
        self.credentials: dict[tuple[str, str], Credential] = {}

    def organization(self, org_id: str) -> Organization | None:
        self.steps.take()
        return self.organizations.get(org_id)

    def credential(self, org_id: str, key_id: str) -> Credential | None:
        self.steps.take()
        return self.credentials.get((org_id, key_id))

    def senders(self, org_id: str, phone_number_ids: Iterable[str]) -> dict[str, str]:
        self.steps.take()
        owned = {OWNED: SENDER} if org_id == ORG_ID else {}
        return {name: owned[name] for name in phone_number_ids if name in owned}


class DictQueues:
    """The messages that are under way, by the instant at which each is due."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.now = NOW
        self.due: list[tuple[datetime, int, Message]] = []
        self.delays: list[int] = []
        """Of the plan messages that were sent."""
        self.parts: dict[tuple[str, int], Part] = {}
        self.sent_parts = 0
        self._numbers = count()

    def send_parts(self, drop: Drop, parts: Sequence[Part]) -> None:
        self.steps.take("send_parts")
        for part in parts:
            assert self.parts.setdefault((drop.import_id, part.place.part), part) == part
            self.sent_parts += 1
            self.push((drop.import_id, part))
            self.steps.take()

    def plan(self, org_id: str, import_id: str, *, delay: int = 0) -> None:  # noqa: ARG002
        self.steps.take("plan")
        self.delays.append(delay)
        self.push(import_id, delay)

    def push(self, message: Message, delay: int = 0) -> None:
        due = self.now + timedelta(seconds=delay)
        heapq.heappush(self.due, (due, next(self._numbers), message))

    def pop(self) -> Message:
        due, _, message = heapq.heappop(self.due)
        self.now = max(self.now, due)
        return message

    def pop_plan(self) -> Message:
        """Take the next message to a planner; the parts stay where they are."""
        (due, _, message), position = min(
            (entry, position)
            for position, entry in enumerate(self.due)
            if not isinstance(entry[2], tuple)
        )
        del self.due[position]
        heapq.heapify(self.due)
        self.now = max(self.now, due)
        return message

    def pop_part(self) -> Message:
        """Take the oldest part; the messages to planners stay where they are."""
        entries = [entry for entry in self.due if isinstance(entry[2], tuple)]
        self.due.remove(entries[0])
        heapq.heapify(self.due)
        return entries[0][2]

    def plans(self) -> list[str]:
        """Return the ids of the imports that a message sends to a planner."""
        return [
            message
            for _, _, message in sorted(self.due, key=lambda one: one[:2])
            if isinstance(message, str)
        ]


class DictLedger:
    """Records by their content, with the first receipt of each."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.held: dict[str, Receipt] = {}
        self.out_of_reach: set[str] = set()
        """Contacts whose records cannot be stored."""

    def append_rows(
        self,
        org_id: str,  # noqa: ARG002
        records: Sequence[ConsentRecord],
        receipts: Sequence[Receipt],
        time_left: Callable[[], float],
    ) -> list[InsertResult]:
        assert time_left() == SECONDS_LEFT
        for record, receipt in zip(records, receipts, strict=True):
            self.steps.take("append")
            if record.contact not in self.out_of_reach:
                self.held.setdefault(record.digest(), receipt)
        self.steps.take()
        holders = [self.held.get(record.digest()) for record in records]
        return [
            InsertResult.of(holder.request_id if holder else None, receipt.request_id)
            for holder, receipt in zip(holders, receipts, strict=True)
        ]


class World:
    """All that imports work with, and the processes that work on them."""

    def __init__(
        self,
        *,
        window: int = 80,
        checkpoint: int = PARTS_PER_CHECKPOINT,
        seconds_per_look: int = SECONDS_PER_LOOK,
    ) -> None:
        self.steps = Steps()
        self.files = DictFiles(self.steps)
        self.imports = DictImports(self.steps)
        self.limits = DictLimits(self.steps)
        self.directory = DictDirectory(self.steps)
        self.queues = DictQueues(self.steps)
        self.ledger = DictLedger(self.steps)
        self.drops: list[Drop] = []
        self.window = window
        self.checkpoint = checkpoint
        self.seconds_per_look = seconds_per_look
        self.has_time = True
        self.directory.organizations[ORG_ID] = organization()

    def put(self, content: bytes, name: str = "bulk-consents/may.jsonl", **of: Any) -> Drop:
        """Drop a file, and return it; its event is in the queue."""
        dropped = drop(name, **of)
        self.files.dropped[dropped.key] = content
        self.drops.append(dropped)
        self.queues.push(dropped)
        return dropped

    @property
    def drop(self) -> Drop:
        """The first file that was dropped."""
        return self.drops[0]

    def reached(self, of: Drop | None = None) -> Import:
        """Return the progress of an import."""
        return self.imports.begun[(of or self.drop).import_id]

    # ------------------------------------------------------------ Processes

    def clock(self) -> datetime:
        """Return the instant, and let some time pass."""
        self.queues.now += timedelta(seconds=self.seconds_per_look)
        return self.queues.now

    @property
    def planner(self) -> Planner:
        return Planner(
            self.files,
            self.imports,
            self.limits,
            self.directory,
            self.queues,
            self.reporter,
            window=self.window,
            checkpoint=self.checkpoint,
        )

    @property
    def worker(self) -> Worker:
        return Worker(self.files, self.imports, self.ledger, self.reporter, self.directory.senders)

    @property
    def reporter(self) -> Reporter:
        return Reporter(self.files, self.imports, self.limits, self.queues)

    def plan(self, of: Drop | None = None) -> None:
        """Run a planner on an import once."""
        self.planner.plan(of or self.drop, self.clock, lambda: self.has_time)

    def fail(self, reason: str) -> None:
        """Fail the first import, as the consumer of failed messages does."""
        self.reporter.fail(self.drop.import_id, reason, self.clock())

    def deliver(self, message: Message) -> None:
        """Handle a message in a process."""
        match message:
            case Drop():
                self.plan(message)
            case str():
                self.plan(self.imports.begun[message].drop)
            case import_id, part:
                self.worker.import_part(import_id, part, self.clock(), lambda: SECONDS_LEFT)
        self.steps.take()

    def deliver_next(self) -> None:
        """Handle the next message; it comes again where its process is killed."""
        message = self.queues.pop()
        try:
            self.deliver(message)
        except (Killed, RowsNotStored):
            self.queues.push(message)

    def run(self) -> None:
        """Handle messages until the queue is empty."""
        for _ in range(MAX_DELIVERIES):
            if not self.queues.due:
                return
            self.deliver_next()
        raise AssertionError("the messages never end")

    def run_again(self) -> None:
        """Handle all messages that there ever were once more, as other processes would."""
        for message in [*self.drops, *self.sent_parts()]:
            self.deliver(message)

    def sent_parts(self) -> list[Message]:
        """Return every part that was sent, each once."""
        return [(import_id, part) for (import_id, _), part in self.queues.parts.items()]

    # ------------------------------------------------------------ Reports

    def report(self, name: str, of: Drop | None = None) -> bytes:
        return self.files.objects[(of or self.drop).report_key(name)]

    def summary(self, of: Drop | None = None) -> dict[str, Any]:
        return dict(json.loads(self.report("summary.json", of)))

    def rejected(self, of: Drop | None = None) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.report("rejected.jsonl", of).splitlines()]

    def totals(self, of: Drop | None = None) -> tuple[int, int, int]:
        """Return the rows that were accepted, duplicates and rejected."""
        found = self.summary(of)
        assert found["rows"] == found["accepted"] + found["duplicates"] + found["rejected"]
        assert found["rejected"] == sum(found["rejected_by_code"].values())
        assert found["rejected"] == len(self.rejected(of))
        return found["accepted"], found["duplicates"], found["rejected"]

    def reason(self) -> str:
        """Return why the import failed."""
        assert self.summary()["state"] == "failed"
        return str(self.summary()["reason"])

    def end_state(self) -> Any:
        """Return all that must be the same, whatever happened during the imports."""
        assert all(one.is_reported for one in self.imports.begun.values())
        assert not any(self.limits.running.values())
        assert not any(self.limits.waiting.values())
        return (
            [
                {name: value for name, value in self.summary(one).items() if name[-3:] != "_at"}
                for one in self.drops
            ],
            [self.report("rejected.jsonl", one) for one in self.drops],
            self.ledger.held.keys(),
            sorted(self.queues.parts.items()),
        )


# ---------------------------------------------------------------- Files


def world_of(content: bytes, name: str = "bulk-consents/may.jsonl", **made: Any) -> World:
    """Return a world with one dropped file."""
    world = World(**made)
    world.put(content, name)
    return world


def imported(content: bytes, name: str = "bulk-consents/may.jsonl", **made: Any) -> World:
    """Return the world after the import of one file."""
    world = world_of(content, name, **made)
    world.run()
    return world


def csv_line(record: dict[str, Any], note: str = "") -> bytes:
    """Return a row of a CSV under `HEADER`."""
    return ",".join([*(record[name] for name in ITEM_COLUMNS), note]).encode() + b"\n"


ITEM_COLUMNS = HEADER.decode().strip().split(",")[:-1]
assert set(ITEM_COLUMNS) == set(ITEM)


def file_of_parts(parts: int, first: int = 0) -> bytes:
    """Return a file of so many parts, each with one item and blank lines."""
    return b"".join(jsonl(item_json(first + number)) + b"\n" * 999 for number in range(parts))
