"""The order of the test files."""

import pytest

SLOWEST = (
    "test_hosted_forms",
    "test_network_faults",
    "test_killed_processes",
    "test_deployment",
    "test_documentation",
    "test_drops",
    "test_runtime",
    "test_import_crashes",
    "test_openapi",
    "test_fairness",
    "test_local_stack",
    "test_service_model",
)
"""The files that take longest come first: no worker is left alone with one of them at the end."""


# Last: after what reorders tests within files.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the slowest files to the front, each whole and in its order."""
    places = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
