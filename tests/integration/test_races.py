"""Many callers at the same moment: one key is one call, a bucket holds what it holds."""

import json
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from consents import wiring
from consents.aws.client import Boto3Client, Client
from consents.aws.dynamodb import Table
from consents.capture.ledger import Ledger
from consents.domain.errors import RateLimited
from consents.domain.record import Receipt, Status
from consents.domain.token_bucket import Level
from consents.http.rate_limits import RateLimits

from tests.integration.callers import (
    BULK,
    BULK_CONSENTS,
    COUNTED,
    DEMO_PHONE_NUMBER_ID,
    EVENTS,
    SINGLE,
    all_stored,
    body,
    code,
    contacts,
    full_at,
    headers,
    is_final,
    is_replay,
    item,
    let_time_pass,
    must_wait,
    record,
    stored,
    until_final,
    was_drawn,
)
from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.watched import handlers_client
from tests.integration.workers import TRANSPORTS, Worker, at_once

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CALLERS, THREADS = 32, 64
NOON = datetime(2026, 4, 26, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def workers(engine: None) -> Iterator[list[Worker]]:  # noqa: ARG001 - it must be up
    """As many processes as there are callers, none on its first call, half over each transport."""
    workers = [Worker(transport=TRANSPORTS[number % 2]) for number in range(CALLERS)]
    for worker in workers:
        assert worker.invoke(BULK, {"Authorization": "Bearer nobody"}).status == 401
    yield workers
    for worker in workers:
        worker.close()


@pytest.fixture
def tenant(new_tenant: NewTenant) -> Tenant:
    return new_tenant(phone_number_id=DEMO_PHONE_NUMBER_ID)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize("event", EVENTS)
def test_32_requests_with_one_key_are_one_execution(
    workers: list[Worker],
    invoke: Invoke,
    calls: list[str],
    tenant: Tenant,
    dynamodb: "DynamoDBClient",
    event: str,
) -> None:
    before = [worker.calls.count("BatchExecuteStatement") for worker in workers]
    each = [
        partial(caller, event, headers(tenant, event))
        for caller in (invoke, *(worker.invoke for worker in workers[1:]))
    ]

    answers = at_once(*each)
    (done,) = (answer for answer in answers if is_final(answer) and not is_replay(answer))
    assert [a for a in answers if not (is_final(a) or must_wait(a, event))] == []
    finals = [until_final(call) for call in each]
    shown = [answer for answer in answers if is_final(answer)] + finals
    assert {(answer.status, answer.body) for answer in shown} == {(done.status, done.body)}
    assert all(is_replay(answer) for answer in finals)

    (only,) = stored(dynamodb, tenant.org_id)
    assert only["request_id"]["S"] == done.headers["X-Request-Id"]
    after = [worker.calls.count("BatchExecuteStatement") for worker in workers]
    wrote = [b - a for a, b in zip(before, after, strict=True) if b > a]
    ours = calls.count("BatchExecuteStatement")
    assert wrote + [ours] * (ours > 0) == [1 if event == BULK_CONSENTS else 2]  # a text goes first
    assert was_drawn(full_at(dynamodb, tenant.org_id), [only], COUNTED[event], 60_000)


@pytest.mark.parametrize("event", EVENTS)
def test_of_bodies_with_one_key_one_is_stored(
    workers: list[Worker], tenant: Tenant, dynamodb: "DynamoDBClient", event: str
) -> None:
    bodies = [body(event, tenant, number // 4, 1000 + number // 4) for number in range(CALLERS)]
    each = [
        partial(worker.invoke, event, headers(tenant, event), body=sent)
        for worker, sent in zip(workers, bodies, strict=True)
    ]

    answers = at_once(*each)
    ((winner, done),) = (
        (sent, answer)
        for sent, answer in zip(bodies, answers, strict=True)
        if is_final(answer) and not is_replay(answer)
    )
    reused = (422, 20001 if event == BULK_CONSENTS else "IDEMPOTENCY_KEY_REUSED")
    for sent, answer in zip(bodies, answers, strict=True):
        if sent == winner:
            assert must_wait(answer, event) or (answer.status, answer.body) == (
                done.status,
                done.body,
            )
        else:
            assert must_wait(answer, event) or (answer.status, code(answer)) == reused

    for sent, call in zip(bodies, each, strict=True):
        answer = until_final(call)
        if sent == winner:
            assert (is_replay(answer), answer.body) == (True, done.body)
        else:
            assert (answer.status, code(answer)) == reused
    first = bodies.index(winner) // 4
    won = [first] if event == SINGLE else [first, 1000 + first]
    found = all_stored(dynamodb, tenant.org_id)
    assert contacts(found) == [f"+1555000{number:04}" for number in won]
    assert was_drawn(full_at(dynamodb, tenant.org_id), found, len(won), 60_000)


def test_one_key_on_3_routes_of_2_organizations_is_6_executions(
    workers: list[Worker], new_tenant: NewTenant, dynamodb: "DynamoDBClient"
) -> None:
    tenants = [new_tenant(phone_number_id=DEMO_PHONE_NUMBER_ID, per_minute=6) for _ in range(2)]
    scopes = [(event, tenant) for event in EVENTS for tenant in tenants] * 5
    each = [
        partial(worker.invoke, event, headers(tenant, event))
        for worker, (event, tenant) in zip(workers, scopes, strict=False)
    ]

    answers = at_once(*each)
    shown = [until_final(call) for call in each]
    for scope in scopes[:6]:
        mine = [answer for s, answer in zip(scopes, answers, strict=True) if s == scope]
        assert len([answer for answer in mine if is_final(answer) and not is_replay(answer)]) == 1
        bodies = {answer.body for s, answer in zip(scopes, shown, strict=True) if s == scope}
        assert len(bodies) == 1
    for tenant in tenants:
        found = stored(dynamodb, tenant.org_id)
        assert len(found) == 3
        assert was_drawn(full_at(dynamodb, tenant.org_id), found, sum(COUNTED.values()), 6)


@pytest.mark.parametrize("event", EVENTS)
def test_of_32_requests_after_a_crash_with_their_key_one_runs(
    workers: list[Worker], tenant: Tenant, dynamodb: "DynamoDBClient", event: str
) -> None:
    cut_off(workers[0], event, headers(tenant, event))
    let_time_pass(dynamodb, seconds=30)
    each = [partial(worker.invoke, event, headers(tenant, event)) for worker in workers]

    answers = at_once(*each)
    (done,) = (answer for answer in answers if is_final(answer) and not is_replay(answer))
    assert [a for a in answers if not (is_final(a) or must_wait(a, event))] == []
    assert {until_final(call).body for call in each} == {done.body}
    (only,) = stored(dynamodb, tenant.org_id)
    assert only["request_id"]["S"] == done.headers["X-Request-Id"]
    assert was_drawn(full_at(dynamodb, tenant.org_id), [only], COUNTED[event], 60_000)


def cut_off(worker: Worker, event: str, sent: dict[str, str]) -> None:
    """Let a worker's process end when it has the key, and nothing else."""

    def end(operation: str, **_: Any) -> None:
        if operation == "UpdateItem":
            raise SystemExit

    with worker.client.watch(end), pytest.raises(SystemExit):
        worker.invoke(event, sent)


@pytest.mark.parametrize("key", [None, "own"])
@pytest.mark.parametrize("event", EVENTS)
def test_32_equal_requests_without_one_key_store_one_record(
    workers: list[Worker], tenant: Tenant, dynamodb: "DynamoDBClient", event: str, key: str | None
) -> None:
    keys = [key and f"{key} {number}" for number in range(CALLERS)]

    answers = at_once(
        *(
            partial(worker.invoke, event, headers(tenant, event, key))
            for worker, key in zip(workers, keys, strict=True)
        )
    )
    assert {is_final(answer) and not is_replay(answer) for answer in answers} == {True}
    (only,) = stored(dynamodb, tenant.org_id)
    received = {answer.headers["X-Request-Id"] for answer in answers}
    assert only["request_id"]["S"] in received
    if event == SINGLE:
        assert len({answer.json["consent_id"] for answer in answers}) == 1
        assert False in {answer.json["already_opted_in"] for answer in answers}
    else:
        assert len({answer.body for answer in answers}) == 1


def test_overlapping_batches_at_once_leave_each_record_once(
    workers: list[Worker], tenant: Tenant, dynamodb: "DynamoDBClient"
) -> None:
    calls = [
        partial(
            worker.invoke,
            event := (BULK, BULK_CONSENTS)[number % 2],
            headers(tenant, event, None),
            body=body(event, tenant, *range(number, number + 24)),
        )
        for number, worker in enumerate(workers)
    ]

    answers = at_once(*calls)
    assert [answer.status for answer in answers] == [200, 201] * (CALLERS // 2)
    assert [
        answer.json["accepted"]
        if "accepted" in answer.json
        else [each["error_code"] for each in answer.json["items"]].count(0)
        for answer in answers
    ] == [24] * CALLERS
    found = all_stored(dynamodb, tenant.org_id)
    for wire, sent in (("attested", range(54)), ("bulk-consents", range(1, 55))):
        on_wire = [item for item in found if item["wire"]["S"] == wire]
        assert contacts(on_wire) == [f"+1555000{number:04}" for number in sent]


def test_an_opt_out_beats_an_opt_in_of_the_same_instant(
    workers: list[Worker], tenant: Tenant, ledger: Ledger
) -> None:
    opt_in = json.dumps({"records": [record(tenant, 1)]})
    stop = urlencode([("Items", json.dumps(item(tenant, 1, status="opt-out")))])

    answers = at_once(
        *(
            partial(worker.invoke, BULK, tenant.bearer, body=opt_in)
            if number % 2
            else partial(worker.invoke, BULK_CONSENTS, tenant.basic, body=stop)
            for number, worker in enumerate(workers)
        )
    )
    assert all(is_final(answer) for answer in answers)
    assert len(ledger.history(tenant.org_id, "+15550000001")) == 2
    current = ledger.current(tenant.org_id, tenant.phone_number, "+15550000001")
    assert current is not None
    assert current.status == Status.OPT_OUT


def test_both_apis_at_once_spend_from_one_bucket(
    workers: list[Worker], new_tenant: NewTenant, dynamodb: "DynamoDBClient"
) -> None:
    tenant = new_tenant(per_minute=7)
    events = [EVENTS[number % 3] for number in range(CALLERS)]
    started = time.monotonic()

    answers = at_once(
        *(
            partial(
                worker.invoke,
                event,
                headers(tenant, event, None),
                body=body(event, tenant, number),
            )
            for number, (event, worker) in enumerate(zip(events, workers, strict=True))
        )
    )
    admitted = [number for number, answer in enumerate(answers) if is_final(answer)]
    refilled = (time.monotonic() - started) * 7 / 60
    assert 7 <= len(admitted) <= 7 + 1 + refilled
    found = contacts(all_stored(dynamodb, tenant.org_id))
    assert found == [f"+1555000{number:04}" for number in admitted]
    refused = [answer for answer in answers if not is_final(answer)]
    assert {answer.status for answer in refused} == {429}
    assert all(1 <= int(answer.headers["Retry-After"]) <= 9 for answer in refused)


@pytest.fixture(scope="module")
def clients(engine: None) -> list[Client]:  # noqa: ARG001 - it must be up
    """Clients of several processes, half over each transport."""
    boto3 = [Boto3Client(lambda: wiring.boto3_dynamodb()) for _ in range(4)]
    return [*boto3, *(handlers_client().client for _ in range(4))]


type Outcome = Level | RateLimited


class Bucket:
    """An organization's bucket, drawn on from several clients under a clock of the test's."""

    def __init__(self, clients: list[Client], per_minute: int, org_id: str | None = None) -> None:
        self.org_id = org_id or f"org_{uuid4().hex}"
        self.per_minute = per_minute
        self._doors = [RateLimits(Table(client, "RateLimitsTable")) for client in clients]

    def spend(self, records: int, at: datetime, door: int = 0) -> Outcome:
        """Return the level after the draw, or the refusal."""
        limits = self._doors[door % len(self._doors)]
        try:
            return limits.spend(self.org_id, records, self.per_minute, Receipt(at, uuid4().hex))
        except RateLimited as refused:
            return refused

    def race(self, *draws: tuple[int, datetime]) -> list[Outcome]:
        """Draw records at an instant, all draws at the same moment."""
        return at_once(*(partial(self.spend, *draw, door) for door, draw in enumerate(draws)))

    def admitted(self, at: datetime) -> int:
        """Return how many of 64 calls at the same moment, of one record each, are admitted."""
        return sum(isinstance(outcome, Level) for outcome in self.race(*[(1, at)] * THREADS))

    def holds(self, records: int, at: datetime) -> bool:
        """Return whether the bucket holds exactly so many records, by spending them."""
        if records and isinstance(self.spend(records, at), RateLimited):
            return False
        return isinstance(self.spend(1, at), RateLimited)


type NewBucket = Callable[[int], Bucket]


@pytest.fixture
def new_bucket(clients: list[Client]) -> NewBucket:
    return partial(Bucket, clients)


@pytest.mark.parametrize("idle_for", [None, 60, 86_400])
@pytest.mark.parametrize(("per_minute", "wait"), [(7, 9), (50, 2), (60, 1)])
def test_64_threads_get_exactly_the_records_of_the_bucket(
    new_bucket: NewBucket, per_minute: int, wait: int, idle_for: int | None
) -> None:
    bucket = new_bucket(per_minute)
    if idle_for:
        bucket.spend(per_minute, NOON - seconds(idle_for))

    outcomes = bucket.race(*[(1, NOON)] * THREADS)
    left = [outcome.left for outcome in outcomes if isinstance(outcome, Level)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
    assert sorted(left) == list(range(per_minute))  # every record was somebody's
    assert {(each.retry_after, each.level.left) for each in refused} == {(wait, 0)}


@pytest.mark.parametrize(
    ("per_minute", "waited", "refilled"),
    [
        (7, 8.571428, 0),
        (7, 8.571429, 1),
        (7, 30, 3),
        (50, 1.199999, 0),
        (50, 1.2, 1),
        (50, 31, 25),
        (60, 0.999999, 0),
        (60, 1, 1),
        (60, 59.999999, 59),
    ],
)
def test_an_empty_bucket_admits_exactly_what_was_refilled(
    new_bucket: NewBucket, per_minute: int, waited: float, refilled: int
) -> None:
    bucket = new_bucket(per_minute)
    bucket.spend(per_minute, NOON)

    assert bucket.admitted(NOON + seconds(waited)) == refilled
    assert bucket.holds(per_minute - refilled, NOON + seconds(60))  # no record is lost


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("per_minute", [7, 50, 60])
def test_mixed_batches_leave_less_than_the_smallest_rejected_one(
    new_bucket: NewBucket, per_minute: int, seed: int
) -> None:
    sizes = random.Random(seed).choices(range(1, 8), k=THREADS)
    bucket = new_bucket(per_minute)

    outcomes = bucket.race(*((size, NOON) for size in sizes))
    refused = [
        size
        for size, outcome in zip(sizes, outcomes, strict=True)
        if isinstance(outcome, RateLimited)
    ]
    left = per_minute - (sum(sizes) - sum(refused))
    assert 0 <= left < min(refused)
    assert bucket.holds(left, NOON)


def test_clocks_that_differ_admit_no_more_than_is_refilled(
    new_bucket: NewBucket,
) -> None:
    instants = [NOON + seconds(number / THREADS) for number in range(THREADS)]
    bucket = new_bucket(50)

    outcomes = bucket.race(*((1, at) for at in instants))
    admitted = sum(isinstance(outcome, Level) for outcome in outcomes)
    assert 49 <= admitted <= 50  # a second refills less than one, and costs less than one


@pytest.mark.parametrize("late", [0, 0.25, 1])
@pytest.mark.parametrize("records", [1, 3, 7])
@pytest.mark.parametrize("per_minute", [7, 50, 60, 60_000])
def test_retry_after_is_exact_to_the_second(
    new_bucket: NewBucket, per_minute: int, records: int, late: float
) -> None:
    bucket = new_bucket(per_minute)
    bucket.spend(per_minute, NOON)
    refused = bucket.spend(records, (shown := NOON + seconds(late)))
    if isinstance(refused, Level):
        assert late * per_minute / 60 >= records
        return

    wait = refused.retry_after
    assert wait is not None
    if wait > 1:
        assert isinstance(bucket.spend(records, shown + seconds(wait - 1)), RateLimited)
    assert isinstance(bucket.spend(records, shown + seconds(wait)), Level)


@pytest.mark.parametrize(
    ("drawn", "back"), [(60, 1), (60, 59), (60, 3_600), (60, 86_400), (1, 1), (1, 59), (1, 3_600)]
)
def test_a_clock_that_steps_back_costs_at_most_two_windows(
    new_bucket: NewBucket, drawn: int, back: int
) -> None:
    bucket = new_bucket(60)
    bucket.spend(drawn, NOON)
    now = NOON - seconds(back)

    outcomes = bucket.race(*[(1, now)] * THREADS)
    admitted = sum(isinstance(outcome, Level) for outcome in outcomes)
    assert admitted <= 60 - drawn
    (wait,) = {outcome.retry_after for outcome in outcomes if isinstance(outcome, RateLimited)}
    assert wait is not None
    assert wait <= 120
    assert isinstance(bucket.spend(1, now + seconds(wait)), Level)
    assert bucket.holds(60, now + seconds(240))


def test_two_organizations_at_once_have_separate_buckets(
    new_bucket: NewBucket, dynamodb: "DynamoDBClient"
) -> None:
    ours, theirs, idle = new_bucket(7), new_bucket(50), new_bucket(60)

    outcomes = at_once(
        *(partial((ours, theirs)[door % 2].spend, 1, NOON, door) for door in range(2 * THREADS))
    )
    admitted = [isinstance(outcome, Level) for outcome in outcomes]
    assert (sum(admitted[::2]), sum(admitted[1::2])) == (7, 50)
    assert full_at(dynamodb, idle.org_id) is None
