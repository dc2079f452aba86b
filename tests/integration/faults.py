"""Faults that respond to calls of a client, instead of AWS."""

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ConnectTimeoutError

from tests.integration.watched import Watched

type Fault = Callable[..., Any]
type BreakCall = Callable[[str, Fault], None]


class Http:
    """The status line of a response."""

    def __init__(self, status: int) -> None:
        self.status_code = status


def error_response(status: int, code: str) -> Fault:
    """Return a fault that is an error response of AWS."""
    response = {
        "Error": {"Code": code, "Message": "-"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return lambda **_: (Http(status), response)


def no_connection(**_: Any) -> Any:
    """Fail as a call does that cannot connect."""
    raise ConnectTimeoutError(endpoint_url="-")


def killed(**_: Any) -> None:
    """Fail as a process does that is killed: no handler catches it."""
    raise KeyboardInterrupt


def some_times(count: int, fault: Fault) -> Fault:
    """Return a fault of only the first calls."""
    left = iter(range(count))
    return lambda **call: fault(**call) if next(left, None) is not None else None


def table_breaker(client: Watched) -> Iterator[BreakCall]:
    """Yield a function that lets a fault respond to a client's calls of one name."""
    broken: list[Fault] = []

    def break_call(name: str, fault: Fault) -> None:
        def of_name(operation: str, **call: Any) -> Any:
            return fault(operation=operation, **call) if operation == name else None

        broken.append(of_name)
        client.watchers.append(of_name)

    yield break_call
    for fault in broken:
        client.watchers.remove(fault)


def breaker(client: Any, service: str) -> Iterator[BreakCall]:
    """Yield a function that lets a fault respond to a botocore client's calls of one name."""
    broken: list[tuple[str, Fault]] = []

    def break_call(name: str, fault: Fault) -> None:
        broken.append((f"before-call.{service}.{name}", fault))
        client.meta.events.register(*broken[-1])

    yield break_call
    for name, fault in broken:
        client.meta.events.unregister(name, fault)
