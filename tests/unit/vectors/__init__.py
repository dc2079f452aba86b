"""Test vectors that others published; each file names its source and its licence."""

import json
from pathlib import Path
from typing import Any


def vectors(name: str) -> dict[str, Any]:
    """Return the vectors of a file."""
    return dict(json.loads((Path(__file__).parent / f"{name}.json").read_text()))
