"""`python -m bench.growth`: the time of a request by the number of the organization's
contacts, that of a check by the number of the contact's records, and the throughput of one token
bucket by the number of concurrent callers.

Runs on the local engine, which evaluates conditions. Prints rows of Markdown tables.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from statistics import median
from typing import Any

import boto3
from consents.aws.dynamodb import Table
from consents.domain.record import Receipt
from consents.http.rate_limits import RateLimits
from samcli.yamlhelper import parse_yaml_file
from ulid import ULID

from bench import bodies
from bench.cases import ORG, Case, Limits, batch_of, check_of
from bench.context import Context
from bench.counted import Counted
from bench.directory import ALLOWANCES, authorization
from bench.drops import ROOT, engine
from bench.result import ROUNDS
from bench.stub import SECRET

CONTACTS = [0, 1_000, 10_000, 30_000]
RECORDS = [1, 10, 100, 1_000]
"""Of a contact that is checked."""

CALLERS = [1, 4, 16, 32]
SPENDS = 640
COST = 10_000
"""Records per spend: enough to keep the bucket busy, few enough for all to fit."""


def main() -> None:
    """Measure and print."""
    os.environ["ALLOWED_ORIGIN"] = "*"
    logging.disable(logging.INFO)  # one line per request; the library does not log metrics
    with engine(dict(parse_yaml_file(str(ROOT / "template.yaml")))):
        boto3.client("secretsmanager").create_secret(Name="Pepper", SecretString=SECRET)
        for contacts, calls, cpu in against_contacts():
            print(f"| {contacts} | {calls:g} | {cpu:.1f} |", flush=True)
        for records, calls, cpu in against_records():
            print(f"| {records} | {calls:g} | {cpu:.1f} |", flush=True)
        for callers, writes, per_second in against_callers():
            print(f"| {callers} | {writes:.2f} | {per_second:.0f} |", flush=True)


def against_contacts() -> Iterator[tuple[int, float, float]]:
    """Return the number of contacts, and the calls and CPU ms of a request of 100 records."""
    call = caller()
    small, large = batch_of(100), batch_of(1000)
    held = 0
    for contacts in CONTACTS:
        while held < contacts:
            call(large, f"fill {held}")
            held += 1000
        rounds = [call(small, f"{contacts}/{number}") for number in range(ROUNDS + 2)][2:]
        yield contacts, *map(median, zip(*rounds, strict=True))


def against_records() -> Iterator[tuple[int, float, float]]:
    """Return the number of a contact's records, and the calls and CPU ms of checking it."""
    call = caller()
    held = 0
    for records in RECORDS:
        while held < records:
            call(one_more_record(held), f"record {held}")
            held += 1
        check = check_of(1, Limits())
        rounds = [call(check, f"{records}/{number}") for number in range(ROUNDS + 2)][2:]
        yield records, *map(median, zip(*rounds, strict=True))


def one_more_record(number: int) -> Case:
    """Return a request that adds a record to the contact that a check of one asks about."""
    ((contact,), (record,)) = (
        json.loads(bodies.question(1))["contact_numbers"],
        bodies.records(1, 0, ""),
    )
    captured_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    evidence = record["evidence"] | {"captured_at": captured_at.isoformat()}
    changed = record | {"contact_number": contact, "evidence": evidence}
    return replace(batch_of(1), make=lambda _: bodies.batch([changed]))


type Call = Callable[[Case, str], tuple[int, float]]


@cache
def caller() -> Call:
    """Return what calls our handlers, and returns the calls of DynamoDB and the CPU ms."""
    wiring: Any = import_module("consents.wiring")
    counted = Counted(wiring.dynamodb())
    wiring.dynamodb = lambda: counted
    ours: Any = import_module("bench.ours")  # it creates its stores at import
    ours.prepare()

    def call(case: Case, seed: str) -> tuple[int, float]:
        counted.calls.clear()
        began = time.process_time()
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            response = ours.HANDLERS[case.route](case.event(seed, authorization(case)), Context())
        if response["statusCode"] != 200:
            raise RuntimeError(f"status {response['statusCode']}, expected 200")
        return counted.calls.total(), (time.process_time() - began) * 1000

    return call


def against_callers() -> Iterator[tuple[int, float, float]]:
    """Return the number of callers, the writes per spend, and the spends per second."""
    for callers in CALLERS:
        org = f"{ORG}-{callers}"
        counted = Counted(import_module("consents.wiring").dynamodb())
        limits = RateLimits(Table(counted, os.environ["RATE_LIMITS_TABLE"]))

        def spend(_: int, org: str = org, limits: RateLimits = limits) -> None:
            now = datetime.now(UTC)
            limits.spend(org, COST, ALLOWANCES[ORG], Receipt(now, str(ULID())))

        began = time.perf_counter()
        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(spend, range(SPENDS)))
        yield callers, counted.calls.total() / SPENDS, SPENDS / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
