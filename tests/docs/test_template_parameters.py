"""docs/reference/template-parameters.md has the parameters, defaults and values of the template."""

import pytest

from tests import yaml_documents
from tests.docs.pages import ROOT, code, table

PAGE = ROOT / "docs" / "reference" / "template-parameters.md"
TEMPLATE = yaml_documents.template()
PARAMETERS = TEMPLATE["Parameters"]
DOCUMENTED = table(PAGE, "Parameter")


def test_the_page_lists_the_parameters_of_the_template_in_order() -> None:
    assert list(DOCUMENTED) == list(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_has_the_default_of_the_template(name: str) -> None:
    default, *_ = DOCUMENTED[name]
    assert (code(default) or [""]) == [str(PARAMETERS[name]["Default"])]


@pytest.mark.parametrize(
    "name", [name for name, each in PARAMETERS.items() if "AllowedValues" in each]
)
def test_a_parameter_has_the_values_of_the_template(name: str) -> None:
    _, values, *_ = DOCUMENTED[name]
    assert code(values) == [str(value) for value in PARAMETERS[name]["AllowedValues"]]


def test_the_paces_of_imports_are_those_of_the_template() -> None:
    paces = TEMPLATE["Mappings"]["ImportPace"]
    documented = {pace: [int(cell) for cell in row] for pace, row in table(PAGE, "Pace").items()}
    deployed = {pace: [each["Workers"], int(each["PartsAhead"])] for pace, each in paces.items()}

    assert documented == deployed
