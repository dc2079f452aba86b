"""`python -m bench.growth`: the time of a request by the number of the organization's
contacts, and the throughput of one token bucket by the number of concurrent callers.

Runs on the local engine, which evaluates conditions. Prints rows of Markdown tables.
"""

import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from datetime import UTC, datetime
from importlib import import_module
from statistics import median
from typing import Any

import boto3
from consents.aws.dynamodb import Table
from consents.domain.record import Receipt
from consents.http.rate_limits import RateLimits
from samcli.yamlhelper import parse_yaml_file
from ulid import ULID

from bench.cases import ORG, batch_of
from bench.context import Context
from bench.counted import Counted
from bench.directory import ALLOWANCES, authorization
from bench.drops import ROOT, engine
from bench.result import ROUNDS
from bench.stub import SECRET

CONTACTS = [0, 1_000, 10_000, 30_000]
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
        for callers, writes, per_second in against_callers():
            print(f"| {callers} | {writes:.2f} | {per_second:.0f} |", flush=True)


def against_contacts() -> Iterator[tuple[int, float, float]]:
    """Return the number of contacts, and the calls and CPU ms of a request of 100 records."""
    wiring: Any = import_module("consents.wiring")
    counted = Counted(wiring.dynamodb())
    wiring.dynamodb = lambda: counted
    ours: Any = import_module("bench.ours")  # it creates its stores at import
    ours.prepare()
    small, large = batch_of(100), batch_of(1000)
    held = 0

    def call(case: Any, seed: str) -> tuple[int, float]:
        counted.calls.clear()
        began = time.process_time()
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            response = ours.HANDLERS[case.route](case.event(seed, authorization(case)), Context())
        if response["statusCode"] != 200:
            raise RuntimeError(f"status {response['statusCode']}, expected 200")
        return counted.calls.total(), (time.process_time() - began) * 1000

    for contacts in CONTACTS:
        while held < contacts:
            call(large, f"fill {held}")
            held += 1000
        rounds = [call(small, f"{contacts}/{number}") for number in range(ROUNDS + 2)][2:]
        yield contacts, *map(median, zip(*rounds, strict=True))


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
