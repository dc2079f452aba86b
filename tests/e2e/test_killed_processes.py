"""A long import whose planners and workers are killed, while the API serves requests."""

import gzip
import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from consents.imports.drop import Drop
from consents.imports.import_state import Import
from consents_cli.stack import Stack

from tests.e2e.files import BULK, Put, Queues, Row, Summary, as_csv, bulk_row, post, report, totals
from tests.e2e.local_stack import LocalStack

MANY = 20_000
PLANNER, WORKER = "PlanImportFunction", "ImportPartFunction"

FAULTS: Sequence[tuple[Mapping[str, str], str]] = [
    ({"contact_id": "+19"}, "INVALID_CONTACT_ID"),
    ({"status": "maybe"}, "INVALID_STATUS"),
    ({"date_of_consent": "2026-04-26", "source": ""}, "INVALID_SOURCE; INVALID_DATE_OF_CONSENT"),
]


class Killer:
    """Kills processes of the deployed functions, each time an import reaches certain parts.

    It depends on progress and not on time, so it kills as often on a slow machine as on a fast one.
    """

    def __init__(self, stack: LocalStack, chance: random.Random) -> None:
        self._leader = (stack.folder / "engine.lock").read_text().strip()
        self._chance = chance
        self._due = {
            PLANNER: sorted(chance.sample(range(3, 16), 3)),
            WORKER: sorted(chance.sample(range(2, 18), 5)),
        }

    def strike(self, reached: Import) -> None:
        if reached.parts is None:
            self._at(PLANNER, reached.place.part)
        self._at(WORKER, reached.parts_done)

    def _at(self, function: str, part: int) -> None:
        due, running = self._due[function], self._running(function)
        if due and part > due[0] and running:
            del due[0]
            for process in self._chance.sample(running, self._chance.randint(1, len(running))):
                os.kill(process, signal.SIGKILL)

    def _running(self, function: str) -> list[int]:
        """Return the processes of a function; the engine starts them with its name."""
        search = ["pgrep", "-g", self._leader, "-f", function]
        return [int(found) for found in subprocess.run(search, capture_output=True).stdout.split()]


def many_rows() -> tuple[list[Row], dict[int, str]]:
    """Return the rows of a long CSV, and the reasons for the one in a hundred that is rejected."""
    reasons = {}
    rows = [bulk_row(n, f"+1556{4_000_000 + n}", note="") for n in range(MANY)]
    for index in random.Random(7).sample(range(MANY), MANY // 100):
        fault, reason = FAULTS[index % len(FAULTS)]
        rows[index] |= fault
        reasons[index + 2] = reason
    return rows, reasons


def stored_rows(stack: Stack, dropped: Drop) -> list[tuple[int, str]]:
    """Return the row number and the contact of each record of a file."""
    pages = stack.dynamodb.get_paginator("scan").paginate(
        TableName=stack.output("LedgerTable"),
        FilterExpression="begins_with(request_id, :import_id)",
        ExpressionAttributeValues={":import_id": {"S": dropped.import_id}},
    )
    found = [item for page in pages for item in page["Items"]]
    return sorted(
        (int(item["request_id"]["S"].split("/")[1]), item["pk"]["S"].split("#")[1])
        for item in found
    )


@pytest.mark.timeout(600)
def test_killed_functions_change_no_result_and_no_request(
    stack: LocalStack, deployed: Stack, queues: Queues, put: Put, summary: Summary
) -> None:
    rows, reasons = many_rows()
    killer = Killer(stack, random.Random(11))
    # As deployed, a message returns after the timeout of its function, and at most five times.
    often = json.dumps(without_limit(queues))
    with ExitStack() as meanwhile:
        for name, seconds in (("PlanQueue", "5"), ("PartQueue", "10")):
            changes = {"VisibilityTimeout": seconds, "RedrivePolicy": often}
            meanwhile.enter_context(queues.changed(name, **changes))
        caller = meanwhile.enter_context(ThreadPoolExecutor(1))
        dropped = put(f"{BULK}/many.csv.gz", gzip.compress(as_csv(rows), 1))
        calls = [caller.submit(post, stack)]

        def strike_and_call() -> None:
            if calls[-1].done():
                calls.append(caller.submit(post, stack))
            reached = deployed.imports.find_any(dropped.import_id)
            if isinstance(reached, Import):
                killer.strike(reached)

        shown = summary(dropped, strike_and_call)

    assert totals(shown) == ("completed", MANY - len(reasons), 0, len(reasons))
    lines = map(json.loads, report(stack, dropped, "rejected.jsonl").splitlines())
    assert [(line["row"], line["reason"]) for line in lines] == sorted(reasons.items())
    assert stored_rows(deployed, dropped) == [
        (number, row["contact_id"]) for number, row in enumerate(rows, 2) if number not in reasons
    ]
    assert {call.result() for call in calls} == {200}
    assert crashed(stack) == {PLANNER, WORKER}


def without_limit(queues: Queues) -> dict[str, Any]:
    """Return a redrive policy that lets a message fail many times."""
    policy = json.loads(queues.attributes("PartQueue", "RedrivePolicy")["RedrivePolicy"])
    return dict(policy | {"maxReceiveCount": 1000})


def crashed(stack: LocalStack) -> set[str]:
    """Return the functions that lost a process while it processed a message."""
    log = (stack.folder / "ministack.log").read_text()
    lost = re.findall(r"Lambda \S+?-(\w+)-\w+ failed .*Worker process died", log)
    return set(lost)
