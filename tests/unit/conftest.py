"""How far the property tests search: repeatably in CI, anew each time elsewhere."""

import gc
import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit",
    deadline=None,
    max_examples=40,
    database=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],  # it measures the machine, not the test
)
settings.load_profile("unit")


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules and tests, which stay until the end."""
    gc.freeze()
    gc.set_threshold(20_000)
