"""A function is one folder, one block of the template and one name in a loop."""

import re

import pytest

from tests.template.expansion import ROOT, SOURCE, WRITTEN, of_type
from tests.template.policies import FUNCTIONS

ROUTES = [
    name
    for name, function in of_type(SOURCE, "Serverless::Function").items()
    if {"Ref": "ApiFunctionPolicy"} in function["Properties"].get("Policies", [])
]


def test_every_folder_of_functions_is_a_function() -> None:
    slices = {path.parent.name for path in ROOT.glob("functions/*/app.py")}
    functions = of_type(SOURCE, "Serverless::Function")

    assert {f["Properties"]["CodeUri"] for f in functions.values()} == {
        f"functions/{name}" for name in slices
    }
    assert set(functions) == {f"{name.title().replace('_', '')}Function" for name in slices}


def test_the_loop_names_every_function_in_order() -> None:
    _, names, _ = WRITTEN["Resources"]["Fn::ForEach::Functions"]

    assert [f"{name}Function" for name in names] == FUNCTIONS


@pytest.mark.parametrize("function", ROUTES)
def test_a_route_costs_at_most_thirty_lines(function: str) -> None:
    text = (ROOT / "template.yaml").read_text()
    (block,) = re.findall(rf"^  {function}:\n(?:    .*\n)+", text, re.MULTILINE)

    assert block.count("\n") <= 30
