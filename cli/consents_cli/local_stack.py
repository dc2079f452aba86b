"""`consents local`: the whole stack on this machine, deployed with SAM as on AWS."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from consents.forms import qr_codes
from rich.text import Text

from consents_cli import demo, engine, local_witness, locks, output, sam, signals
from consents_cli.errors import Failed
from consents_cli.invoke import invoke
from consents_cli.local_files import LocalFiles, local_files
from consents_cli.log_anchors import log_bucket, parameter_of
from consents_cli.stack import Stack, connect_local
from consents_cli.transparency_log import verifier

DEFAULT_PORT = 4566

_SECONDS_TO_STOP = 20

app = typer.Typer(
    no_args_is_help=True, help="The local stack, for development: no AWS account needed."
)
app.command()(invoke)


@app.command()
def up(
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="Port on 127.0.0.1.")
    ] = DEFAULT_PORT,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once the stack is ready.")
    ] = False,
    build: Annotated[
        bool, typer.Option("--build/--no-build", help="Build, or deploy the last build again.")
    ] = True,
) -> None:
    """Start the local stack, and stop it on Ctrl-C."""
    files = local_files()
    files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _exclusive(files), signals.interrupt(), contextlib.ExitStack() as cleanup:
        _check(files, port, build)
        cleanup.callback(_tear_down, files)
        try:
            process = _bring_up(files, port, build)
        except KeyboardInterrupt:
            raise Failed("stopped before the local stack was ready") from None
        if detach:
            cleanup.pop_all()
        else:
            _wait(process, files)


@app.command()
def down() -> None:
    """Stop the local stack."""
    files = local_files()
    owner = locks.holder(files.up_lock)
    if owner:
        _ask_to_stop(owner, files)
    stopped = engine.stop(files)
    files.clear()
    typer.echo("stopped" if owner or stopped else "no local stack was running")


@app.command()
def status() -> None:
    """Show whether the local stack is running: exit code 0 if it is, 1 if not."""
    files = local_files()
    state = files.read_state()
    if state is None or locks.holder(files.engine_lock) is None:
        starting = locks.holder(files.up_lock)
        typer.echo("starting" if starting else "not running: start it with `consents local up`")
        raise typer.Exit(1)
    typer.echo(f"running at {state['api_url']}")


def _check(files: LocalFiles, port: int, build: bool) -> None:
    """Raise `Failed` if the stack cannot start; remove the rest of one that crashed."""
    if locks.holder(files.engine_lock) and files.read_state():
        raise _already_running(files)
    engine.stop(files)
    files.clear()
    sam.check_tools(sam.search_path())
    if not build and not (files.build / "template.yaml").is_file():
        raise Failed("nothing is built yet: start without --no-build")
    engine.check_port(port)


@contextlib.contextmanager
def _exclusive(files: LocalFiles) -> Iterator[None]:
    """Hold the lock of `consents local up`, or raise `Failed` if another process does."""
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
    return Failed(f"the local stack {what}: stop it with `consents local down`")


def _bring_up(files: LocalFiles, port: int, build: bool) -> subprocess.Popen[bytes]:
    """Start, build, deploy and fill the local stack, then write and print its state."""
    with _step("MiniStack"):
        process = engine.start(files, port)
        engine.wait_until_ready(process, files, port)
        witness = local_witness.start(files, process.pid)
        policy = local_witness.policy(witness)
        if not policy:
            raise Failed(f"the witness did not start: read {files.witness_log}")
    if build:
        with _step("sam build"):
            sam.build(files)
    with _step("sam deploy"):
        sam.deploy(files, engine.url(port), parameter_of(policy))
    with _step("demo organization"):
        stack = connect_local(engine.url(port))
        lock_log(stack)
        log_bucket(stack).write_witness_policy(policy)  # the first hourly anchor would do it
        local_witness.watch(witness, str(verifier(stack)))
        state = _state(stack, engine.url(port))
        files.write_state(state)
    _print(state, files)
    return process


def _wait(process: subprocess.Popen[bytes], files: LocalFiles) -> None:
    """Wait until the user stops the stack."""
    typer.echo("\nPress Ctrl-C to stop the stack.")
    with contextlib.suppress(KeyboardInterrupt):
        process.wait()
        raise Failed(f"MiniStack stopped unexpectedly: read {files.engine_log}")


def _tear_down(files: LocalFiles) -> None:
    """Stop MiniStack and remove its files; further stop signals are ignored."""
    for one in signals.STOP_SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    engine.stop(files)
    files.clear()


def _ask_to_stop(owner: int, files: LocalFiles) -> None:
    """Ask `consents local up` to stop, and wait until it has cleaned up."""
    deadline = time.monotonic() + _SECONDS_TO_STOP
    with contextlib.suppress(ProcessLookupError):
        os.kill(owner, signal.SIGTERM)
    while locks.holder(files.up_lock) == owner and time.monotonic() < deadline:
        time.sleep(0.05)


def lock_log(stack: Stack) -> None:
    """Lock the log's bucket as on AWS: MiniStack's CloudFormation ignores Object Lock."""
    given = stack.parameters
    retention: Any = {"Mode": given["LogLock"].upper(), "Days": int(given["LogRetentionDays"])}
    stack.s3().put_object_lock_configuration(
        Bucket=stack.output("LogBucket"),
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": retention},
        },
    )


def _state(stack: Stack, endpoint_url: str) -> dict[str, Any]:
    api, stage = stack.outputs["ApiId"], stack.outputs["StageName"]
    api_url = f"{endpoint_url}/restapis/{api}/{stage}/_user_request_"
    organization = demo.create(stack)
    return {
        "api_url": api_url,
        "aws_endpoint_url": endpoint_url,
        "region": stack.region,
        "stack_name": stack.name,
        "tables": stack.tables,
        "drops_bucket": stack.output("DropsBucket"),
        "log_bucket": stack.output("LogBucket"),
        "log_origin": stack.output("LogOrigin"),
        "inbound_topic_arn": stack.output("InboundTopic"),
        "twilio": {
            "account_sid": sam.TWILIO_ACCOUNT_SID,
            "auth_token": stack.secret("TwilioAuthTokenSecret"),
        },
        "form_url": demo.create_form(stack, api_url, organization["org_id"]),
        "organizations": [organization],
    }


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    """Show a step while it runs, and then how long it took."""
    console = output.console()
    started = time.monotonic()
    with console.status(name):
        yield
    console.print(f"{name:<20}{time.monotonic() - started:5.1f} s")


def _print(state: Mapping[str, Any], files: LocalFiles) -> None:
    """Print where the stack is, and commands to try next."""
    console = output.console()
    organization = state["organizations"][0]
    where = {
        "API": state["api_url"],
        "organization": f"{organization['org_id']} ({organization['name']})",
        "settings": f"{_shown_path(files.state)} (URLs, tables, credentials)",
        "logs": f"{_shown_path(files.engine_log)}, {_shown_path(files.sam_log)}",
    }
    console.print("\nThe local stack is ready.\n")
    console.print(output.details(where))
    for heading, command in _commands(state, organization).items():
        console.print(Text(f"\n{heading}:\n", style="bold"))
        typer.echo(command)
        if command == state["form_url"] and console.is_terminal:
            typer.echo(qr_codes.terminal(command))


def _commands(state: Mapping[str, Any], organization: Mapping[str, Any]) -> dict[str, str]:
    """Return commands and links to try, by heading."""
    api_url, consents = state["api_url"], _program()
    requests = demo.calls(api_url, organization)
    history = f"history --org {organization['org_id']} --contact {demo.CONTACT}"
    return {
        **{f"Send two records to the {api}": request for api, request in requests.items()},
        "Ask whether the contacts may be messaged": demo.question(api_url, organization),
        "Show the consent history of a contact": f"{consents} {history}",
        "Look at contacts, imports and keys in a browser": f"{consents} console",
        "Agree on a hosted form": state["form_url"],
        "Answer its text message": f"{consents} outbox list\n{consents} outbox reply NUMBER YES",
    }


def _program() -> str:
    """Return how a shell in this folder runs this command."""
    program = Path(sys.executable).with_name("consents")
    return "consents" if shutil.which("consents") == str(program) else _shown_path(program)


def _shown_path(path: Path) -> str:
    """Return a path relative to the current folder if it is below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
