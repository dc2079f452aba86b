"""`python -m bench.salts`: the CPU that the salts of records add to a request of 1000 records.

Requests with and without salts run in turns, in one process.
"""

import random
from statistics import median

from bench import processes
from bench.cases import CASES

PAIRS, WARM_UP, RESAMPLES = 300, 3, 1000
KINDS = WITH, WITHOUT = "with salts", "without salts"


def measure() -> dict[str, list[float]]:
    """Return the CPU milliseconds of the requests of each kind."""
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with processes.stub() as endpoint, processes.side("bench.salted", endpoint) as side:
        for number in range(WARM_UP + PAIRS):
            for kind in random.sample(KINDS, k=2):
                took[kind].append(side.round(CASES[0].name, f"{number} {kind}").cpu_ms)
    return {kind: each[WARM_UP:] for kind, each in took.items()}


def main() -> None:
    """Print the medians, and that of the ratios with the range of 95 % of its resamples."""
    took = measure()
    for kind, each in took.items():
        print(f"{kind}: {median(each):.1f} ms")
    ratios = [salted / plain for salted, plain in zip(took[WITH], took[WITHOUT], strict=True)]
    resampled = sorted(median(random.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    low, high = resampled[RESAMPLES // 40], resampled[-RESAMPLES // 40]
    print(f"ratio: {median(ratios):.3f} ({low:.3f}..{high:.3f})")


if __name__ == "__main__":
    main()
