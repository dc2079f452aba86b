"""Compiled validators: they are what pydantic makes of the types, and load no pydantic."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from consents.capture import bulk_consents_types, validators
from consents.capture.validators import compiled_types, validator
from pydantic import TypeAdapter
from pydantic_core import ValidationError

from tests.factories import ITEM, NOW

COMPILED = Path(validators.__file__).with_suffix(".json")


def test_validators_are_those_of_the_types_in_the_order_of_their_fields() -> None:
    """`make lock` writes them."""
    assert COMPILED.read_text() == json.dumps(compiled_types(), indent=1) + "\n"


def test_a_compiled_type_has_every_field() -> None:
    fields = compiled_types()["Item"]["fields"]

    assert fields.keys() == get_type_hints(bulk_consents_types.Item).keys()


@pytest.mark.parametrize("item", [ITEM, ITEM | {"status": "?"}, {}, [], {"contact_id": "+1"}])
def test_a_compiled_validator_reads_what_the_type_reads(item: Any) -> None:
    read = validator("Item"), TypeAdapter(bulk_consents_types.Item).validator.validate_python

    def outcome(validate: Any) -> Any:
        try:
            return validate(item, context=NOW)
        except ValidationError as error:
            return error.errors(include_url=False)

    assert outcome(read[0]) == outcome(read[1])


def test_a_compiled_validator_loads_no_pydantic() -> None:
    program = (
        "import sys; from consents.capture.validators import validator;"
        "validator('BrowserRecord'); print(*sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert {"pydantic_core"} <= {*ran.stdout.split()}
    assert {"pydantic", "annotated_types"}.isdisjoint(ran.stdout.split())
