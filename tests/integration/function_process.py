"""A process of a function, as Lambda runs it: it takes events, and may be killed at any call.

`python -m tests.integration.function_process FUNCTION` is the process itself.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from itertools import count
from typing import Any, NamedTuple

from consents import wiring
from consents.aws.client import Client, Parameters
from consents.aws.errors import CallError

from tests.integration.invocation import ROOT, Invocation

BEFORE, AFTER = "before", "after"


class Kill(NamedTuple):
    """The call of DynamoDB, by its number, before or after which a process is killed."""

    call: int
    when: str


NEVER = Kill(-1, BEFORE)


class FunctionProcess:
    """A running process of a function."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def invoke(
        self, event: dict[str, Any], kill: Kill = NEVER, milliseconds: int = 29_000
    ) -> Any | None:
        """Return the response to an event, or None if the process was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        sent = {"event": event, "kill": kill, "milliseconds": milliseconds}
        self._process.stdin.write(json.dumps(sent).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        return json.loads(line) if line else None


@contextmanager
def running(function: str, **environment: str) -> Iterator[FunctionProcess]:
    """Run a process of a function, with more environment variables than the tests have."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.function_process", function],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield FunctionProcess(process)
        finally:
            process.kill()


class MortalClient:
    """A client in whose calls the process may be killed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.expect(NEVER)

    def expect(self, kill: Kill) -> None:
        """Let the process be killed at a call of those that follow."""
        self._kill, self._numbers = kill, count()

    def call(self, operation: str, parameters: Parameters) -> dict[str, Any]:
        """Return the response, or raise `CallError`."""
        return self._survived(lambda: self._client.call(operation, parameters))

    def call_all(
        self,
        operation: str,
        parameters: Sequence[Parameters],
        may_begin: Callable[[], bool] = lambda: True,
    ) -> list[dict[str, Any] | CallError]:
        """Make several calls at a time; return each response or error, in input order."""
        return self._survived(lambda: self._client.call_all(operation, parameters, may_begin))

    def _survived[T](self, call: Callable[[], T]) -> T:
        number = next(self._numbers)
        self._die(Kill(number, BEFORE))
        result = call()
        self._die(Kill(number, AFTER))
        return result

    def _die(self, here: Kill) -> None:
        if here == self._kill:
            os.kill(os.getpid(), signal.SIGKILL)


def main(function: str) -> None:
    """Handle the events of the standard input, one a line, and write the responses."""
    responses = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # of logs and metrics
    client = MortalClient(wiring.dynamodb())
    wiring.dynamodb = cache(lambda: client)
    handler = import_module(f"functions.{function}.app").handler
    for line in sys.stdin:
        sent = json.loads(line)
        client.expect(Kill(*sent["kill"]))
        response = handler(sent["event"], Invocation(sent["milliseconds"]))
        print(json.dumps(response), file=responses, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
