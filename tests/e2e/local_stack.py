"""A local stack that tests run by the operator's command."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consents_cli.local_files import LocalFiles

CONSENTS = Path(sys.executable).with_name("consents")
"""The operator's command, as `make install` puts it into the environment."""


@dataclass(frozen=True)
class LocalStack:
    """A running stack, and the command that acts on it."""

    state: dict[str, Any]
    folder: Path
    printed: str

    @property
    def api_url(self) -> str:
        """The base URL of both APIs."""
        return str(self.state["api_url"])

    @property
    def organization(self) -> dict[str, Any]:
        """The demo organization, with its credentials and senders."""
        organization: dict[str, Any] = self.state["organizations"][0]
        return organization

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `consents` on this stack."""
        return run_consents(self.folder, *arguments)

    def ask(self, *arguments: str) -> Any:
        """Run `consents ... --json` on this stack, and return its parsed output."""
        result = self.run(*arguments, "--json")
        assert (result.returncode, result.stderr) == (0, "")
        return json.loads(result.stdout)


def run_consents(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `consents` with its local files in a folder."""
    return subprocess.run(
        [CONSENTS, *arguments],
        env=os.environ | {"CONSENTS_LOCAL_DIR": str(folder), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def eventually(fact: Callable[[], bool], seconds: float = 120) -> bool:
    """Return whether a fact holds within a time."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def ends(leader: int) -> bool:
    """Return whether a process and all of its group end within ten seconds."""
    return eventually(lambda: not _is_alive(leader), seconds=10)


def _is_alive(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def running_stack(build: LocalFiles, folder: Path) -> Iterator[LocalStack]:
    """Run a local stack of a build; after it is stopped no process is left."""
    files = LocalFiles(folder)
    files.build.parent.mkdir(parents=True)
    files.build.symlink_to(build.build)
    options = ("--detach", "--no-build", "--port", str(free_port()))
    up = run_consents(folder, "local", "up", *options)
    assert up.returncode == 0, up.stderr
    leader = int((folder / "engine.lock").read_text())
    try:
        yield LocalStack(json.loads((folder / "stack.json").read_text()), folder, up.stdout)
    finally:
        down = run_consents(folder, "local", "down")
        assert (down.returncode, ends(leader)) == (0, True)
