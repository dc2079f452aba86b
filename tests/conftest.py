"""The order of the test files, and an id for each test."""

from collections import Counter

import pytest

SLOWEST = (
    "test_transparency_log",
    "test_openapi",
    "test_hosted_forms",
    "test_network_faults",
    "test_killed_processes",
    "test_deployment",
    "test_documentation",
    "test_drops",
    "test_runtime",
    "test_import_crashes",
    "test_fairness",
    "test_local_stack",
    "test_service_model",
)
"""The files that take longest come first: no worker is left alone with one of them at the end.

Before all comes the one that logs whatever is stored by then.
"""


# Last: after what reorders tests within files.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the slowest files to the front, each whole and in its order.

    Of tests that share an id pytest-xdist runs one, and is silent about the others. Schemathesis
    gives its tests names, of which pytest 9.2 makes no ids.
    """
    for item in items:
        _, bracket, parameters = item.name.partition("[")
        if bracket and "[" not in item.nodeid:
            item._id = item.id.with_params(parameters.removesuffix("]"))
    twice = [name for name, count in Counter(one.nodeid for one in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"tests with one id: {twice}")
    places = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
