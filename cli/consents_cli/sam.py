"""`sam build` and `sam deploy` of the project's template to a local endpoint."""

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from consents_cli.errors import Failed
from consents_cli.local_files import PROJECT, LocalFiles
from consents_cli.stack import LOCAL_CREDENTIALS, LOCAL_NAME, LOCAL_REGION

_TOOLS = {
    "sam": "`make install` brings it",
    "uv": "`make install` brings it",
    "python3.13": "sam builds the functions with it",
    "make": "sam builds the layer with it",
}
_DROPPED = ("AWS_", "MAKE", "MFLAGS", "SAM_")
_ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def search_path() -> str:
    """Return where programs are looked for: our own environment's come first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def check_tools(path: str) -> None:
    """Raise `Failed` where a program that a build needs is not on a path."""
    for tool, reason in _TOOLS.items():
        if shutil.which(tool, path=path) is None:
            raise Failed(f"{tool} was not found on PATH: {reason}")


def architecture() -> str:
    """Return this machine's architecture, as Lambda names it."""
    return _ARCHITECTURES.get(platform.machine().lower(), "arm64")


def build(files: LocalFiles, target: str = "host") -> None:
    """Build the functions, and the layer for this machine or for one that is deployed to."""
    shutil.rmtree(files.build.parent, ignore_errors=True)
    files.sam_log.unlink(missing_ok=True)
    _run(
        files,
        "build",
        {"LAMBDA_ARCHITECTURE": target},
        "--build-dir",
        str(files.build),
        "--cache-dir",
        str(files.build.with_name("cache")),
    )


def deploy(files: LocalFiles, endpoint_url: str) -> None:
    """Deploy what was built to the AWS behind an endpoint."""
    _run(
        files,
        "deploy",
        {"AWS_ENDPOINT_URL": endpoint_url},
        "--template-file",
        str(files.build / "template.yaml"),
        "--config-file",
        str(PROJECT / "samconfig.toml"),
        "--stack-name",
        LOCAL_NAME,
        "--parameter-overrides",
        f"Architecture={architecture()}",
        "LocalEngine=yes",
        "--no-confirm-changeset",
        "--no-progressbar",
    )


def _run(files: LocalFiles, step: str, extra: dict[str, str], *arguments: str) -> None:
    command = [str(shutil.which("sam", path=search_path())), step, *arguments]
    with files.sam_log.open("ab") as log:
        log.write(f"$ sam {step} {' '.join(arguments)}\n".encode())
        log.flush()
        with _killed_in_the_end(
            subprocess.Popen(  # noqa: S603 - the arguments are our own
                command,
                cwd=PROJECT,
                env=environment() | extra,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        ) as process:
            if process.wait() != 0:
                raise Failed(f"sam {step} failed: see {files.sam_log}")


@contextlib.contextmanager
def _killed_in_the_end(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Leave nothing of a process group behind, also when we are told to stop meanwhile."""
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment() -> dict[str, str]:
    """Return the user's environment, with nothing in it that leads to an AWS other than ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))
    return kept | {
        **LOCAL_CREDENTIALS,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_DEFAULT_REGION": LOCAL_REGION,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": direct,
        "PATH": search_path(),
        "SAM_CLI_TELEMETRY": "0",
        "no_proxy": direct,
    }
