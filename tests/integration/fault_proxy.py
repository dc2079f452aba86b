"""A proxy between the service and the local engine that breaks the calls which a test names."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from tests.integration.conftest import free_port, wait_until_healthy

type Rule = dict[str, Any]

REFUSED: dict[str, Rule] = {
    "throttled": {"error": {"code": "ThrottlingException"}},
    "over its throughput": {"error": {"code": "ProvisionedThroughputExceededException"}},
    "a 500": {"error": {"code": "InternalServerError"}},
    "a 503": {"error": {"code": "ServiceUnavailable", "status": 503}},
    "a reset": {"reset": True},
}
"""Faults after which a call has done nothing."""

LOST_REPLY: Rule = {"response": {"abort_frac": 0.0}}
"""The call does its work, and nobody hears of it."""

FAULTS = {
    "throttled": REFUSED["throttled"],
    "a 500": REFUSED["a 500"],
    "a reset": REFUSED["a reset"],
    "a lost reply": LOST_REPLY,
}


class Proxy:
    """A proxy between the service and its tables that breaks what a test names."""

    def __init__(self, url: str) -> None:
        self.url = url

    def break_calls(self, *rules: Rule) -> None:
        """Inject these faults from now on, and no others."""
        self._send("rules", [{"service": "dynamodb"} | rule for rule in rules])

    def mend(self) -> None:
        """Let every call through."""
        self._send("rules", [])

    def fired(self) -> list[tuple[str, str | None]]:
        """Return the calls that a fault was injected into, and the table where they name it."""
        with urllib.request.urlopen(f"{self.url}/_microburst/fired?limit=2000") as answer:
            return [(each["operation"], each["resource"]) for each in json.load(answer)]

    def held_back(self) -> int:
        """Return how many calls were never let through, or are not yet."""
        with urllib.request.urlopen(f"{self.url}/_microburst/stats") as answer:
            requests = json.load(answer)["requests"]
        return int(requests["total"] - requests["forwarded"])

    def forget(self) -> None:
        """Forget what was injected so far."""
        request = urllib.request.Request(f"{self.url}/_microburst/fired", method="DELETE")
        urllib.request.urlopen(request).close()

    def _send(self, what: str, body: Any) -> None:
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_microburst/{what}", data, method="POST")
        urllib.request.urlopen(request).close()


@contextmanager
def running_proxy() -> Iterator[Proxy]:
    """Run a proxy before the engine."""
    port, upstream = free_port(), boto3.client("dynamodb").meta.endpoint_url
    with subprocess.Popen(
        [sys.executable, "-m", "microburst", "--upstream", upstream, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_healthy(f"{url}/_microburst/health")
            boto3.client("dynamodb", endpoint_url=url).list_tables()  # its first call takes seconds
            yield Proxy(url)
        finally:
            process.kill()  # it would wait for the calls that it holds up
