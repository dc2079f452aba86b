"""Processes of the service as Lambda runs them: each with its own clients and caches."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from threading import Barrier
from types import ModuleType
from typing import Any

import pytest
from consents.aws.sigv4 import Credentials

from tests.integration.invocation import ROOT, Invocation, Response, event_of
from tests.integration.watched import watch

ROUTES = ("capture_consent", "capture_consents", "create_bulk_consents")
WIRING = "consents.wiring"

LEAN, BOTO3 = "lean", "boto3"
TRANSPORTS = (LEAN, BOTO3)

NAME = "X-Amz-Security-Token"
"""The header with the name of the worker that makes a call."""


class Worker:
    """The handlers of all routes, made again, for one request at a time.

    `endpoint` is where its tables are, if not where everybody's are. Its calls carry its name, as
    the session token of its credentials.
    """

    def __init__(
        self, endpoint: str | None = None, name: str = "worker", transport: str = LEAN
    ) -> None:
        with _own_wiring(endpoint, transport) as wiring:
            self.client = watch(wiring)
            self.boto3 = wiring.boto3_dynamodb()
            self.boto3.meta.events.register("before-send.dynamodb", self._name)
            if transport == LEAN:
                lean: Any = self.client.client
                lean._credentials = lambda: Credentials("test", "test", name)
            self._handlers = {route: _load(route).handler for route in ROUTES}
        self.name = name
        self.calls: list[str] = []
        self.client.watchers.append(self._count)

    def invoke(
        self,
        event: str,
        headers: dict[str, str] | None = None,
        milliseconds: int = 29_000,
        **changes: Any,
    ) -> Response:
        """Run an event through its handler, some of its fields changed."""
        return self.run(Invocation(milliseconds), event, headers, **changes)

    def run(
        self, context: Invocation, event: str, headers: dict[str, str] | None = None, **changes: Any
    ) -> Response:
        """Run an event through its handler within an invocation."""
        sent = event_of(event) | changes
        sent["headers"] = sent["headers"] | (headers or {})
        answer = self._handlers[event.split(".")[0]](sent, context)
        return Response(answer["statusCode"], answer["headers"], answer["body"])

    def close(self) -> None:
        """Close the connections of this thread: in a cycle of references, a socket would warn."""
        self.boto3.close()
        connections = getattr(self.client.client, "_connections", None)
        if connections is not None:
            for connection in connections._threads.__dict__.get("idle", []):
                connection.sock.close()

    def _count(self, operation: str, **_: Any) -> None:
        self.calls.append(operation)

    def _name(self, request: Any, **_: Any) -> None:
        request.headers[NAME] = self.name  # after signing, which would remove it


@contextmanager
def _own_wiring(endpoint: str | None, transport: str) -> Iterator[Any]:
    """Import the composition root once more, and leave everybody else's where it was."""
    package, shared = import_module("consents"), sys.modules.pop(WIRING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNAMODB_TRANSPORT", transport)
        if endpoint:
            patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
        try:
            yield import_module(WIRING)
        finally:
            sys.modules[WIRING] = shared
            package.__dict__["wiring"] = shared


def _load(route: str) -> ModuleType:
    spec = spec_from_file_location(f"functions.{route}.app", _path(route))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _path(route: str) -> str:
    return os.fspath(ROOT / "functions" / route / "app.py")


def at_once[T](*calls: Callable[[], T]) -> list[T]:
    """Start all calls at the same moment, each in a new thread; return what each returned."""
    start = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))
