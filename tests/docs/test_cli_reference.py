"""docs/reference/cli.md is what typer generates from the commands."""

import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT


def test_the_reference_of_the_command_is_what_typer_generates() -> None:
    typer = Path(sys.executable).with_name("typer")
    generated = subprocess.run(
        [typer, "consents_cli.__main__", "utils", "docs", "--name", "consents"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert reference.split() == generated.stdout.split(), "run `make docs`"
