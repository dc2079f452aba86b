"""One side of the bench, in a process of its own: `python -m bench.side bench.ours`.

Runs a round for each line of its input, and answers with what the round took.
"""

import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from importlib import import_module
from io import StringIO
from typing import Any, Protocol

import orjson

from bench.cases import CASES, SIZES, Case, batch_of
from bench.context import Context
from bench.directory import authorization

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


class Side(Protocol):
    """What a side must have: `bench.ours` or `bench.idiom.side`."""

    HANDLERS: dict[str, Any]
    """The entry points, by route."""

    def prepare(self) -> None:
        """Make the callers known."""

    def validate(self, records: list[Any]) -> None:
        """Judge every record."""

    def parse_form(self, body: bytes) -> None:
        """Parse a form body and judge every item."""


@dataclass(frozen=True)
class Round:
    """What one call took, and what came of it."""

    cpu_ms: float
    wall_ms: float
    calls: int = 0
    bytes: int = 0
    status: int = 200
    accepted: int | None = None
    loads_ms: float | None = None
    """What `orjson.loads` of the body took, where only the validation was measured."""


def run(side: Side, case: Case, seed: str) -> Round:
    """Run one round of a case."""
    return _validation(side, case, seed) if case.validation_only else _call(side, case, seed)


def _call(side: Side, case: Case, seed: str) -> Round:
    handler = side.HANDLERS[case.route]
    event = case.event(seed, authorization(case))
    if case.repeats:
        handler(event, Context())
    counts(os.environ["AWS_ENDPOINT_URL"])
    (cpu_ms, wall_ms), answer = _timed(lambda: _answered(handler, event))
    calls, sent = counts(os.environ["AWS_ENDPOINT_URL"])
    return Round(cpu_ms, wall_ms, calls, sent, answer["statusCode"], _accepted(answer))


def _validation(side: Side, case: Case, seed: str) -> Round:
    body = case.body(seed).encode()
    if case.route == "create_bulk_consents":
        took, _ = _timed(lambda: side.parse_form(body))
        return Round(*took)
    (loads_ms, _), batch = _timed(lambda: orjson.loads(body))
    took, _ = _timed(lambda: side.validate(batch["records"]))
    return Round(*took, loads_ms=loads_ms)


def _timed[T](work: Callable[[], T]) -> tuple[tuple[float, float], T]:
    """Return the milliseconds of CPU and of wall time that a work took, and what came of it."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return (cpu * 1000, wall * 1000), done


def _answered(handler: Handler, event: dict[str, Any]) -> dict[str, Any]:
    """Return a handler's answer; of an exception API Gateway makes a 502."""
    try:
        return handler(event, Context())
    except Exception:  # noqa: BLE001
        return {"statusCode": 502, "body": "{}"}


def _accepted(answer: dict[str, Any]) -> int | None:
    """Return how many records an answer says were accepted, if it says so."""
    told: dict[str, Any] = json.loads(answer["body"])
    if "items" in told:
        return len([item for item in told["items"] if item["error_code"] == 0])
    accepted: int | None = told.get("accepted")
    return accepted


def counts(endpoint: str) -> tuple[int, int]:
    """Return how many calls, and bytes, came to the stub since the last time."""
    request = urllib.request.Request(f"{endpoint}/counts", method="POST")
    with urllib.request.urlopen(request) as answer:
        told: dict[str, int] = json.loads(answer.read())
    sent = told.pop("bytes", 0)
    return sum(told.values()), sent


def check(log: StringIO) -> None:
    """Empty a log; raise if it held a warning or an error, since then a call was not the usual."""
    for line in log.getvalue().splitlines():
        if json.loads(line).get("level") in {"WARNING", "ERROR"}:
            raise RuntimeError(f"logged: {line}")
    log.seek(0)
    log.truncate()


def main(name: str) -> None:
    """Run what the input asks for until it ends."""
    cases = {case.name: case for case in (*CASES, *map(batch_of, SIZES))}
    answers = sys.stdout
    with redirect_stdout(StringIO()) as log:
        side: Any = import_module(name)
        side.prepare()
        for line in sys.stdin:
            name, seed = json.loads(line)
            took = run(side, cases[name], seed)
            check(log)
            print(json.dumps(asdict(took)), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
