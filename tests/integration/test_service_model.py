"""Random calls, repeats, faults and clocks against a model of the contract, on a real engine.

Each machine has another organization. Its calls go through the entry point that is deployed and the
app of their route; only the time of the receipt is the model's.
"""

import inspect
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from consents import wiring
from consents.capture import bulk_consents
from consents.capture.ledger import Ledger
from consents.domain.organization import Scope
from consents.domain.record import Receipt, StoredRecord
from consents.domain.token_bucket import TICKS_PER_SECOND
from consents.http import endpoint as http
from consents.http import json_api
from consents.http.request import Request
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.integration import contract_model
from tests.integration.conftest import NewTenant, Tenant
from tests.integration.contract_model import (
    ATTESTED,
    BULK_CONSENTS,
    NOT_AN_OBJECT,
    OWNED,
    PHONE_NUMBER,
    SINGLE,
    Call,
    Draft,
    Entry,
    Expected,
    Faults,
    Kept,
    Model,
)
from tests.integration.invocation import ROOT, Response
from tests.integration.watched import handlers_client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


MACHINES = settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # it measures the machine, not the test
)

START = datetime(2026, 4, 26, 12, tzinfo=UTC)
CONTACTS = ["+15554440001", "+15554440002", "+447911123456"]
SENDERS = [PHONE_NUMBER, "12345", "MG" + "0" * 32]
STATEMENTS_PER_CALL = 25
PLENTY = 900_000

EVENTS = {
    ATTESTED: "capture_consents.mixed",
    BULK_CONSENTS: "create_bulk_consents.two_items",
    SINGLE: "capture_consent.accepted",
}
PLACES = {
    ("BatchExecuteStatement", "LedgerTable"): "ledger",
    ("Query", "LedgerTable"): "reads",
    ("UpdateItem", "RateLimitsTable"): "bucket",
    ("GetItem", "RateLimitsTable"): "level",
    ("PutItem", "IdempotencyTable"): "claim",
    ("UpdateItem", "IdempotencyTable"): "completion",
    ("DeleteItem", "IdempotencyTable"): "release",
}
"""Where a call of the client's can fail."""


class Http200:
    status_code = 200


@dataclass
class Invocation:
    """The context of an invocation whose time a fault can end."""

    milliseconds: int = PLENTY
    aws_request_id: str = "the invocation's"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


class Injector:
    """Makes the handlers' client fail as a test says, before its calls reach the engine."""

    def __init__(self, spare: "DynamoDBClient") -> None:
        self._spare = spare
        self.faults = Faults()
        self.invocation = Invocation()
        self.meanwhile: Callable[[], None] | None = None
        self.bucket_drawn = False
        self.hits: Counter[str] = Counter()
        self._throttled = False

    def begin(self, faults: Faults, meanwhile: Callable[[], None] | None) -> Invocation:
        self.faults, self.meanwhile = faults, meanwhile
        self.invocation = Invocation()
        self.bucket_drawn = self._throttled = False
        return self.invocation

    def __call__(self, operation: str, parameters: dict[str, Any]) -> Any:
        table = parameters.get("TableName", "LedgerTable")
        place = PLACES.get((operation, table), "")
        fault = self._fault(place)
        if fault:
            self.hits[f"{place} {fault}"] += 1
        if fault == "dead":
            self.invocation.milliseconds = 0 if place == "ledger" else PLENTY
            raise ConnectTimeoutError(endpoint_url="-")
        if fault == "bug":
            raise RuntimeError("a bug")
        if fault in ("lost once", "lost for good"):
            self._apply(operation, parameters, place)
            if fault == "lost for good":
                self.invocation.milliseconds = 0 if place == "ledger" else PLENTY
                raise ReadTimeoutError(endpoint_url="-")
            return None  # the call that now goes out is the client's own repeat
        if place == "ledger" and fault:
            return self._some_fail(parameters["Statements"], fault)
        if place == "ledger" and self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            self.hits["meanwhile"] += 1
            meanwhile()
        return None

    def _fault(self, place: str) -> str | None:
        if place in ("ledger", "reads"):
            is_for_reads = self.faults.ledger == "reads dead"
            if is_for_reads or place == "reads":
                return "dead" if is_for_reads and place == "reads" else None
            return self.faults.ledger
        if place in ("bucket", "level"):
            fault = self.faults.bucket
            return fault if place == "bucket" or fault == "dead" else None
        if self.faults.key and place and self.faults.key.startswith(place):
            return self.faults.key.removeprefix(f"{place} ")
        return None

    def _apply(self, operation: str, body: dict[str, Any], place: str) -> None:
        calls: dict[str, Callable[..., Any]] = {
            "BatchExecuteStatement": self._spare.batch_execute_statement,
            "DeleteItem": self._spare.delete_item,
            "PutItem": self._spare.put_item,
            "UpdateItem": self._spare.update_item,
        }
        try:
            calls[operation](**body)
        except ClientError:
            return
        self.bucket_drawn |= place == "bucket"

    def _some_fail(self, statements: list[Any], fault: str) -> Any:
        """Let the statements of the victim fail, and the others through."""
        needle = "#text#" if fault == "texts refused" else f"#{self.faults.victim}"
        doomed = [needle in str(statement["Parameters"]) for statement in statements]
        if fault == "throttled once" and (self._throttled or not any(doomed)):
            return None
        self._throttled = self._throttled or any(doomed)
        if fault == "throttled for good" and any(doomed):
            self.invocation.milliseconds = 0
        others = [each for each, is_doomed in zip(statements, doomed, strict=True) if not is_doomed]
        done: Iterator[Any] = iter(
            self._spare.batch_execute_statement(Statements=others)["Responses"] if others else []
        )
        code = "ThrottlingError" if fault.startswith("throttled") else "AccessDenied"
        error = {"Error": {"Code": code, "Message": "-"}}
        return Http200(), {"Responses": [error if each else next(done) for each in doomed]}


@dataclass
class World:
    """What the machines share: the engine, its ledger, and the handler of each route."""

    new_tenant: NewTenant
    dynamodb: "DynamoDBClient"
    ledger: Ledger
    injector: Injector
    stored: Counter[str]
    seen: Counter[str]

    def __post_init__(self) -> None:
        self.now = START
        options: dict[str, Any] = {
            "stores": wiring.stores(),
            "scope": Scope.WRITE,
            "max_bytes": 2**20,
        }
        cors = bulk_consents.cors_headers(wiring.allowed_origin())
        doors = {
            ATTESTED: http.endpoint(json_api, **options),
            BULK_CONSENTS: http.endpoint(bulk_consents, **options, headers=cors),
            SINGLE: http.endpoint(json_api, **options),
        }
        self._handlers = {route: door(self._timed(route)) for route, door in doors.items()}

    def _timed(self, route: str) -> Callable[[Request], Any]:
        app = inspect.unwrap(import_module(f"functions.{route}.app").handler)

        def received_at_the_models_time(request: Request) -> Any:
            request.receipt = Receipt(self.now, request.receipt.request_id)
            return app(request)

        return received_at_the_models_time

    def send(
        self, tenant: Tenant, call: Call, invocation: Invocation, *, spelling: int
    ) -> Response:
        event = json.loads((ROOT / "events" / f"{EVENTS[call.route]}.json").read_text())
        headers, fields = call.changes(encoded=spelling % 2 == 1, quoted=spelling % 3 == 1)
        caller = tenant.basic if call.route == BULK_CONSENTS else tenant.bearer
        event |= fields | {"headers": event["headers"] | caller | headers}
        raw = self._handlers[call.route](event, invocation)  # type: ignore[arg-type]
        return Response(raw["statusCode"], raw["headers"], raw["body"])

    def full_at(self, tenant: Tenant) -> int:
        item = self.dynamodb.get_item(
            TableName="RateLimitsTable", Key={"org_id": {"S": tenant.org_id}}, ConsistentRead=True
        ).get("Item")
        return int(item["full_at"]["N"]) if item else 0


@pytest.fixture
def world(new_tenant: NewTenant, dynamodb: "DynamoDBClient", ledger: Ledger) -> Iterator[World]:
    injector = Injector(dynamodb)
    with handlers_client().watch(injector):
        yield World(new_tenant, dynamodb, ledger, injector, Counter(), Counter())


SECONDS_FROM_NOW = [0, 0, -1, 1, 300, 300.000001, 299.999999, 86_400]
SECONDS_FROM_START = [-86_400, -1, 0, 0, 0, 1, 60, 240, 300, 420]
CLOCK_STEPS = [-600, -121, -61, -30, -1, -0.000001, 0.000001, 0.3, 1, 5, 20, 60, 61, 300, 3600]
FLAWS = ["sender", "contact", "status", "date", "proof", "name", NOT_AN_OBJECT]

LEDGER_FAULTS = [
    "throttled once",
    "throttled for good",
    "refused",
    "texts refused",
    "dead",
    "bug",
    "lost once",
    "lost for good",
    "reads dead",
]
PARTIAL_FAULTS = ["refused", "throttled for good", "throttled once", "lost for good"]
BUCKET_FAULTS = ["dead", "lost once", "lost for good"]
KEY_FAULTS = [
    "claim dead",
    "claim lost once",
    "claim lost for good",
    "completion dead",
    "completion lost once",
    "completion lost for good",
    "release dead",
    "release lost once",
    "release lost for good",
]


def seldom(values: list[str], one_in: int) -> st.SearchStrategy[str | None]:
    return st.integers(1, one_in).flatmap(
        lambda number: st.sampled_from(values) if number == one_in else st.none()
    )


faults = st.builds(
    Faults,
    ledger=seldom(LEDGER_FAULTS, 3),
    victim=st.sampled_from(CONTACTS[:2]),
    bucket=seldom(BUCKET_FAULTS, 8),
    key=seldom(KEY_FAULTS, 5),
)
dates: st.SearchStrategy[tuple[str, float] | None] = st.one_of(
    st.none(),
    st.tuples(st.just("start"), st.sampled_from(SECONDS_FROM_START)),
    st.tuples(st.just("start"), st.sampled_from(SECONDS_FROM_START)),
    st.tuples(st.just("now"), st.sampled_from(SECONDS_FROM_NOW)),
)
records = st.fixed_dictionaries(
    {
        "contact": st.sampled_from(CONTACTS),
        "opted_in": st.booleans(),
        "date": dates,
        "sender": st.sampled_from(SENDERS),
        "name": st.sampled_from(["a", "b", "c"]),
        "spelling": st.integers(0, 9),
        "flaws": st.one_of(
            st.just(frozenset[str]()),
            st.just(frozenset[str]()),
            st.sampled_from(FLAWS).map(lambda flaw: frozenset([flaw])),
            st.frozensets(st.sampled_from(FLAWS), max_size=2),
        ),
    }
)
keys = st.sampled_from([None, "k1", "k2", "k3", "k4", "k5"])
spellings = st.integers(0, 5)
routes = st.sampled_from([ATTESTED, BULK_CONSENTS])

REPEATS = ["same", "same", "same", "other body", "other order", "no key", "other key"]


class Service(RuleBasedStateMachine):
    """One organization's calls, one after another."""

    calls: Bundle[Call] = Bundle("calls")
    limited: Bundle[tuple[Call, int]] = Bundle("limited")

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.tenant: Tenant
        self.model: Model
        self.last: Call | None = None
        self.consent_ids: dict[tuple[str, str], str] = {}

    @initialize(per_minute=st.sampled_from([100, 7, 11, 60, 97]))
    def open(self, per_minute: int) -> None:
        self.tenant = self.world.new_tenant(phone_number_id=OWNED, per_minute=per_minute)
        self.model = Model(per_minute, START)
        self.world.now = START

    @rule(
        target=calls,
        route=routes,
        batch=st.lists(records, min_size=1, max_size=6),
        key=keys,
        faults=faults,
        spelling=spellings,
    )
    def bulk(
        self, route: str, batch: list[Any], key: str | None, faults: Faults, spelling: int
    ) -> Call:
        if spelling % 2:
            batch = [*batch, batch[0] | {"name": "d"}]  # where it has a date, its id is no content
        call = Call(route, tuple(self.entry(route, record) for record in batch), key)
        self.check(call, faults, spelling)
        return call

    @rule(target=calls, record=records, key=keys, faults=faults, spelling=spellings)
    def single(self, record: Any, key: str | None, faults: Faults, spelling: int) -> Call:
        call = Call(SINGLE, (self.entry(SINGLE, record),), key)
        self.check(call, faults, spelling)
        return call

    @rule(
        target=calls,
        route=routes,
        count=st.sampled_from([0, 8, 13, 26, 60, 61, 101]),
        record=records,
        key=keys,
        faults=faults,
    )
    def large(self, route: str, count: int, record: Any, key: str | None, faults: Faults) -> Call:
        sound = record | {"flaws": frozenset()}
        batch = [
            sound | {"contact": f"+1555444{number:04}", "name": f"{sound['name']}{number % 40}"}
            for number in range(count)
        ]
        call = Call(route, tuple(self.entry(route, each) for each in batch), key)
        if count > STATEMENTS_PER_CALL and faults.ledger == "throttled for good":
            faults = replace(faults, ledger="refused")  # else it is chance which calls are begun
        if count > STATEMENTS_PER_CALL and faults.ledger == "lost for good":
            faults = replace(faults, ledger="lost once")
        self.check(call, faults, 0)
        return call

    @rule(
        target=calls,
        call=calls,
        how=st.sampled_from(REPEATS),
        faults=faults,
        spelling=spellings,
    )
    def repeat(self, call: Call, how: str, faults: Faults, spelling: int) -> Any:
        changed = {
            "same": call,
            "other body": replace(call, padding=" "),
            "other order": replace(call, entries=call.entries[::-1]),
            "no key": replace(call, key=None),
            "other key": replace(call, key="k9"),
        }[how]
        if len(call.entries) > STATEMENTS_PER_CALL:
            faults = Faults()
        self.check(changed, faults, spelling)
        return multiple() if changed == call else changed

    @precondition(lambda self: self.last is not None)
    @rule(spelling=spellings)
    def repeat_at_once(self, spelling: int) -> None:
        """Send the last call again, as a client does that has heard nothing."""
        if self.last is not None:
            self.check(self.last, Faults(), spelling)

    @rule(route=routes, record=records, key=keys, fault=st.sampled_from(PARTIAL_FAULTS))
    def repeat_what_was_stored_in_part(
        self, route: str, record: Any, key: str | None, fault: str
    ) -> None:
        sound = record | {"flaws": frozenset()}
        batch = [sound | {"contact": contact, "name": contact} for contact in CONTACTS]
        call = Call(route, tuple(self.entry(route, each) for each in batch), key)
        self.check(call, Faults(ledger=fault, victim=CONTACTS[1]), 0)
        self.check(call, Faults(), 0)

    @rule(call=calls, seconds=st.sampled_from([-30, -61, -121, -600]))
    def repeat_under_a_clock_that_was_set_back(self, call: Call, seconds: int) -> None:
        unkeyed = replace(call, key=None)
        self.check(unkeyed, Faults(), 0)
        self.step(seconds)
        self.check(unkeyed, Faults(), 0)

    @rule(target=limited, call=calls)
    def repeat_until_refused(self, call: Call) -> Any:
        """Call without a key until the allowance is spent."""
        unkeyed = replace(call, key=None)
        for _ in range(4):
            expected = self.check(unkeyed, Faults(), 0)
            if expected.status == 429:
                assert expected.retry_after is not None
                return (unkeyed, expected.retry_after)
        return multiple()

    @rule(refusal=consumes(limited))
    def wait_as_told(self, refusal: tuple[Call, int]) -> None:
        """Once nobody else has drawn, waiting as long as the refusal said is enough."""
        call, _ = refusal
        expected = self.check(call, Faults(), 0)
        if expected.retry_after is None or expected.status != 429:
            return
        self.step(expected.retry_after)
        assert self.check(call, Faults(), 0).status != 429

    @precondition(lambda self: hasattr(self, "model"))
    @rule(seconds=st.sampled_from(CLOCK_STEPS))
    def step(self, seconds: float) -> None:
        self.model.now += timedelta(seconds=seconds)
        self.world.now = self.model.now

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        contacts = {kept.entry.contact for kept in self.model.ledger.values()}
        for contact in contacts | set(CONTACTS):
            self.check_contact(contact)
        for kept in self.model.ledger.values():
            if kept.entry.text is not None:
                text_hash = kept.entry.evidence["agreement_text_hash"]
                held = self.world.ledger.agreement_text(self.tenant.org_id, text_hash)
                assert held == kept.entry.text
        self.world.stored[self.tenant.org_id] = len(self.model.ledger)

    def entry(self, route: str, record: Any) -> Entry:
        base, seconds = record["date"] or (None, 0)
        if route != BULK_CONSENTS and base is None and record["spelling"]:
            base = "start"  # a date is required there, and most calls shall be sound
        start = {"now": self.model.now, "start": START}.get(base or "")
        dated_at = start + timedelta(seconds=seconds) if start else None
        rest = {name: value for name, value in record.items() if name != "date"}
        draft = Draft(dated_at=dated_at, **rest)
        if route == BULK_CONSENTS:
            return contract_model.bulk_consents_entry(draft)
        return contract_model.attested_entry(draft)

    def check(self, call: Call, faults: Faults, spelling: int) -> Expected:
        """Make a call, and hold answer, bucket and ledger against the model's."""
        world, self.last = self.world, call
        twin = self.twin(call) if call.key and faults.ledger is None else None
        invocation = world.injector.begin(faults, twin)
        answer = world.send(self.tenant, call, invocation, spelling=spelling)
        was_drawn = world.injector.bucket_drawn
        world.injector.begin(Faults(), None)
        expected = self.model.take(
            call,
            faults,
            answer.headers["X-Request-Id"],
            answer.body,
            was_drawn=was_drawn,
        )
        self.check_answer(call, expected, answer, is_bucket_dead=faults.bucket == "dead")
        self.check_bucket()
        for contact in sorted({entry.contact for entry in call.entries})[-3:]:
            self.check_contact(contact)
        world.seen[f"{call.route} {expected.status}{' replayed' if expected.replayed else ''}"] += 1
        return expected

    def twin(self, call: Call) -> Callable[[], None]:
        def twin() -> None:
            """Make the same call while the first is storing its records."""
            answer = self.world.send(self.tenant, call, Invocation(), spelling=0)
            assert answer.status == 409
            assert answer.headers["Retry-After"] == "1"

        return twin

    def check_answer(
        self, call: Call, expected: Expected, answer: Response, *, is_bucket_dead: bool
    ) -> None:
        assert (answer.status, answer.body) == (expected.status, answer.body)
        body = answer.json
        if expected.code is not None:
            assert expected.code == (
                body["code"] if call.route == BULK_CONSENTS else body["error"]["code"]
            )
        elif call.route == SINGLE:
            consent_id = body.pop("consent_id")
            key = (call.entries[0].sender, call.entries[0].contact)
            assert self.consent_ids.setdefault(key, consent_id) == consent_id
            assert body == expected.body
        else:
            assert body == expected.body
        if expected.replayed and call.key:
            assert answer.body == self.model.keys[call.route, call.key].text
        assert answer.headers.get("Idempotent-Replayed") == ("true" if expected.replayed else None)
        retry_after = None if expected.retry_after is None else str(expected.retry_after)
        assert answer.headers.get("Retry-After") == retry_after
        per_minute, (left, reset) = self.model.per_minute, self.model.level()
        assert answer.headers["RateLimit-Policy"] == f'"records";q={per_minute};w=60'
        level = None if is_bucket_dead else f'"records";r={left};t={reset}'
        assert answer.headers.get("RateLimit") == level

    def check_bucket(self) -> None:
        """A record costs whole ticks: the stored number is a tick a record off at the most."""
        full_at = Fraction(self.world.full_at(self.tenant), TICKS_PER_SECOND)
        tolerance = Fraction(self.model.drawn, TICKS_PER_SECOND)
        assert 0 <= self.model.full_at - full_at <= tolerance

    def check_contact(self, contact: str) -> None:
        ledger, org_id = self.world.ledger, self.tenant.org_id
        history = ledger.history(org_id, contact)
        expected = self.model.history(contact)
        ranks = [(record.effective_at, str(record.status)) for record in history]
        assert ranks == sorted((kept.rank for kept in expected), reverse=True)
        assert sorted(map(shown, history), key=repr) == sorted(map(promised, expected), key=repr)
        for sender in {kept.entry.sender for kept in expected}:
            counts, kept_counts = (
                ledger.current(org_id, sender, contact),
                self.model.current(sender, contact),
            )
            assert counts is not None
            assert kept_counts is not None
            assert (counts.effective_at, str(counts.status)) == kept_counts.rank


def shown(record: StoredRecord) -> tuple[Any, ...]:
    return (
        str(record.wire),
        record.sender,
        record.contact,
        str(record.status),
        record.effective_at,
        record.received_at,
        record.request_id,
        sorted(record.evidence.items()),
        record.phone_number_id,
        record.correlation_id,
    )


def promised(kept: Kept) -> tuple[Any, ...]:
    entry = kept.entry
    return (
        "bulk-consents" if kept.route == BULK_CONSENTS else "attested",
        entry.sender,
        entry.contact,
        entry.status,
        contract_model.timestamp(kept.effective_at),
        contract_model.timestamp(kept.received_at),
        kept.request_id,
        sorted(entry.evidence.items()),
        entry.phone_number_id,
        entry.correlation_id,
    )


def test_the_service_does_what_the_model_of_its_contract_does(world: World) -> None:
    run_state_machine_as_test(partial(Service, world), settings=MACHINES)  # type: ignore[arg-type]

    pages = world.dynamodb.get_paginator("scan").paginate(
        TableName="LedgerTable", ProjectionExpression="pk", ConsistentRead=True
    )
    partitions = [item["pk"]["S"].split("#") for page in pages for item in page["Items"]]
    stored = Counter(org_id for org_id, kind, *_ in partitions if kind != "text")
    assert {org_id: stored[org_id] for org_id in world.stored} == world.stored
