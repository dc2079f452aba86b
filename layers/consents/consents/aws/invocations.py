"""Invocations that no caller waits for: a failure is logged without what it was about."""

from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools import Logger

from consents.aws.errors import error_code, frames

log = Logger()


class InvocationFailed(Exception):
    """The invocation failed; its log line says how. Lambda invokes the function again."""


@contextmanager
def failure_logged(event: str) -> Iterator[None]:
    """Log an error of the block as an event, and raise `InvocationFailed` in its place.

    Lambda logs what a function raises, and an error's text may repeat what a client sent.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - no error leaves with its text
        log.error(event, error=error_code(error), frames=frames(error))
        raise InvocationFailed from None
