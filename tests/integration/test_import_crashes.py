"""Imports whose functions crash before every call to AWS: redelivered messages do the rest."""

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from consents import wiring
from consents.imports import wiring as import_wiring
from consents.imports.drop import Drop

from tests.factories import NOW, RECEIPT, bulk_record, item_json, jsonl
from tests.integration.conftest import Invoke, Tenant
from tests.integration.drops import DROPS_BUCKET, TOO_LONG, Drops, created, run, sqs_event
from tests.integration.test_import_limits import items_of
from tests.integration.uploads import Api, uploaded
from tests.integration.watched import handlers_client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Crash(Exception):
    """The process ends here."""


class Crashes:
    """Ends a run of a function before its n-th call to AWS, counted from 1."""

    def __init__(self) -> None:
        self.before: int | None = None
        self.calls = 0
        self.crashed = False

    def __call__(self, **_: Any) -> None:
        self.calls += 1
        if self.crashed or self.calls == self.before:
            self.crashed = True  # and nothing that runs on in a thread reaches AWS
            raise Crash

    def run(self, function: str, body: str, before: int) -> bool:
        """Return whether a run ended before it came to this call."""
        self.before, self.calls, self.crashed = before, 0, False
        failed = run(function, sqs_event(body))
        crashed, self.before, self.crashed = self.crashed, None, False
        assert bool(failed) == crashed
        return not crashed

    def deliver(self, function: str, body: str) -> None:
        """Deliver a message again and again: each run comes one call further."""
        before = 1
        while not self.run(function, body, before):
            before += 1


@pytest.fixture
def crashes(engine: None) -> Iterator[Crashes]:  # noqa: ARG001 - it must be up
    """Crashes of the functions; their clients are made anew for no test."""
    crashes = Crashes()
    clients: dict[str, Any] = {
        "s3": import_wiring.bucket()._objects._client,
        "sqs": import_wiring._sqs(),
    }
    for service, client in clients.items():
        client.meta.events.register(f"before-call.{service}", crashes)
    with handlers_client().watch(crashes):
        yield crashes
    for service, client in clients.items():
        client.meta.events.unregister(f"before-call.{service}", crashes)


QUEUES = (("PLAN_QUEUE", "plan_import"), ("PART_QUEUE", "import_part"))


def deliver_all(drops: Drops, deliver: Callable[[str, str], None]) -> None:
    """Deliver all messages until there is no message left; a repeated one only once at a time."""
    pending = True
    while pending:
        pending = False
        for queue, function in QUEUES:
            for body in sorted(set(drops.receive(queue))):
                pending = True
                deliver(function, body)


def is_idle(dynamodb: "DynamoDBClient", org_id: str) -> bool:
    """Return whether nothing of an organization runs, waits or is open."""
    left = items_of(dynamodb, org_id)
    is_open = left.get("UPLOADS", {}).get("open", {"M": {}})["M"]
    waiting = [name for name in left if name.startswith("WAITING#")]
    return not waiting and not is_open and "running" not in left.get("RUNNING", {})


GOOD = jsonl(item_json(1), 7) + TOO_LONG
FILES = {
    "bulk-consents/a.jsonl": GOOD,
    "bulk-consents/b.jsonl.gz": gzip.compress(GOOD),
    "bulk-consents/c.csv": b"\xff",
    "bulk-consents/d.jsonl": b"",
}


def test_a_crash_before_any_call_leaves_no_import_stuck(
    drops: Drops, tenant: Tenant, invoke: Invoke, crashes: Crashes, dynamodb: "DynamoDBClient"
) -> None:
    files = [drops.put(tenant.org_id, name, content) for name, content in FILES.items()]
    api = Api(invoke, tenant)
    files.append(uploaded(api.announce(GOOD), GOOD))
    drops.send("PLAN_QUEUE", created(files[-1]))
    deliver_all(drops, crashes.deliver)

    totals = [drops.totals(file) for file in files]
    results = sorted((accepted + known, rejected) for _, accepted, known, rejected in totals)
    assert results == [(0, 0), (0, 0), (1, 2), (1, 2), (1, 2)]
    assert sum(accepted for _, accepted, _, _ in totals) == 1
    assert sorted(state for state, *_ in totals) == ["completed"] * 4 + ["failed"]
    assert is_idle(dynamodb, tenant.org_id)


class Crowd:
    """An organization with one free place, and a younger import that waits for one."""

    def __init__(self, org_id: str) -> None:
        self.org_id, self.running, self.waiting = org_id, {uuid4().hex, uuid4().hex}, uuid4().hex
        self.limits = import_wiring.limits()
        for import_id in self.running | {uuid4().hex}:
            self.limits.start(org_id, import_id, NOW)
            full = import_id
        self.limits.start(org_id, self.waiting, datetime(2999, 1, 1, tzinfo=UTC))
        self.limits.end(org_id, full, NOW)
        self.running = set(self.limits._running(org_id))

    def is_as_before(self, dynamodb: "DynamoDBClient") -> bool:
        """Return whether nothing more runs, waits or is open."""
        left = items_of(dynamodb, self.org_id)
        waiting = [item["waits"]["S"] for item in left.values() if "waits" in item]
        is_open = left.get("UPLOADS", {}).get("open", {"M": {}})["M"]
        running = set(left["RUNNING"]["running"]["SS"])
        return (running, waiting, is_open) == (self.running, [self.waiting], {})


type Prepare = Callable[[Drops, Drop], str]
"""Returns the message whose run crashes."""


def as_planned(drops: Drops, drop: Drop) -> str:
    """Return the message of S3."""
    (message,) = drops.receive("PLAN_QUEUE")
    assert drop.key
    return message


def as_last_part(drops: Drops, drop: Drop) -> str:
    """Return the last part of a file."""
    drops.plan()
    assert drop.key
    *others, last = drops.parts()
    for part in others:
        assert run("import_part", sqs_event(part)) == []
    return last


def as_part_of_a_deleted_object(drops: Drops, drop: Drop) -> str:
    """Return a part whose object is deleted."""
    part = as_last_part(drops, drop)
    drops.s3.delete_object(Bucket=DROPS_BUCKET, Key=drop.key, VersionId=drop.version)
    return part


CRASHES: dict[str, tuple[str, bytes, Prepare, tuple[str, int, int, int]]] = {
    "plan": ("plan_import", GOOD, as_planned, ("completed", 0, 1, 2)),
    "plan an unreadable file": ("plan_import", b"\xff\n", as_planned, ("failed", 0, 0, 0)),
    "plan an empty file": ("plan_import", b"", as_planned, ("completed", 0, 0, 0)),
    "import the last part": ("import_part", GOOD, as_last_part, ("completed", 0, 1, 2)),
    "import a deleted part": (
        "import_part",
        TOO_LONG + jsonl(item_json(1)),
        as_part_of_a_deleted_object,
        ("failed", 0, 0, 1),
    ),
    "fail a part": ("fail_import", TOO_LONG + GOOD, as_last_part, ("failed", 0, 1, 2)),
}


@pytest.mark.parametrize(
    ("function", "content", "prepare", "totals"), CRASHES.values(), ids=CRASHES
)
def test_redelivery_repairs_a_crash_before_any_call(
    drops: Drops,
    tenant: Tenant,
    crashes: Crashes,
    dynamodb: "DynamoDBClient",
    function: str,
    content: bytes,
    prepare: Prepare,
    totals: tuple[str, int, int, int],
) -> None:
    wiring.ledger().append(tenant.org_id, [bulk_record(item_json(1))], RECEIPT, lambda: 60.0)
    crowd = Crowd(tenant.org_id)
    for before in count(1):
        drop = drops.put(tenant.org_id, f"bulk-consents/{before}.jsonl", content)
        message = prepare(drops, drop)
        list(drops.receive("PLAN_QUEUE"))
        was_whole = crashes.run(function, message, before)
        if not was_whole:
            assert run(function, sqs_event(message)) == []
        for part in drops.parts():
            assert run("import_part", sqs_event(part)) == []

        state, *counts = drops.totals(drop)
        assert (state, *counts) == totals
        assert crowd.is_as_before(dynamodb)
        following = set(drops.receive("PLAN_QUEUE"))
        assert [json.loads(body)["import_id"] for body in following] == [crowd.waiting]
        if was_whole:
            assert before > 5
            return


def test_a_crash_leaves_no_open_upload_longer_than_its_link(
    drops: Drops,  # noqa: ARG001 - it empties the queues
    tenant: Tenant,
    invoke: Invoke,
    crashes: Crashes,
    dynamodb: "DynamoDBClient",
) -> None:
    api = Api(invoke, tenant)
    statuses = []
    for before in range(1, 20):
        crashes.before, crashes.calls, crashes.crashed = before, 0, False
        statuses.append(api.post().status)
        if statuses[-1] == 201:
            break
    crashes.before, crashes.crashed = None, False

    assert set(statuses[:-1]) <= {500}
    opened = items_of(dynamodb, tenant.org_id)["UPLOADS"]["open"]["M"]
    listed = [one["import_id"] for one in api.page()["imports"]]
    assert len(opened) <= len(listed) + 2  # each crashed after it was counted, and expires
    assert set(listed) <= set(opened)
