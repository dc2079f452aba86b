"""`consents local invoke`: run one event through a built function in the Lambda runtime."""

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
    function: Annotated[
        str, typer.Argument(help="Name in template.yaml, such as CaptureConsents.")
    ],
    event: Annotated[Path, typer.Argument(help="A JSON file, such as those in events/.")],
) -> None:
    """Run an event through a function of the local stack, in the Lambda runtime.

    Prints the response to stdout, and the log of the function to stderr. Credentials of the files
    in events/ are replaced with those of the demo organization.
    """
    files = local_files()
    state = running_state(files)
    if state is None:
        raise Failed("no local stack is running: start one with `make run`")
    content = demo.with_demo_credentials(_read(event), state["organizations"][0])
    deployed = runtime.deployed(files, state["aws_endpoint_url"], function)
    python = runtime.prepare(files)
    with signals.interrupt(), runtime.running(deployed, python, sys.stderr.buffer) as running:
        response = running.invoke(content.encode())
    typer.echo(orjson.dumps(response, option=orjson.OPT_INDENT_2))


def _read(event: Path) -> str:
    try:
        text = event.read_text()
        orjson.loads(text)
    except OSError as error:
        raise Failed(f"{str(event)!r} cannot be read: {error.strerror}") from None
    except ValueError:
        raise Failed(f"{str(event)!r} is not JSON") from None
    return text
