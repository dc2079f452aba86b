"""The processes of the bench: the stub on one core, and each side on the other."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench.side import Round

SIDES = ("bench.ours", "bench.idiom.side")


def cores() -> tuple[int | None, int | None]:
    """Return a core for the stub and one for the sides; None if processes cannot be pinned."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    first, *others = sorted(os.sched_getaffinity(0))
    return first, others[-1] if others else first


def start(module: str, *arguments: str, core: int | None, **popen: Any) -> subprocess.Popen[str]:
    """Start a module of the bench in a process on one core."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        preexec_fn=partial(pin, core),
        text=True,
        **popen,
    )


def pin(core: int | None) -> None:
    """Pin this process to one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


@contextmanager
def stub() -> Iterator[str]:
    """Run the stub and yield its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with start("bench.stub", str(port), core=cores()[0]) as process:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
            continue
        return
    raise TimeoutError("the stub did not start within 10 seconds")


def environment(endpoint: str, side: str) -> dict[str, str]:
    """Return the environment of a function; each side has separate tables.

    As in template.yaml, ours looks for no plugins of pydantic.
    """
    tables = ("DIRECTORY", "FORMS", "IDEMPOTENCY", "LEDGER", "RATE_LIMITS")
    return {
        "PATH": os.environ["PATH"],
        "ALLOWED_ORIGIN": "*",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_SECRET_ACCESS_KEY": "test",
        "DEAD_LETTER_QUEUE": "-",
        "DROPS_BUCKET": "-",
        "LOG_BUCKET": "-",
        "IMPORTS_TABLE": "-",
        "OUTBOUND_QUEUE": "-",
        "PARTS_AHEAD": "80",
        "PART_QUEUE": "-",
        "PEPPER_SECRET": "Pepper",
        "PLAN_QUEUE": "-",
        "POWERTOOLS_METRICS_NAMESPACE": "ConsentLedger",
        "POWERTOOLS_SERVICE_NAME": "bench",
        **{f"{table}_TABLE": f"{side}.{table}" for table in tables},
        **({} if side == "bench.idiom.side" else {"PYDANTIC_DISABLE_PLUGINS": "__all__"}),
    }


class Running:
    """A running side, which runs one round at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def round(self, case: str, seed: str) -> Round:
        """Run a round of a case."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([case, seed]), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a side of the bench ended: {self._process.args!r}")
        return Round(**json.loads(line))


@contextmanager
def side(module: str, endpoint: str, **variables: str) -> Iterator[Running]:
    """Run a side in a separate process, on another core than the stub."""
    with start(
        "bench.side",
        module,
        core=cores()[1],
        env=environment(endpoint, module) | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield Running(process)
        finally:
            process.terminate()
