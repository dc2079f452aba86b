"""`consents local`: the whole stack on this machine, deployed as it deploys to AWS."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from consents_cli import demo, engine, locks, output, sam, signals
from consents_cli.errors import Failed
from consents_cli.invoke import invoke
from consents_cli.local_files import LocalFiles, local_files
from consents_cli.stack import Stack, connect_local

DEFAULT_PORT = 4566

_SECONDS_TO_STOP = 20

app = typer.Typer(no_args_is_help=True, help="The local stack: all of it, on this machine alone.")
app.command()(invoke)


@app.command()
def up(
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="The port on 127.0.0.1.")
    ] = DEFAULT_PORT,
    detach: Annotated[bool, typer.Option("--detach", help="Return once it is ready.")] = False,
) -> None:
    """Start the local stack, and stay until Ctrl-C, which leaves nothing running."""
    files = local_files()
    files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(files), signals.interrupt(), contextlib.ExitStack() as at_the_end:
        _check(files, port)
        at_the_end.callback(_tear_down, files)
        try:
            process = _bring_up(files, port)
        except KeyboardInterrupt:
            raise Failed("stopped before the local stack was ready") from None
        if detach:
            at_the_end.pop_all()
        else:
            _stay(process, files)


@app.command()
def down() -> None:
    """Stop the local stack."""
    files = local_files()
    owner = locks.holder(files.up_lock)
    if owner:
        _tell_to_stop(owner, files)
    stopped = engine.stop(files)
    files.clear()
    typer.echo("stopped" if owner or stopped else "no local stack was running")


@app.command()
def status() -> None:
    """Tell whether the local stack runs: the exit code is 0 if it does, and 1 if not."""
    files = local_files()
    state = files.read_state()
    if state is None or locks.holder(files.engine_lock) is None:
        starting = locks.holder(files.up_lock)
        typer.echo("starting" if starting else "not running: start it with `consents local up`")
        raise typer.Exit(1)
    typer.echo(f"running at {state['api_url']}")


def _check(files: LocalFiles, port: int) -> None:
    """Raise `Failed` for what can be known to go wrong; clear away what died half-made."""
    if locks.holder(files.engine_lock) and files.read_state():
        raise _already_running(files)
    engine.stop(files)
    files.clear()
    sam.check_tools(sam.search_path())
    engine.check_port(port)


@contextlib.contextmanager
def _alone(files: LocalFiles) -> Iterator[None]:
    """Keep every other `consents local up` out of these files."""
    lock = locks.take(files.up_lock)
    if lock is None:
        raise _already_running(files)
    locks.name_holder(lock, os.getpid())
    try:
        yield
    finally:
        os.close(lock)


def _already_running(files: LocalFiles) -> Failed:
    state = files.read_state()
    what = f"is running already, at {state['api_url']}" if state else "is starting already"
    return Failed(f"the local stack {what}: `consents local down` stops it")


def _bring_up(files: LocalFiles, port: int) -> subprocess.Popen[bytes]:
    """Start, build, deploy and fill the local stack, then write and print what it is."""
    with _step("MiniStack"):
        process = engine.start(files, port)
        engine.wait_until_ready(process, files, port)
    with _step("sam build"):
        sam.build(files)
    with _step("sam deploy"):
        sam.deploy(files, engine.url(port))
    with _step("demo organization"):
        stack = connect_local(engine.url(port))
        state = _state(stack, engine.url(port))
        files.write_state(state)
    _print(state, files)
    return process


def _stay(process: subprocess.Popen[bytes], files: LocalFiles) -> None:
    """Wait until we are told to stop."""
    typer.echo("\nCtrl-C stops it.")
    with contextlib.suppress(KeyboardInterrupt):
        process.wait()
        raise Failed(f"MiniStack ended by itself: see {files.engine_log}")


def _tear_down(files: LocalFiles) -> None:
    """Leave nothing running, however often we are told to stop meanwhile."""
    for one in signals.THAT_STOP:
        signal.signal(one, signal.SIG_IGN)
    engine.stop(files)
    files.clear()


def _tell_to_stop(owner: int, files: LocalFiles) -> None:
    """Let `consents local up` clean up after itself."""
    deadline = time.monotonic() + _SECONDS_TO_STOP
    with contextlib.suppress(ProcessLookupError):
        os.kill(owner, signal.SIGTERM)
    while locks.holder(files.up_lock) == owner and time.monotonic() < deadline:
        time.sleep(0.05)


def _state(stack: Stack, endpoint_url: str) -> dict[str, Any]:
    api, stage = stack.outputs["ApiId"], stack.outputs["StageName"]
    return {
        "api_url": f"{endpoint_url}/restapis/{api}/{stage}/_user_request_",
        "aws_endpoint_url": endpoint_url,
        "region": stack.region,
        "stack_name": stack.name,
        "tables": stack.tables,
        "drops_bucket": stack.output("DropsBucket"),
        "organizations": [demo.create(stack)],
    }


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    """Show what is going on, and then how long it took."""
    console = output.console()
    started = time.monotonic()
    with console.status(name):
        yield
    console.print(f"{name:<20}{time.monotonic() - started:5.1f} s")


def _print(state: dict[str, Any], files: LocalFiles) -> None:
    console = output.console()
    organization = state["organizations"][0]
    where = {
        "API": state["api_url"],
        "AWS endpoint": f"{state['aws_endpoint_url']} (region {state['region']}, any credentials)",
        **{f"{name} table": table for name, table in state["tables"].items()},
        "drops bucket": state["drops_bucket"],
        "organization": f"{organization['org_id']} ({organization['name']})",
        "all of it, as JSON": files.state,
        "logs": f"{files.engine_log.name} and {files.sam_log.name} beside it",
    }
    console.print()
    console.print(output.details(where))
    for wire, command in demo.calls(state["api_url"], organization).items():
        console.print(Text(f"\nTry the {wire} wire:\n", style="bold"))
        typer.echo(command)
