"""What was answered is seen by every later check, whatever runs beside it."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from tests.factories import jsonl
from tests.integration.asking import BATCH, Caller
from tests.integration.callers import item, record
from tests.integration.conftest import Invoke, Tenant
from tests.integration.drops import Drops

NUMBERS = range(100, 164)
CHECKERS = 3
NOON = "2026-04-28T12:00:00Z"


def contact(number: int) -> str:
    return f"+1555000{number:04}"


def test_no_check_overlooks_a_stop_or_revives_by_a_late_opt_in(
    invoke: Invoke, tenant: Tenant, drops: Drops
) -> None:
    """64 contacts say STOP at once in every way; each is opted in again later, with an old date."""
    caller = Caller(invoke, tenant)
    ids = {number: caller.opt_in(number) for number in NUMBERS}
    contacts = [*map(contact, NUMBERS)]
    answered: set[str] = set()
    over = Event()

    def attested(number: int) -> int:
        sent = record(tenant, number) | {"opted_in": False}
        sent["evidence"] |= {"captured_at": NOON}
        return invoke(BATCH, tenant.bearer, body=json.dumps({"records": [sent]})).status

    ways: list[Callable[[int], int]] = [
        attested,
        lambda number: caller.stop(number, NOON).status,
        lambda number: caller.delete(ids[number]).status,
        lambda number: caller.revoke(contact(number)).status,
        lambda number: caller.revoke(contact(number), all_senders=True).status,
    ]
    by_call, by_file = NUMBERS[:48], NUMBERS[48:]

    def stop(number: int) -> None:
        assert ways[number % len(ways)](number) in {200, 201}
        answered.add(contact(number))
        caller.opt_in(number)

    def stop_by_file() -> None:
        rows = [item(tenant, one, status="opt-out", date_of_consent=NOON) for one in by_file]
        drop = drops.import_file(tenant.org_id, "bulk-consents/stops.jsonl", jsonl(*rows))
        assert drops.totals(drop) == ("completed", len(by_file), 0, 0)
        answered.update(map(contact, by_file))
        for number in by_file:
            caller.opt_in(number)

    def check() -> Iterator[int]:
        while not over.is_set():
            before = answered.copy()
            reasons = dict(zip(contacts, caller.reasons(*contacts), strict=True))
            assert {reasons[one] for one in before} <= {"OPTED_OUT"}
            yield len(before)

    with ThreadPoolExecutor(64) as threads:
        checks = [threads.submit(lambda: list(check())) for _ in range(CHECKERS)]
        stops = [threads.submit(stop, number) for number in by_call]
        stops.append(threads.submit(stop_by_file))
        for one in stops:
            one.result()
        over.set()
        seen = [count for one in checks for count in one.result()]

    assert any(0 < count < len(NUMBERS) for count in seen)  # checks ran in the middle of it
    assert caller.reasons(*contacts) == ["OPTED_OUT"] * len(contacts)
