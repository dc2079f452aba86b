"""Limits of an organization's imports on a real engine: exact in races, and nothing stays stuck."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ConnectionClosedError
from consents import wiring
from consents.aws.dynamodb import Table
from consents.aws.sqs import MAX_DELAY_SECONDS
from consents.domain.errors import TooManyUploads
from consents.imports import wiring as import_wiring
from consents.imports.api import describe
from consents.imports.drop import Drop
from consents.imports.limits import MAX_OPEN_UPLOADS, MAX_RUNNING, Limits
from consents.imports.planner import POLL_SECONDS, Planner

from tests.factories import NOW, item_json, jsonl
from tests.integration.conftest import NewTenant, Tenant
from tests.integration.drops import TOO_LONG, Drops, run, sqs_event
from tests.integration.faults import BreakCall, Http
from tests.integration.watched import Watched, handlers_client
from tests.integration.workers import at_once

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RACERS = 16
HOUR = timedelta(hours=1)


@pytest.fixture
def limits(tables: Watched) -> Limits:
    """The limits, with a client that no fault is injected into."""
    return Limits(Table(tables, "ImportsTable"))


@pytest.fixture
def all_limits(engine: None) -> list[Limits]:  # noqa: ARG001 - it must be up
    """As many users of the limits as there are racers."""
    return [Limits(Table(handlers_client(), "ImportsTable")) for _ in range(RACERS)]


def new_id() -> str:
    """Return the id of an import that no other test uses."""
    return uuid4().hex


def items_of(dynamodb: "DynamoDBClient", org_id: str) -> dict[str, Any]:
    """Return the items of an organization's limits by their names."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName="ImportsTable",
        KeyConditionExpression="import_id = :org",
        ExpressionAttributeValues={":org": {"S": f"ORG#{org_id}"}},
        ConsistentRead=True,
    )
    return {item["item"]["S"]: dict(item) for page in pages for item in page["Items"]}


# ---------------------------------------------------------------- Open uploads


def opens(limits: Limits, org_id: str, now: datetime = NOW) -> bool:
    """Open an upload, and return whether the limit allowed it."""
    try:
        limits.open_upload(org_id, new_id(), now, now + HOUR)
    except TooManyUploads:
        return False
    return True


def fill(dynamodb: "DynamoDBClient", org_id: str, count: int, expires_at: datetime) -> list[str]:
    """Let an organization have so many open uploads, and return their ids."""
    ids = [new_id() for _ in range(count)]
    at = f"{expires_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    dynamodb.put_item(
        TableName="ImportsTable",
        Item={
            "import_id": {"S": f"ORG#{org_id}"},
            "item": {"S": "UPLOADS"},
            "open": {"M": {import_id: {"S": at} for import_id in ids}},
        },
    )
    return ids


def test_the_hundred_and_first_open_upload_is_rejected(limits: Limits, org_id: str) -> None:
    assert [opens(limits, org_id) for _ in range(MAX_OPEN_UPLOADS + 1)] == [True] * 100 + [False]


@pytest.mark.parametrize("free", [0, 1, 7])
def test_racing_announcements_open_exactly_the_free_uploads(
    all_limits: list[Limits], dynamodb: "DynamoDBClient", org_id: str, free: int
) -> None:
    fill(dynamodb, org_id, MAX_OPEN_UPLOADS - free, NOW + HOUR)

    opened = at_once(*(partial(opens, limits, org_id) for limits in all_limits * 2))
    assert opened.count(True) == free
    assert len(items_of(dynamodb, org_id)["UPLOADS"]["open"]["M"]) == MAX_OPEN_UPLOADS


def test_first_announcements_at_once_are_all_opened(
    all_limits: list[Limits], dynamodb: "DynamoDBClient", org_id: str
) -> None:
    assert all(at_once(*(partial(opens, limits, org_id) for limits in all_limits)))
    assert len(items_of(dynamodb, org_id)["UPLOADS"]["open"]["M"]) == RACERS


def test_too_many_uploads_are_rejected_until_the_first_link_expires(
    limits: Limits, dynamodb: "DynamoDBClient", org_id: str
) -> None:
    fill(dynamodb, org_id, MAX_OPEN_UPLOADS - 1, NOW + HOUR)
    limits.open_upload(org_id, new_id(), NOW, NOW + timedelta(seconds=90.5))

    with pytest.raises(TooManyUploads) as raised:
        limits.open_upload(org_id, new_id(), NOW, NOW + HOUR)
    assert (raised.value.limit, raised.value.retry_after) == (MAX_OPEN_UPLOADS, 91)
    later = NOW + timedelta(seconds=91)
    assert [opens(limits, org_id, later) for _ in range(2)] == [True, False]


def test_racing_announcements_replace_exactly_the_expired_ones(
    all_limits: list[Limits], dynamodb: "DynamoDBClient", org_id: str
) -> None:
    fill(dynamodb, org_id, MAX_OPEN_UPLOADS, NOW)

    assert all(at_once(*(partial(opens, limits, org_id) for limits in all_limits * 2)))
    assert len(items_of(dynamodb, org_id)["UPLOADS"]["open"]["M"]) == 2 * RACERS


def test_no_expression_of_expired_uploads_is_over_4_kb(
    limits: Limits, tables: Watched, dynamodb: "DynamoDBClient", org_id: str
) -> None:
    fill(dynamodb, org_id, MAX_OPEN_UPLOADS, NOW)
    lengths: list[int] = []

    def measure(operation: str, parameters: dict[str, Any]) -> None:
        if operation == "UpdateItem":
            lengths.append(len(parameters["UpdateExpression"]))

    with tables.watch(measure):
        assert opens(limits, org_id)
    assert max(lengths) <= 4096


def test_a_closed_upload_is_open_no_longer(
    limits: Limits, dynamodb: "DynamoDBClient", org_id: str
) -> None:
    first, *_ = fill(dynamodb, org_id, MAX_OPEN_UPLOADS, NOW + HOUR)
    for _ in range(2):
        limits.close_upload(org_id, first)

    assert [opens(limits, org_id) for _ in range(2)] == [True, False]
    limits.close_upload("org_without_uploads", first)
    assert items_of(dynamodb, "org_without_uploads") == {}


def test_the_last_upload_with_a_lost_response_is_opened_once(
    limits: Limits, dynamodb: "DynamoDBClient", org_id: str
) -> None:
    fill(dynamodb, org_id, MAX_OPEN_UPLOADS - 1, NOW + HOUR)
    http: Any = dynamodb._endpoint.http_session  # type: ignore[attr-defined]
    send, lost = http.send, iter([True])

    def send_and_lose(request: Any) -> Any:
        response = send(request)
        if next(lost, False):
            raise ConnectionClosedError(endpoint_url=request.url)
        return response

    http.send = send_and_lose
    assert [opens(limits, org_id) for _ in range(2)] == [True, False]


# ---------------------------------------------------------------- Running imports


def test_of_16_imports_at_once_three_run(
    all_limits: list[Limits], dynamodb: "DynamoDBClient", org_id: str
) -> None:
    ids = [new_id() for _ in range(RACERS)]

    started = at_once(
        *(
            partial(limits.start, org_id, import_id, NOW)
            for limits, import_id in zip(all_limits, ids, strict=True)
        )
    )
    running = items_of(dynamodb, org_id)["RUNNING"]["running"]["SS"]
    assert sorted(count for count in started if count) == [1, 2, 3]
    assert set(running) == {ids[at] for at, count in enumerate(started) if count}


def test_waiting_imports_start_oldest_first(limits: Limits, org_id: str) -> None:
    ids = [new_id() for _ in range(8)]
    begun = {import_id: NOW + timedelta(seconds=at) for at, import_id in enumerate(ids)}
    first, waiting = ids[:MAX_RUNNING], ids[MAX_RUNNING:]
    for import_id in [*first, *waiting[::-1]]:
        limits.start(org_id, import_id, begun[import_id])

    for ended, following in zip(ids, waiting, strict=False):
        assert limits.end(org_id, ended, begun[ended]) == [following]
        newer = new_id()
        assert limits.start(org_id, newer, NOW + HOUR) == 0  # it does not overtake
        limits.end(org_id, newer, NOW + HOUR)
        assert limits.start(org_id, following, begun[following]) == MAX_RUNNING


def test_starting_or_ending_an_import_again_changes_nothing(
    limits: Limits, dynamodb: "DynamoDBClient", org_id: str
) -> None:
    ids = [new_id() for _ in range(5)]
    for _ in range(3):
        counts = [limits.start(org_id, import_id, NOW) for import_id in ids]
    assert counts == [3, 3, 3, 0, 0]

    assert [limits.end(org_id, ids[0], NOW) for _ in range(2)] == [[min(ids[3:])]] * 2
    for import_id in ids:
        limits.end(org_id, import_id, NOW)
    assert {name for name in items_of(dynamodb, org_id) if name != "RUNNING"} == set()
    assert "running" not in items_of(dynamodb, org_id)["RUNNING"]


class Race:
    """Imports of one organization that racers start and end until none is left."""

    def __init__(self, org_id: str, ids: list[str]) -> None:
        self.org_id = org_id
        self.messages: SimpleQueue[str] = SimpleQueue()
        for import_id in ids:
            self.messages.put(import_id)
        self.begun = {import_id: NOW + timedelta(seconds=at) for at, import_id in enumerate(ids)}
        self.ended: set[str] = set()
        self.running: set[str] = set()
        self.most = 0
        self._lock = Lock()

    def take_part(self, limits: Limits) -> None:
        """Deliver all plan messages; each started import ends at once."""
        while not self.messages.empty():
            try:
                import_id = self.messages.get_nowait()
            except Empty:  # another racer took the last one
                return
            if import_id in self.ended or limits.start(
                self.org_id, import_id, self.begun[import_id]
            ):
                with self._lock:
                    self.running |= {import_id} - self.ended
                    self.most = max(self.most, len(self.running))
                with self._lock:
                    self.running.discard(import_id)
                    self.ended.add(import_id)
                for following in limits.end(self.org_id, import_id, self.begun[import_id]):
                    self.messages.put(following)


@pytest.mark.parametrize("imports", [4, 7])
def test_no_waiting_import_is_forgotten_when_starts_and_ends_race(
    all_limits: list[Limits], dynamodb: "DynamoDBClient", imports: int
) -> None:
    for _ in range(10):
        race = Race(f"org_{new_id()}", [new_id() for _ in range(imports)])
        at_once(*(partial(race.take_part, limits) for limits in all_limits[:6]))
        race.take_part(all_limits[0])  # what came last, after the racers had looked

        assert race.ended == set(race.begun)
        assert race.most <= MAX_RUNNING
        left = items_of(dynamodb, race.org_id)
        assert set(left) <= {"RUNNING"}
        assert "running" not in left.get("RUNNING", {})


# ---------------------------------------------------------------- Parts per day


def test_racing_planners_take_exactly_the_parts_of_a_day(
    all_limits: list[Limits], org_id: str
) -> None:
    taken = at_once(
        *(
            partial(limits.take_parts, org_id, 1 + at % 7, 40, NOW)
            for at, limits in enumerate(all_limits)
        )
    )
    assert sum(taken) == 40
    assert all(0 <= count <= 1 + at % 7 for at, count in enumerate(taken))
    assert all_limits[0].take_parts(org_id, 5, 43, NOW) == 3  # after the bound was raised
    assert all_limits[0].take_parts(org_id, 5, 40, NOW + timedelta(days=1)) == 5
    assert all_limits[0].take_parts(org_id, 5, 0, NOW) == 0


# ---------------------------------------------------------------- Planned through the functions


@pytest.fixture
def new_planner() -> Callable[[int], Planner]:
    """Make a planner with a window."""

    def new_planner(window: int) -> Planner:
        return Planner(
            import_wiring.bucket(),
            import_wiring.imports(),
            import_wiring.limits(),
            wiring.directory(),
            import_wiring.queues(),
            import_wiring.reporter(),
            window=window,
        )

    return new_planner


def many_parts(pairs: int) -> bytes:
    """Return a file of twice as many parts of one row: a valid one, then one that is too long."""
    return b"".join(jsonl(item_json(number)) + TOO_LONG for number in range(pairs))


def state(drop: Drop) -> str:
    """Return the state of an import in the API."""
    found = import_wiring.imports().get(drop.import_id)
    return str(describe(found, datetime.now(UTC), [])["state"])


def outstanding(drop: Drop) -> int:
    """Return how many parts are released and not done."""
    found = import_wiring.imports().get(drop.import_id)
    return found.released - found.parts_done


def plan_again(drops: Drops, planner: Planner) -> None:
    """Plan each import that has a message in the queue once."""
    for body in set(drops.receive("PLAN_QUEUE")):
        import_id = body.split('"')[3]
        found = import_wiring.imports().get(import_id)
        planner.plan(found.drop, lambda: datetime.now(UTC), lambda: True)


def test_five_files_run_three_at_a_time_oldest_first(drops: Drops, tenant: Tenant) -> None:
    files = []
    for number in range(5):
        content = jsonl(item_json(number))
        files.append(drops.put(tenant.org_id, f"bulk-consents/{number}.jsonl", content))
        drops.plan()
    states = ["importing"] * 3 + ["queued"] * 2
    assert [state(file) for file in files] == states

    parts = drops.parts()
    for done, part in enumerate(parts, 1):
        assert run("import_part", sqs_event(part)) == []
        drops.plan()  # the next one was sent a message when this one ended
        states = ["completed"] * done + ["importing"] * 3 + ["queued"] * 2
        assert [state(file) for file in files] == states[:5]
    drops.finish()
    assert [drops.totals(file) for file in files] == [("completed", 1, 0, 0)] * 5
    assert set(drops.groups) == {tenant.org_id}


def test_a_failed_import_starts_the_next_one(drops: Drops, tenant: Tenant) -> None:
    files = [drops.put(tenant.org_id, f"bulk-consents/{n}.csv", b"\xff") for n in range(3)]
    running = [
        drops.put(tenant.org_id, f"bulk-consents/{n}.jsonl", jsonl(item_json(n))) for n in range(4)
    ]
    drops.finish()

    assert [state(file) for file in files] == ["failed"] * 3
    assert [state(file) for file in running] == ["completed"] * 4


def test_organizations_do_not_wait_for_each_other(drops: Drops, new_tenant: NewTenant) -> None:
    busy, other = new_tenant(), new_tenant()
    files = [
        drops.put(busy.org_id, f"bulk-consents/{n}.jsonl", jsonl(item_json(n))) for n in range(4)
    ]
    files.append(drops.put(other.org_id, "bulk-consents/a.jsonl", jsonl(item_json(1))))
    drops.plan()

    states = [state(file) for file in files]
    assert (sorted(states[:4]), states[4]) == (["importing"] * 3 + ["queued"], "importing")


@pytest.mark.parametrize("window", [1, 4])
def test_released_parts_never_exceed_the_window(
    drops: Drops, tenant: Tenant, new_planner: Callable[[int], Planner], window: int
) -> None:
    planner = new_planner(window)
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", many_parts(6))
    list(drops.receive("PLAN_QUEUE"))
    planner.plan(drop, lambda: datetime.now(UTC), lambda: True)

    parts: list[str] = []
    for done in range(12):
        parts += drops.parts()
        assert len(parts) == outstanding(drop) == min(window, 12 - done)
        assert run("import_part", sqs_event(parts.pop(0))) == []
        plan_again(drops, planner)
    assert drops.totals(drop) == ("completed", 6, 0, 6)
    assert set(drops.delays) == {0, POLL_SECONDS}


def test_racing_planners_of_one_import_never_exceed_the_window(
    drops: Drops, tenant: Tenant, new_planner: Callable[[int], Planner]
) -> None:
    planner = new_planner(4)
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", many_parts(6))
    list(drops.receive("PLAN_QUEUE"))

    def plan() -> None:
        planner.plan(drop, lambda: datetime.now(UTC), lambda: True)

    parts: set[str] = set()  # some are sent twice
    for _ in range(4):
        at_once(*[plan] * 4)
        parts |= set(drops.parts())
        assert outstanding(drop) <= 4
        for _ in range(3):
            assert run("import_part", sqs_event(parts.pop())) == []
    assert drops.totals(drop) == ("completed", 6, 0, 6)


def test_running_imports_share_the_window(
    drops: Drops, tenant: Tenant, new_planner: Callable[[int], Planner]
) -> None:
    planner = new_planner(6)
    files = [
        drops.put(tenant.org_id, f"bulk-consents/{name}.jsonl", many_parts(4)) for name in "abc"
    ]
    list(drops.receive("PLAN_QUEUE"))
    for file in files:
        planner.plan(file, lambda: datetime.now(UTC), lambda: True)
    assert [outstanding(file) for file in files] == [6, 3, 2]  # as each found it when it started

    first = {body for body in drops.parts() if files[0].import_id in body}
    for part in sorted(first):
        assert run("import_part", sqs_event(part)) == []
        plan_again(drops, planner)
        assert outstanding(files[0]) <= max(2, 5)
    assert outstanding(files[0]) == 2  # a third of the window
    for file in files:
        import_wiring.reporter().fail(file.import_id, "stopped by the test", NOW)


def test_beyond_the_daily_bound_an_import_waits_for_the_next_day(
    drops: Drops, new_tenant: NewTenant, new_planner: Callable[[int], Planner]
) -> None:
    tenant, planner = new_tenant(parts_per_day=3), new_planner(100)
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", many_parts(2))
    list(drops.receive("PLAN_QUEUE"))
    now = datetime(2999, 5, 1, 23, 50, tzinfo=UTC)

    planner.plan(drop, lambda: now, lambda: True)
    assert len(drops.parts()) == 3
    assert drops.delays[-1] == 601
    found = import_wiring.imports().get(drop.import_id)
    described = describe(found, now, [])
    assert described["state"] == "queued"
    assert described["reason"].endswith("continues 2999-05-02")

    planner.plan(drop, lambda: now - timedelta(hours=9), lambda: True)
    assert (drops.parts(), drops.delays[-1]) == ([], MAX_DELAY_SECONDS)
    planner.plan(drop, lambda: now + timedelta(minutes=10), lambda: True)
    assert len(drops.parts()) == 1
    found = import_wiring.imports().get(drop.import_id)
    assert describe(found, now, [])["state"] == "importing"


def test_racing_imports_release_exactly_the_parts_of_a_day(
    drops: Drops, new_tenant: NewTenant, new_planner: Callable[[int], Planner]
) -> None:
    tenant, planner = new_tenant(parts_per_day=7), new_planner(12)
    files = [
        drops.put(tenant.org_id, f"bulk-consents/{name}.jsonl", many_parts(2)) for name in "abc"
    ]
    list(drops.receive("PLAN_QUEUE"))

    def plan(drop: Drop) -> None:
        planner.plan(drop, lambda: NOW, lambda: True)

    for _ in range(2):
        at_once(*(partial(plan, file) for file in files))
    assert len(drops.parts()) == 7


@pytest.fixture
def broken_sqs(break_sqs: BreakCall) -> list[bool]:
    """A flag that lets SQS reject all messages while it is set."""
    broken = [False]
    rejected = {"Id": "0", "SenderFault": False, "Code": "InternalError"}
    break_sqs(
        "SendMessageBatch", lambda **_: (Http(200), {"Failed": [rejected]}) if broken[0] else None
    )
    return broken


def test_a_message_to_the_next_import_that_failed_is_sent_again(
    drops: Drops, tenant: Tenant, broken_sqs: list[bool]
) -> None:
    files = [
        drops.put(tenant.org_id, f"bulk-consents/{n}.jsonl", jsonl(item_json(n))) for n in range(4)
    ]
    drops.plan()
    part, *_ = drops.parts()
    broken_sqs[0] = True
    assert run("import_part", sqs_event(part)) == ["m0"]
    broken_sqs[0] = False
    assert run("import_part", sqs_event(part)) == []
    drops.plan()

    assert sorted(state(file) for file in files) == ["completed"] + ["importing"] * 3
