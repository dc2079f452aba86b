"""The template and the description of the API, each parsed once in a process."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from samcli.yamlhelper import intrinsics_multi_constructor

ROOT = Path(__file__).parents[1]
_TIMESTAMP, _TEXT = "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:str"


class _Loader(yaml.CSafeLoader):
    """Reads YAML as SAM does, in a fifth of the time: `!Ref` and the like, and dates as text."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)
_Loader.add_constructor(_TIMESTAMP, yaml.CSafeLoader.yaml_constructors[_TEXT])


@cache
def template() -> dict[str, Any]:
    """Return template.yaml as it is written. Do not change it."""
    return _parsed(ROOT / "template.yaml")


@cache
def openapi() -> dict[str, Any]:
    """Return docs/reference/openapi.yaml. Do not change it."""
    return _parsed(ROOT / "docs" / "reference" / "openapi.yaml")


def _parsed(path: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return parsed
