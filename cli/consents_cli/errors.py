"""What an operator's command can fail of without a fault of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from botocore.exceptions import BotoCoreError, ClientError


class Failed(Exception):
    """A command cannot do what it was asked; the message is one line, for a person."""


@contextmanager
def failing_with(exit_code: int) -> Iterator[None]:
    """Tell what is expected to fail in one line, and exit with a code."""
    try:
        yield
    except (Failed, BotoCoreError, ClientError) as error:
        typer.echo(f"consents: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(exit_code) from None
