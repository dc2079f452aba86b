"""Expected errors of a command."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from botocore.exceptions import BotoCoreError, ClientError
from consents.accounts.directory_writer import DirectoryError
from consents.aws.errors import CallError


class Failed(Exception):
    """A command failed; the message is one line: what, why, and what to do."""


@contextmanager
def exit_on_error(exit_code: int) -> Iterator[None]:
    """Print an expected error as one line, and exit with this code."""
    try:
        yield
    except (Failed, DirectoryError, CallError, BotoCoreError, ClientError) as error:
        message = str(error.__cause__ if isinstance(error, CallError) else error)
        typer.echo(f"consents: {' '.join(message.split())}", err=True)
        raise typer.Exit(exit_code) from None
