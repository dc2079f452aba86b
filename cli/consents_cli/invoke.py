"""`consents local invoke`: one event through a built function in AWS's own runtime."""

import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer

from consents_cli import demo, runtime, signals
from consents_cli.errors import Failed
from consents_cli.local_files import local_files
from consents_cli.stack import running_state


def invoke(
    function: Annotated[str, typer.Argument(help="As in template.yaml: CaptureConsents.")],
    event: Annotated[Path, typer.Argument(help="A file such as those of events/.")],
) -> None:
    """Run an event through a function of the local stack, in AWS's own runtime.

    The answer goes to stdout, what the function logs to stderr. In place of the example credentials
    of events/ it is sent those of the demo organization.
    """
    files = local_files()
    state = running_state(files)
    if state is None:
        raise Failed("no local stack is running: start one with `make run`")
    sent = demo.in_its_name(_read(event), state["organizations"][0])
    named = runtime.deployed(files, state["aws_endpoint_url"], function)
    python = runtime.prepare(files)
    with signals.interrupt(), runtime.running(named, python, sys.stderr.buffer) as running:
        answer = running.invoke(sent.encode())
    typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2))


def _read(event: Path) -> str:
    try:
        text = event.read_text()
        orjson.loads(text)
    except OSError as error:
        raise Failed(f"{str(event)!r} cannot be read: {error.strerror}") from None
    except ValueError:
        raise Failed(f"{str(event)!r} is not JSON") from None
    return text
