"""How busy the machine is: what is done in seconds on an idle one takes longer on a busy one."""

import os


def busy() -> float:
    """Return how many processes want each processor; at least 1."""
    return max(1, os.getloadavg()[0] / (os.cpu_count() or 1))
