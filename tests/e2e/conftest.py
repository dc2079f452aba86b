"""One local stack for all end-to-end tests, brought up by the operator's own command."""

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

import pytest

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
        """The base URL of both wires."""
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
        """Run `consents ... --json` on this stack, and return what it tells."""
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
        timeout=300,
        check=False,
    )


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def eventually(fact: Callable[[], bool], seconds: float = 120) -> bool:
    """Tell whether something comes to hold within a time."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def ends(leader: int) -> bool:
    """Tell whether a process and all of its group end within ten seconds."""
    return eventually(lambda: not _lives(leader), seconds=10)


def _lives(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A local stack, built and deployed as `make run` does; stopping it leaves no process."""
    folder = tmp_path_factory.mktemp("local")
    up = run_consents(folder, "local", "up", "--detach", "--port", str(free_port()))
    assert up.returncode == 0, up.stderr
    leader = int((folder / "engine.lock").read_text())
    try:
        yield LocalStack(json.loads((folder / "stack.json").read_text()), folder, up.stdout)
    finally:
        down = run_consents(folder, "local", "down")
        assert (down.returncode, ends(leader)) == (0, True)
