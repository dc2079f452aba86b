"""Throttles, resets, silences and lost replies between the service and its tables.

The proxy before the tables injects them by rule; each worker's calls carry its name, so that one
test may break several workers in different ways at the same moment.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from consents.aws.dynamodb import MAX_CALL_SECONDS, MAX_WAIT_SECONDS, Table
from consents.domain import token_bucket
from consents.domain.record import Receipt
from consents.domain.token_bucket import Level
from consents.http.rate_limits import RateLimits
from consents.http.request import RESPONSE_SECONDS

from tests.busy import busy
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
    full_at,
    headers,
    is_final,
    is_replay,
    let_time_pass,
    must_wait,
    stored,
    until_final,
)
from tests.integration.conftest import NewTenant, Tenant
from tests.integration.fault_proxy import FAULTS, LOST_REPLY, REFUSED, Proxy, Rule, running_proxy
from tests.integration.faults import Http
from tests.integration.invocation import ROOT, Invocation, Response
from tests.integration.watched import handlers_client
from tests.integration.workers import NAME, TRANSPORTS, Worker, at_once

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PER_MINUTE = 60
BATCH = 60

WHOLE = 29_000
"""Milliseconds that an invocation has."""

NEARLY_OVER = 10_000


def brief() -> int:
    """Return milliseconds that leave the ledger a second or so for its tries."""
    reserved = 2 * MAX_CALL_SECONDS + MAX_WAIT_SECONDS + RESPONSE_SECONDS
    return int(1000 * (reserved + 1.5 * busy()))


LEDGER: Rule = {"operation": "BatchExecuteStatement"}
TEXTS: Rule = {
    "operation": "BatchExecuteStatement",
    "body": "contains(Statements[0].Statement, 'text')",
}
RECORDS: Rule = {
    "operation": "BatchExecuteStatement",
    "body": "contains(Statements[0].Statement, 'evidence')",
}
CLAIM: Rule = {"operation": "PutItem", "resource": "IdempotencyTable"}
COMPLETION: Rule = {"operation": "UpdateItem", "resource": "IdempotencyTable"}
RELEASE: Rule = {"operation": "DeleteItem", "resource": "IdempotencyTable"}
DRAW: Rule = {"operation": "UpdateItem", "resource": "RateLimitsTable"}
DRAW_WHILE_BUSY: Rule = DRAW | {"body": "contains(UpdateExpression, 'ADD')"}
DRAW_WHILE_IDLE: Rule = DRAW | {"body": "contains(UpdateExpression, ':full_at')"}
LEVEL: Rule = {"operation": "GetItem", "resource": "RateLimitsTable"}

SILENT: Rule = {"timeout_ms": 2_500}
LATE: Rule = {"latency": 2_500}
"""Longer than the client waits: what is silent does nothing, what is late does it afterwards."""


@pytest.fixture(scope="module")
def the_proxy(engine: None) -> Iterator[Proxy]:  # noqa: ARG001 - it stands before the engine
    with running_proxy() as proxy:
        yield proxy


@pytest.fixture
def proxy(the_proxy: Proxy) -> Iterator[Proxy]:
    the_proxy.forget()
    yield the_proxy
    the_proxy.mend()


@pytest.fixture(scope="module", params=TRANSPORTS)
def workers(the_proxy: Proxy, request: pytest.FixtureRequest) -> Iterator[list[Worker]]:
    """Processes that reach their tables through the proxy, none on its first call."""
    transport: str = request.param
    workers = [Worker(the_proxy.url, f"{transport}-{number:02}", transport) for number in range(18)]
    for worker in workers:
        assert worker.invoke(BULK, {"Authorization": "Bearer nobody"}).status == 401
    yield workers
    for worker in workers:
        worker.close()


@dataclass(frozen=True, eq=False)
class Case:
    """One call of one worker, which meets one fault."""

    worker: Worker
    tenant: Tenant
    event: str
    step: Rule
    dynamodb: "DynamoDBClient"

    def rule(self, fault: Rule, **others: Any) -> Rule:
        return self.step | fault | {"headers": {NAME: self.worker.name}} | others

    def call(self, milliseconds: int = WHOLE, **changes: Any) -> Response:
        sent = headers(self.tenant, self.event)
        return self.worker.invoke(self.event, sent, milliseconds, **changes)

    def stored(self) -> list[dict[str, Any]]:
        return stored(self.dynamodb, self.tenant.org_id)

    def full_at(self) -> int:
        return full_at(self.dynamodb, self.tenant.org_id) or 0

    def draw_before(self) -> int:
        """Draw on the bucket where the case wants a busy one; return when it is full."""
        if self.step is not DRAW_WHILE_IDLE:
            limits = RateLimits(Table(handlers_client(), "RateLimitsTable"))
            receipt = Receipt(datetime.now(UTC), uuid4().hex)
            limits.spend(self.tenant.org_id, 50, PER_MINUTE, receipt)  # busy for 50 s
        return self.full_at()

    def drawn_since(self, before: int) -> int:
        """Return how many records were drawn since, by the one call that stored something."""
        if not before:
            (only,) = {item["received_at"]["S"] for item in self.stored()}
            before = token_bucket.ticks(datetime.fromisoformat(only))
        return (self.full_at() - before) // token_bucket.cost(1, PER_MINUTE)


def wait_until(holds: Callable[[], bool], longest: float = 20) -> None:
    deadline = time.monotonic() + longest
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # between two looks, so that what is waited for gets on


type NewCases = Callable[..., list[Case]]


@pytest.fixture
def cases(workers: list[Worker], new_tenant: NewTenant, dynamodb: "DynamoDBClient") -> NewCases:
    """Make a case of each event and step, each with another worker and organization."""
    idle = iter(workers)

    def cases(events: Sequence[str], *steps: Rule, per_minute: int = PER_MINUTE) -> list[Case]:
        return [
            Case(
                next(idle),
                new_tenant(phone_number_id=DEMO_PHONE_NUMBER_ID, per_minute=per_minute),
                event,
                step,
                dynamodb,
            )
            for step in steps
            for event in events
        ]

    return cases


def all_at_once[T](cases: list[Case], check: Callable[[Case], T]) -> None:
    """Run a check on every case at the same moment."""

    def named(case: Case) -> None:
        try:
            check(case)
        except Exception as error:
            error.add_note(f"in {case.event}, where {case.step} is broken")
            raise

    at_once(*(partial(named, case) for case in cases))


def is_done(answer: Response) -> bool:
    """Return whether a response is of an event whose work was done now."""
    return is_final(answer) and not is_replay(answer)


def is_unavailable(answer: Response, event: str) -> bool:
    """Return whether a response says that storage is down and to repeat the request."""
    if answer.status != 503:
        return False
    named = code(answer) == (20503 if event == BULK_CONSENTS else "UNAVAILABLE")
    return named and int(answer.headers["Retry-After"]) >= 1


ANYWHERE = [TEXTS, RECORDS, CLAIM, COMPLETION, DRAW_WHILE_BUSY, DRAW_WHILE_IDLE]


@pytest.mark.parametrize("fault", REFUSED)
def test_a_transient_fault_is_not_noticed(cases: NewCases, proxy: Proxy, fault: str) -> None:
    met = cases([BULK], *ANYWHERE)
    proxy.break_calls(*(case.rule(REFUSED[fault], times=1) for case in met))

    all_at_once(met, is_done_once)
    assert len(proxy.fired()) == len(met)


def is_done_once(case: Case) -> None:
    before = case.draw_before()
    answer = case.call()
    assert is_done(answer)
    (only,) = case.stored()
    assert only["request_id"]["S"] == answer.headers["X-Request-Id"]
    assert case.drawn_since(before) == COUNTED[case.event]
    again = case.call()
    assert (is_replay(again), again.body) == (True, answer.body)
    assert case.drawn_since(before) == COUNTED[case.event]


def test_a_lost_response_is_not_noticed_and_nothing_runs_twice(
    cases: NewCases, proxy: Proxy
) -> None:
    met = cases([BULK, BULK_CONSENTS], RECORDS, COMPLETION, DRAW_WHILE_BUSY, DRAW_WHILE_IDLE)
    met += cases([SINGLE], TEXTS)
    proxy.break_calls(*(case.rule(LOST_REPLY, times=1) for case in met))

    all_at_once(met, is_done_once)
    assert len(proxy.fired()) == len(met)


def test_a_claim_with_a_lost_response_does_not_block_its_request(
    cases: NewCases, proxy: Proxy
) -> None:
    met = cases(EVENTS, CLAIM)
    proxy.break_calls(*(case.rule(LOST_REPLY, times=1) for case in met))

    all_at_once(met, is_done_once)
    assert len(proxy.fired()) == len(met)


def test_an_unanswered_claim_holds_its_key_until_its_timeout(cases: NewCases, proxy: Proxy) -> None:
    (case,) = cases([BULK], CLAIM)
    proxy.break_calls(case.rule(LOST_REPLY))  # that of the client's own repeats, too
    before = case.draw_before()

    assert is_unavailable(case.call(1_500), BULK)
    proxy.mend()
    assert is_done(until_final(case.call, longest=5))
    assert len(case.stored()) == 1
    assert case.drawn_since(before) == COUNTED[BULK]


def test_a_retried_spending_after_another_costs_at_most_twice(
    cases: NewCases, proxy: Proxy
) -> None:
    (case,) = cases([BULK], DRAW_WHILE_BUSY)
    proxy.break_calls(case.rule(LOST_REPLY, times=1))
    before = case.draw_before()
    limits = RateLimits(Table(handlers_client(), "RateLimitsTable"))

    drawn: list[Level] = []

    def draw_between(**_: Any) -> None:
        if proxy.fired() and not drawn:  # this is the repeat
            receipt = Receipt(datetime.now(UTC), uuid4().hex)
            drawn.append(limits.spend(case.tenant.org_id, 3, PER_MINUTE, receipt))

    case.worker.boto3.meta.events.register("before-send.dynamodb.UpdateItem", draw_between)
    answer = case.call()
    case.worker.boto3.meta.events.unregister("before-send.dynamodb.UpdateItem", draw_between)
    assert is_done(answer)
    assert case.drawn_since(before) in (COUNTED[BULK] + 3, 2 * COUNTED[BULK] + 3)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_table_that_is_down_is_503_and_a_repeat_does_it_all(
    cases: NewCases, proxy: Proxy, dynamodb: "DynamoDBClient", fault: str
) -> None:
    met = cases(EVENTS, LEDGER, CLAIM, DRAW)
    before = {case: case.draw_before() for case in met}
    proxy.break_calls(*(case.rule(FAULTS[fault]) for case in met))
    all_at_once(met, partial(gets_an_error_and_repeats, lost=fault == "a lost reply"))
    proxy.mend()

    if fault == "a lost reply":  # of a claim: it was made, and holds for the time of its call
        let_time_pass(dynamodb, seconds=30)
    all_at_once(met, is_done_with_the_repeat)
    for case in met:
        unheard = case.step is LEDGER or (case.step is DRAW and fault == "a lost reply")
        draws = 2 if unheard else 1
        assert case.drawn_since(before[case]) == draws * COUNTED[case.event]


def gets_an_error_and_repeats(case: Case, *, lost: bool) -> None:
    assert is_unavailable(case.call(brief()), case.event)
    assert lost or case.stored() == []


def is_done_with_the_repeat(case: Case) -> None:
    answer = case.call()
    assert is_done(answer)
    assert len(case.stored()) == 1
    again = case.call()
    assert (is_replay(again), again.body) == (True, answer.body)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_response_that_cannot_be_kept_is_returned_all_the_same(
    cases: NewCases, proxy: Proxy, dynamodb: "DynamoDBClient", fault: str
) -> None:
    met = cases(EVENTS, COMPLETION)
    proxy.break_calls(*(case.rule(FAULTS[fault]) for case in met))
    shown: dict[Case, Response] = {}
    all_at_once(met, lambda case: shown.update({case: case.call()}))
    proxy.mend()

    assert all(is_done(answer) for answer in shown.values())
    for case in met:
        again = case.call()
        assert must_wait(again, case.event) or (is_replay(again) and fault == "a lost reply")
    let_time_pass(dynamodb, seconds=30)
    for case in met:
        again = case.call()
        assert (again.status, len(case.stored())) == (shown[case].status, 1)
        assert is_same(case.event, again, shown[case])


def is_same(event: str, again: Response, first: Response) -> bool:
    """Return whether a response of repeated work is that of the first time."""
    if event == SINGLE:  # the contact had not opted in before the first
        return bool(again.json["consent_id"] == first.json["consent_id"])
    return again.body == first.body


@pytest.mark.parametrize("fault", FAULTS)
def test_a_429_is_returned_even_if_its_key_cannot_be_freed(
    cases: NewCases, proxy: Proxy, dynamodb: "DynamoDBClient", fault: str
) -> None:
    met = cases(EVENTS, RELEASE)
    drain(met)
    proxy.break_calls(*(case.rule(FAULTS[fault]) for case in met))
    all_at_once(met, is_over_the_limit)
    proxy.mend()
    for case in met:
        again = case.call()
        assert must_wait(again, case.event) or (again.status, fault) == (429, "a lost reply")

    let_time_pass(dynamodb, seconds=30)
    all_at_once(met, is_over_the_limit)
    all_at_once(met, is_over_the_limit)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_429_frees_its_key_even_if_the_first_try_fails(
    cases: NewCases, proxy: Proxy, fault: str
) -> None:
    met = cases(EVENTS, RELEASE)
    drain(met)
    proxy.break_calls(*(case.rule(FAULTS[fault], times=1) for case in met))

    all_at_once(met, is_over_the_limit)
    all_at_once(met, is_over_the_limit)
    assert len(proxy.fired()) == len(met)


def drain(cases: list[Case]) -> None:
    for case in cases:
        receipt = Receipt(datetime.now(UTC) + timedelta(seconds=59), uuid4().hex)
        limits = RateLimits(Table(handlers_client(), "RateLimitsTable"))
        limits.spend(case.tenant.org_id, PER_MINUTE, PER_MINUTE, receipt)


def is_over_the_limit(case: Case) -> None:
    answer = case.call()
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert case.stored() == []


def test_a_call_without_response_or_late_is_done_once(cases: NewCases, proxy: Proxy) -> None:
    silent, late = cases([BULK], *ANYWHERE), cases([BULK], *ANYWHERE)
    before = {case: case.draw_before() for case in silent + late}
    held_back = proxy.held_back()
    proxy.break_calls(
        *(case.rule(SILENT, times=1) for case in silent),
        *(case.rule(LATE, times=1) for case in late),
    )
    shown: dict[Case, Response] = {}
    all_at_once(silent + late, lambda case: shown.update({case: case.call()}))

    wait_until(lambda: proxy.held_back() == held_back + len(silent))
    for case in silent + late:
        assert is_done(shown[case])
        assert len(case.stored()) == 1
        assert case.drawn_since(before[case]) == COUNTED[BULK]
        again = case.call()
        assert (is_replay(again), again.body) == (True, shown[case].body)


SLOW: Rule = {"latency": 900}
EVERYTHING: Rule = {}


def test_a_response_is_in_time_whichever_call_hangs(
    cases: NewCases, proxy: Proxy, dynamodb: "DynamoDBClient"
) -> None:
    early = cases([BULK, BULK_CONSENTS], CLAIM, DRAW_WHILE_BUSY)
    ledger = cases([BULK, BULK_CONSENTS], RECORDS) + cases([BULK], TEXTS)
    kept = cases([BULK], COMPLETION, LEVEL)
    over = cases([BULK], RELEASE)
    slow = cases([BULK], EVERYTHING)
    met = early + ledger + kept + over + slow
    for case in met:
        case.draw_before()
        case.worker.invoke(BULK, case.tenant.bearer, body="{")  # the caller is known by now
        case.worker.invoke(BULK_CONSENTS, case.tenant.basic, body="")
    drain(over)
    proxy.break_calls(
        *(case.rule(SILENT) for case in early + ledger + kept + over),
        *(case.rule(RELEASE | SILENT) for case in ledger),
        *(case.rule(SLOW) for case in slow),
    )
    shown: dict[Case, Response] = {}

    def is_in_time(case: Case) -> None:
        context = Invocation(brief() if case in ledger + kept else NEARLY_OVER)
        sent = headers(case.tenant, case.event)
        shown[case] = case.worker.run(context, case.event, sent)
        assert context.get_remaining_time_in_millis() > 0

    all_at_once(met, is_in_time)
    proxy.mend()
    down = early + ledger + slow
    assert all(is_unavailable(shown[case], case.event) for case in down)
    assert all(is_done(shown[case]) for case in kept)
    assert [shown[case].status for case in over] == [429]

    let_time_pass(dynamodb, seconds=30)
    all_at_once(down, is_done_with_the_repeat)
    assert all(is_same(case.event, case.call(), shown[case]) for case in kept)


class PartialFault:
    """Lets some statements of a worker's ledger calls fail, and the others through."""

    def __init__(self, worker: Worker, contacts: set[str], code: str, *, stores: bool) -> None:
        self._contacts, self._code, self._stores = contacts, code, stores
        self._client = worker.client
        self._client.watchers.append(self._answer)

    def mend(self) -> None:
        self._client.watchers.remove(self._answer)

    def _answer(self, operation: str, parameters: dict[str, Any]) -> Any:
        if operation != "BatchExecuteStatement":
            return None
        statements = parameters["Statements"]
        fail = [each["Parameters"][0]["S"].split("#")[1] in self._contacts for each in statements]
        sent = [
            each for each, fails in zip(statements, fail, strict=True) if self._stores or not fails
        ]
        stored = (
            self._client.client.call(operation, {"Statements": sent})["Responses"] if sent else []
        )
        answers = iter(stored)
        error = {"Error": {"Code": self._code, "Message": "-"}}
        responses = []
        for fails in fail:
            answer = next(answers) if self._stores or not fails else None
            responses.append(error if fails else answer)
        return Http(200), {"Responses": responses}


ORDER = [*range(BATCH // 2, BATCH), *range(BATCH // 2)]
EVERYBODY = {f"+1555000{number:04}" for number in ORDER}


def batch(case: Case) -> str:
    return body(case.event, case.tenant, *ORDER)


def accepted(case: Case, answer: Response) -> set[str]:
    """Return the contacts of a batch that a response has as accepted; the rest is unavailable."""
    assert answer.status == (201 if case.event == BULK_CONSENTS else 200)
    if case.event == BULK_CONSENTS:
        shown = [(each["error_code"], each["error_messages"]) for each in answer.json["items"]]
        lost = {index for index, each in enumerate(shown) if each != (0, [])}
        assert [shown[index] for index in lost] == [(30646, ["INTERNAL_SERVER_ERROR"])] * len(lost)
    else:
        lost = {each["index"] for each in answer.json["rejected"]}
        assert {each["code"] for each in answer.json["rejected"]} <= {"UNAVAILABLE"}
        assert answer.json["accepted"] == BATCH - len(lost)
    return {f"+1555000{each:04}" for index, each in enumerate(ORDER) if index not in lost}


def receipts(case: Case) -> dict[str, str]:
    """Return which call stored each record: no record is there twice."""
    items = all_stored(case.dynamodb, case.tenant.org_id)
    found = {item["pk"]["S"].split("#")[1]: item["request_id"]["S"] for item in items}
    assert len(found) == len(items)
    return found


@pytest.mark.parametrize("stores", [False, True], ids=["not stored", "stored all the same"])
@pytest.mark.parametrize("error", ["ThrottlingError", "AccessDenied"])
def test_accepted_records_are_stored_and_a_repeat_adds_the_rest(
    cases: NewCases, error: str, *, stores: bool
) -> None:
    lost = {f"+1555000{number:04}" for number in range(0, BATCH, 7)}

    def is_reported_record_by_record(case: Case) -> None:
        fault = PartialFault(case.worker, lost, error, stores=stores)
        first = case.call(brief(), body=batch(case))
        fault.mend()
        assert accepted(case, first) == EVERYBODY - lost
        before = receipts(case)
        assert before.keys() == (EVERYBODY if stores else EVERYBODY - lost)

        again = case.call(body=batch(case))
        assert not is_replay(again)
        assert accepted(case, again) == EVERYBODY
        after = receipts(case)
        assert after.keys() == EVERYBODY
        assert after == after | before  # the first receipts stand
        last = case.call(body=batch(case))
        assert (is_replay(last), last.body) == (True, again.body)

    all_at_once(
        cases([BULK, BULK_CONSENTS], EVERYTHING, per_minute=60_000), is_reported_record_by_record
    )


STORM = [
    LEDGER | REFUSED["throttled"] | {"probability": 0.15},
    LEDGER | REFUSED["a 500"] | {"probability": 0.1},
    LEDGER | REFUSED["a reset"] | {"probability": 0.1},
    LEDGER | LOST_REPLY | {"probability": 0.2},
    DRAW | REFUSED["throttled"] | {"probability": 0.2},
    DRAW | LOST_REPLY | {"probability": 0.3},
    RELEASE | LOST_REPLY | {"probability": 0.3},
]
CALLS_IN_THE_STORM = 4


def test_repeated_requests_in_a_storm_store_each_record_once(cases: NewCases, proxy: Proxy) -> None:
    met = cases([BULK, BULK_CONSENTS], *[EVERYTHING] * 6, per_minute=60_000)
    proxy.break_calls(*STORM)
    all_at_once(met, gets_a_true_response)
    assert proxy.fired()
    proxy.mend()

    all_at_once(met, is_stored_in_the_end)


def gets_a_true_response(case: Case) -> None:
    for _ in range(CALLS_IN_THE_STORM):
        answer = case.call(brief(), body=batch(case))
        if is_final(answer):
            assert accepted(case, answer) <= receipts(case).keys()
        else:
            assert is_unavailable(answer, case.event)


def is_stored_in_the_end(case: Case) -> None:
    answer = case.call(body=batch(case))
    while is_unavailable(answer, case.event):  # on a busy machine a call of a table takes too long
        answer = case.call(body=batch(case))
    assert accepted(case, answer) == EVERYBODY
    assert receipts(case).keys() == EVERYBODY


PROCESS = """
import json, sys, time
from functions.capture_consents.app import handler

milliseconds = int(sys.argv[1])

class Invocation:
    aws_request_id = "the invocation's"
    end = time.monotonic() + milliseconds / 1000
    def get_remaining_time_in_millis(self):
        return int((self.end - time.monotonic()) * 1000)

handler(json.load(sys.stdin), Invocation())
"""


def killed(case: Case, proxy: Proxy, milliseconds: int) -> None:
    """Make the call in a separate process, and kill it in the step that is held up."""
    sent = json.loads((ROOT / "events" / f"{case.event}.json").read_text())
    sent["headers"] |= headers(case.tenant, case.event)
    held_up = (case.step["operation"], case.step.get("resource"))
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(milliseconds)],
        cwd=ROOT,
        env=os.environ
        | {"AWS_ENDPOINT_URL_DYNAMODB": proxy.url, "AWS_SESSION_TOKEN": case.worker.name},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(sent).encode())
        process.stdin.close()
        wait_until(lambda: held_up in proxy.fired())
        process.kill()


def test_a_killed_process_holds_its_key_until_its_timeout(cases: NewCases, proxy: Proxy) -> None:
    (case,) = cases([BULK], DRAW_WHILE_BUSY)
    before = case.draw_before()
    proxy.break_calls(case.rule(SILENT))
    killed(case, proxy, milliseconds=2_000)
    proxy.mend()

    assert must_wait(case.call(), BULK)
    assert is_done(until_final(case.call, longest=3))
    assert len(case.stored()) == 1
    assert case.drawn_since(before) == COUNTED[BULK]


def test_the_last_write_of_a_killed_process_may_arrive_later(
    cases: NewCases, proxy: Proxy, dynamodb: "DynamoDBClient"
) -> None:
    met = cases([BULK], DRAW_WHILE_BUSY, RECORDS, COMPLETION)
    before = {case: case.draw_before() for case in met}
    held_back = proxy.held_back()
    proxy.break_calls(*(case.rule({"latency": 1_500}) for case in met))
    all_at_once(met, partial(killed, proxy=proxy, milliseconds=WHOLE))
    wait_until(lambda: proxy.held_back() == held_back)
    proxy.mend()

    drawing, storing, keeping = met
    assert must_wait(drawing.call(), BULK)
    assert must_wait(storing.call(), BULK)
    assert is_replay(until_final(keeping.call, longest=3))
    let_time_pass(dynamodb, seconds=30)
    all_at_once([drawing, storing], is_done_with_the_repeat)
    assert [len(case.stored()) for case in met] == [1, 1, 1]
    assert [case.drawn_since(before[case]) // COUNTED[BULK] for case in met] == [2, 2, 1]
