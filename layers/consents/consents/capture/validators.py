"""Validators of records and items, compiled ahead: pydantic's core runs them without pydantic.

Importing pydantic and compiling a type takes as long as all else of a cold start. `make lock`
compiles the types of both APIs into `validators.json`, and a test compares the two.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic_core import SchemaValidator

from consents.domain import checks

_COMPILED = Path(__file__).with_suffix(".json")

_NOT_OF_VALIDATION = {
    "cls",
    "computed_fields",
    "config",
    "json_schema_input_schema",
    "metadata",
    "ref",
    "serialization",
}
"""What a core schema has besides: of serialization, of JSON schemas, and names in messages."""


@cache  # made for the first record: the catch-all route has none
def validator(name: str) -> Callable[..., Any]:
    """Return the validator of a type: called with a value and `context`, the receipt's instant.

    It returns what it read, or raises pydantic's `ValidationError`.
    """
    schema = json.loads(_COMPILED.read_text())[name]
    return SchemaValidator(_with_functions(schema)).validate_python


def _with_functions(schema: Any) -> Any:
    """Return a core schema with functions of `checks` in place of their names."""
    match schema:
        case {"function": str(name), **others}:
            return {"function": getattr(checks, name), **others}
        case dict():
            return {name: _with_functions(one) for name, one in schema.items()}
        case list():
            return [_with_functions(one) for one in schema]
        case _:
            return schema


def compiled_types() -> dict[str, Any]:
    """Return what the file must have: the core schema of each type, by the type's name."""
    from pydantic import TypeAdapter

    from consents.capture.attested_types import BrowserRecord, OffBrowserRecord
    from consents.capture.bulk_consents_types import Item

    types = {"BrowserRecord": BrowserRecord, "Item": Item, "OffBrowserRecord": OffBrowserRecord}
    return {name: _named(TypeAdapter(one).core_schema) for name, one in types.items()}


def _named(schema: Any) -> Any:
    """Return what validates of a core schema, with the names of functions in their place."""
    if isinstance(schema, dict):
        return {name: _named(one) for name, one in schema.items() if name not in _NOT_OF_VALIDATION}
    if isinstance(schema, list):
        return [_named(one) for one in schema]
    return schema.__name__ if callable(schema) else schema


if __name__ == "__main__":
    _COMPILED.write_text(json.dumps(compiled_types(), indent=1) + "\n")
