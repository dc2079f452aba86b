"""A client of the tables whose calls a test sees, answers or fails."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

from botocore.exceptions import ClientError
from consents import wiring
from consents.aws.client import Client, Parameters
from consents.aws.errors import CallError, call_error

type Watcher = Callable[..., Any]
"""Called with `operation` and `parameters` before a call.

It returns None to let the call through, an answer as botocore's event `before-call` takes it, or
raises an error.
"""


class Watched:
    """A client; each call is shown to its watchers first."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.watchers: list[Watcher] = []
        self.rounds = 0
        """Times that a caller waited for calls, however many at a time."""

    def call(self, operation: str, parameters: Parameters) -> dict[str, Any]:
        """Return the response, or raise `CallError`."""
        self.rounds += 1
        answer = self._answer(operation, parameters)
        if isinstance(answer, CallError):
            raise answer
        return self.client.call(operation, parameters) if answer is None else answer

    def call_all(
        self,
        operation: str,
        parameters: Sequence[Parameters],
        may_begin: Callable[[], bool] = lambda: True,
    ) -> list[dict[str, Any] | CallError]:
        """Make several calls at a time; return each response or error, in input order."""
        self.rounds += 1
        answers = [self._answer(operation, one, may_begin) for one in parameters]
        through = [one for one, answer in zip(parameters, answers, strict=True) if answer is None]
        responses = iter(self.client.call_all(operation, through, may_begin) if through else [])
        return [next(responses) if answer is None else answer for answer in answers]

    @contextmanager
    def watch(self, watcher: Watcher) -> Iterator[None]:
        """Show the calls within the block to a watcher."""
        self.watchers.append(watcher)
        try:
            yield
        finally:
            self.watchers.remove(watcher)

    def _answer(
        self, operation: str, parameters: Parameters, may_begin: Callable[[], bool] = lambda: True
    ) -> dict[str, Any] | CallError | None:
        for watcher in [*self.watchers]:
            if not may_begin():
                return CallError("NoTimeLeft", is_transient=True)
            try:
                answer = watcher(operation=operation, parameters=parameters)
            except Exception as error:
                failed = call_error(error)
                if failed is None:
                    raise
                return failed
            if answer is not None:
                return _response(operation, *answer)
        return None


def _response(operation: str, http: Any, content: dict[str, Any]) -> dict[str, Any] | CallError:
    if http.status_code < 300:
        return content
    failed = call_error(ClientError(cast(Any, content), operation))
    assert failed is not None
    return failed


def watch(composition: Any) -> Watched:
    """Let all stores that a wiring makes from now on have a watched client, and return it."""
    watched = Watched(composition.dynamodb())
    composition.dynamodb = cache(lambda: watched)
    return watched


def handlers_client() -> Watched:
    """The client of the handlers that this process has imported."""
    return cast(Watched, wiring.dynamodb())
