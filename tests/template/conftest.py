"""The expanded template, once per session."""

import pytest

from tests.template.expansion import ENVIRONMENTS, Template, deployed


@pytest.fixture
def template() -> Template:
    """The expanded template with default parameters."""
    return deployed()


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> Template:
    """The expanded template of each environment."""
    return deployed(request.param)
