"""`sam build`, and `sam deploy` to a local endpoint."""

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from consents_cli.errors import Failed
from consents_cli.local_files import PROJECT, LocalFiles
from consents_cli.stack import LOCAL_CREDENTIALS, LOCAL_NAME, LOCAL_REGION

LAYER = "ConsentsLayer"
"""The name of the layer in the template."""

TWILIO_ACCOUNT_SID = "AC00000000000000000000000000000002"
"""The Twilio account of the local stack, which exists nowhere else."""

_TOOLS = {
    "sam": "`make install` installs it",
    "uv": "`make install` installs it",
    "python3.13": "`sam build` needs it for the functions",
    "make": "`sam build` needs it for the layer",
}
_DROPPED = ("AWS_", "MAKE", "MFLAGS", "SAM_")
_ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def search_path() -> str:
    """Return the PATH for programs: those of this virtual environment come first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def check_tools(path: str) -> None:
    """Raise `Failed` if a program that a build needs is not on a path."""
    for tool, reason in _TOOLS.items():
        if shutil.which(tool, path=path) is None:
            raise Failed(f"{tool} is not on PATH: {reason}")


def architecture() -> str:
    """Return the architecture of this machine as Lambda spells it."""
    return _ARCHITECTURES.get(platform.machine().lower(), "arm64")


def build(files: LocalFiles, target: str = "host") -> None:
    """Build the functions and the layer: for this machine, or for a Lambda architecture."""
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
    _write_as_json(files.build / "template.yaml")


def _write_as_json(template: Path) -> None:
    """Rewrite a template as JSON, which is YAML too.

    `sam deploy` parses it four times: JSON takes no time, other YAML more than a second each.
    """
    template.write_text(json.dumps(yaml.load(template.read_text(), yaml.CSafeLoader)))


def deploy(files: LocalFiles, endpoint_url: str, witness_policy: str) -> None:
    """Deploy the build to the local AWS at an endpoint, with a link to the built layer as layer.

    MiniStack unpacks the layer for each new process of a function, and the built one has thousands
    of files.
    """
    link_layer(files)
    _run(
        files,
        "deploy",
        {"AWS_ENDPOINT_URL": endpoint_url},
        "--template-file",
        str(files.linked_build / "template.yaml"),
        "--config-file",
        str(PROJECT / "samconfig.toml"),
        "--stack-name",
        LOCAL_NAME,
        "--parameter-overrides",
        f"Architecture={architecture()}",
        "LocalEngine=yes",
        "MessageProvider=outbox",
        f"TwilioAccountSid={TWILIO_ACCOUNT_SID}",
        f"PublicUrl={endpoint_url}/restapis/{{api_id}}/{{stage}}/_user_request_",
        f'WitnessPolicy="{witness_policy}"',
        "--no-confirm-changeset",
        "--no-progressbar",
    )


def link_layer(files: LocalFiles) -> None:
    """Write a build whose layer is one file, which puts the built layer on the import path."""
    shutil.rmtree(files.linked_build, ignore_errors=True)
    ignored = shutil.ignore_patterns(LAYER)
    shutil.copytree(files.build, files.linked_build, ignore=ignored)
    site = files.linked_build / LAYER / "python" / "lib" / "python3.13" / "site-packages"
    site.mkdir(parents=True)
    packages = str(files.build / LAYER / "python")
    (site / "layer.pth").write_text(f"import sys; sys.path.insert(0, {packages!r})\n")


def _run(files: LocalFiles, step: str, extra: dict[str, str], *arguments: str) -> None:
    command = [str(shutil.which("sam", path=search_path())), step, *arguments]
    with files.sam_log.open("ab") as log:
        log.write(f"$ sam {step} {' '.join(arguments)}\n".encode())
        log.flush()
        with _killed_at_exit(
            subprocess.Popen(  # noqa: S603 - no argument comes from a user
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
                raise Failed(f"sam {step} failed: read {files.sam_log}")


@contextlib.contextmanager
def _killed_at_exit(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Kill the process group at exit, also on an interrupt."""
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment() -> dict[str, str]:
    """Return the user's environment without settings that lead to another AWS endpoint."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))
    return kept | {
        **LOCAL_CREDENTIALS,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_DEFAULT_REGION": LOCAL_REGION,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": direct,
        "PATH": search_path(),
        "SAM_CLI_POLL_DELAY": "0.2",  # seconds; sam waits 5 s between looks at a deployment
        "SAM_CLI_TELEMETRY": "0",
        "no_proxy": direct,
    }
