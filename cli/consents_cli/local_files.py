"""Files of the local stack: `.local` at the root of the source checkout.

The environment variable `CONSENTS_LOCAL_DIR` names another folder, for a second stack.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consents_cli.errors import Failed

PROJECT = Path(__file__).parents[2]
"""The source checkout that this package runs from."""


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """The files of one local stack."""

    folder: Path

    @property
    def state(self) -> Path:
        """The URLs, names and credentials of a running stack; it exists while the stack runs."""
        return self.folder / "stack.json"

    @property
    def engine_lock(self) -> Path:
        """The lock that MiniStack holds while it runs."""
        return self.folder / "engine.lock"

    @property
    def up_lock(self) -> Path:
        """The lock that `consents local up` holds while it runs."""
        return self.folder / "up.lock"

    @property
    def engine_log(self) -> Path:
        """The output of MiniStack and the functions."""
        return self.folder / "ministack.log"

    @property
    def witness_log(self) -> Path:
        """The requests to the witness, and its errors."""
        return self.folder / "witness.log"

    @property
    def sam_log(self) -> Path:
        """The output of `sam build` and `sam deploy`."""
        return self.folder / "sam.log"

    @property
    def build(self) -> Path:
        """The result of `sam build`."""
        return self.folder / "sam" / "build"

    @property
    def linked_build(self) -> Path:
        """The build that is deployed: its layer is a link to that of `build`."""
        return self.folder / "sam" / "linked"

    @property
    def runtime(self) -> Path:
        """A virtual environment with the packages of the Lambda runtime."""
        return self.folder / "runtime"

    @property
    def scratch(self) -> Path:
        """Temporary files of MiniStack."""
        return self.folder / "scratch"

    def read_state(self) -> dict[str, Any] | None:
        """Return the state of the stack, or None."""
        try:
            state: dict[str, Any] = json.loads(self.state.read_text())
        except FileNotFoundError:
            return None
        return state

    def write_state(self, state: dict[str, Any]) -> None:
        """Write the state atomically, readable only by its owner: it holds secrets."""
        draft = self.state.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(json.dumps(state, indent=2) + "\n")
        draft.replace(self.state)

    def clear(self) -> None:
        """Remove the files that must not outlive the stack."""
        self.state.unlink(missing_ok=True)
        shutil.rmtree(self.scratch, ignore_errors=True)


def local_files() -> LocalFiles:
    """Return the files of the local stack, which need not exist yet."""
    if not (PROJECT / "template.yaml").is_file():
        raise Failed("no source checkout: the local stack needs one; run consents from its .venv")
    folder = os.environ.get("CONSENTS_LOCAL_DIR")
    return LocalFiles(Path(folder).absolute() if folder else PROJECT / ".local")
