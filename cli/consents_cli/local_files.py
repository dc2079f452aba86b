"""Where the local stack keeps what it needs: `.local` at the root of the source checkout.

`CONSENTS_LOCAL_DIR` names another folder, for a second stack beside the first.
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
        """What clients and the other commands need to know; it is there while the stack runs."""
        return self.folder / "stack.json"

    @property
    def engine_lock(self) -> Path:
        """Held by MiniStack as long as it lives."""
        return self.folder / "engine.lock"

    @property
    def up_lock(self) -> Path:
        """Held by `consents local up` as long as it runs."""
        return self.folder / "up.lock"

    @property
    def engine_log(self) -> Path:
        """What MiniStack and the functions print."""
        return self.folder / "ministack.log"

    @property
    def sam_log(self) -> Path:
        """What `sam build` and `sam deploy` print."""
        return self.folder / "sam.log"

    @property
    def build(self) -> Path:
        """What `sam build` makes."""
        return self.folder / "sam" / "build"

    @property
    def runtime(self) -> Path:
        """What functions find in AWS's runtime, as an environment of its own."""
        return self.folder / "runtime"

    @property
    def scratch(self) -> Path:
        """MiniStack's temporary files."""
        return self.folder / "scratch"

    def read_state(self) -> dict[str, Any] | None:
        """Return what `write_state` wrote, or None."""
        try:
            state: dict[str, Any] = json.loads(self.state.read_text())
        except FileNotFoundError:
            return None
        return state

    def write_state(self, state: dict[str, Any]) -> None:
        """Write the state whole or not at all, for nobody else to read: it holds secrets."""
        draft = self.state.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(json.dumps(state, indent=2) + "\n")
        draft.replace(self.state)

    def clear(self) -> None:
        """Remove what must not outlive the stack."""
        self.state.unlink(missing_ok=True)
        shutil.rmtree(self.scratch, ignore_errors=True)


def local_files() -> LocalFiles:
    """Return the files of the local stack, which need not exist."""
    if not (PROJECT / "template.yaml").is_file():
        raise Failed("the local stack needs a source checkout of Consent Ledger")
    folder = os.environ.get("CONSENTS_LOCAL_DIR")
    return LocalFiles(Path(folder).absolute() if folder else PROJECT / ".local")
