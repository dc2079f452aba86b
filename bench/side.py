"""One side of the bench, in a separate process: `python -m bench.side bench.ours`.

Runs a round for each line of stdin, and prints its measurements as JSON.
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
    """The interface of a side: `bench.ours` or `bench.idiom.side`."""

    HANDLERS: dict[str, Any]
    """The handlers, by route."""

    def prepare(self) -> None:
        """Write the callers to the directory."""

    def validate(self, records: list[Any]) -> None:
        """Validate every record."""

    def parse_form(self, body: bytes) -> None:
        """Parse a form body and validate every item."""


@dataclass(frozen=True)
class Round:
    """The measurements and the response of one request."""

    cpu_ms: float
    wall_ms: float
    calls: int = 0
    bytes: int = 0
    status: int = 200
    accepted: int | None = None
    client_ms: float = 0
    """CPU time in calls of DynamoDB."""


def run(side: Side, case: Case, seed: str) -> Round:
    """Run one round of a case."""
    return _validation(side, case, seed) if case.validation_only else _call(side, case, seed)


def _call(side: Side, case: Case, seed: str) -> Round:
    handler = side.HANDLERS[case.route]
    event = case.event(seed, authorization(case))
    if case.repeats:
        handler(event, Context())
    counts(os.environ["AWS_ENDPOINT_URL"])
    _clients.clear()
    (cpu_ms, wall_ms), response = _timed(lambda: _respond(handler, event))
    calls, sent = counts(os.environ["AWS_ENDPOINT_URL"])
    return Round(
        cpu_ms,
        wall_ms,
        calls,
        sent,
        response["statusCode"],
        _accepted(response),
        client_ms=sum(_clients) * 1000,
    )


def _validation(side: Side, case: Case, seed: str) -> Round:
    body = case.body(seed).encode()
    if case.route == "create_bulk_consents":
        took, _ = _timed(lambda: side.parse_form(body))
        return Round(*took)
    records = orjson.loads(body)["records"]
    took, _ = _timed(lambda: side.validate(records))
    return Round(*took)


def _timed[T](work: Callable[[], T]) -> tuple[tuple[float, float], T]:
    """Return the CPU and wall milliseconds of a function, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return (cpu * 1000, wall * 1000), done


def _respond(handler: Handler, event: dict[str, Any]) -> dict[str, Any]:
    """Return a handler's response; API Gateway turns an exception into a 502."""
    try:
        return handler(event, Context())
    except Exception:  # noqa: BLE001
        return {"statusCode": 502, "body": "{}"}


def _accepted(response: dict[str, Any]) -> int | None:
    """Return the number of accepted records or allowed contacts in a response, or None."""
    body: dict[str, Any] = json.loads(response["body"])
    if "items" in body:
        return len([item for item in body["items"] if item["error_code"] == 0])
    accepted: int | None = body.get("accepted", body.get("allowed"))
    return accepted


def counts(endpoint: str) -> tuple[int, int]:
    """Return the calls and bytes that the stub received since the last time."""
    request = urllib.request.Request(f"{endpoint}/counts", method="POST")
    with urllib.request.urlopen(request) as response:
        received: dict[str, int] = json.loads(response.read())
    sent = received.pop("bytes", 0)
    return sum(received.values()), sent


def check(log: StringIO) -> None:
    """Clear a log; raise if it has a warning or an error: the request was not a usual one."""
    for line in log.getvalue().splitlines():
        if json.loads(line).get("level") in {"WARNING", "ERROR"}:
            raise RuntimeError(f"logged: {line}")
    log.seek(0)
    log.truncate()


CLIENTS = (
    ("botocore.client", "BaseClient", "_make_api_call"),
    ("consents.aws.client", "LeanClient", "call_all"),
)
"""Imported late: a logger keeps the stdout of its import."""

_clients: list[float] = []
"""CPU seconds of each call of a client, in the thread that made it."""


def _time_calls(owner: Any, method: str) -> None:
    """Let a method of a client add its CPU time to `_clients`."""
    call = getattr(owner, method)

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.thread_time()
        try:
            return call(*arguments, **options)
        finally:
            _clients.append(time.thread_time() - began)

    setattr(owner, method, timed)


def main(name: str) -> None:
    """Run the requested rounds until stdin ends."""
    cases = {case.name: case for case in (*CASES, *map(batch_of, SIZES))}
    responses = sys.stdout
    with redirect_stdout(StringIO()) as log:
        side: Any = import_module(name)
        for module, client, method in CLIENTS:
            _time_calls(getattr(import_module(module), client), method)
        side.prepare()
        for line in sys.stdin:
            name, seed = json.loads(line)
            took = run(side, cases[name], seed)
            check(log)
            print(json.dumps(asdict(took)), file=responses, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
