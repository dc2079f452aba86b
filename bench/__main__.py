"""`make bench`: compare our handlers with the plain idiom, on a stub that responds in 5 ms.

Prints a table, writes `bench/results.json`, and exits with 1 if a limit does not hold.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, count
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import cold_start, processes
from bench.cases import CASES, Case
from bench.processes import Running
from bench.result import ROUNDS, Result, medians, quartiles

WARM_UP = 2
CAPTION = "ours / plain idiom; medians, and the quartiles of the ratios"
RESULTS = Path(__file__).with_name("results.json")


def measure() -> Iterator[Result]:
    """Run every case, both sides in turns."""
    with ExitStack() as stack:
        endpoint = stack.enter_context(processes.stub())
        ours, idiom = (
            stack.enter_context(processes.side(module, endpoint)) for module in processes.SIDES
        )
        for case in CASES:
            yield _measured(case, ours, idiom)


def _measured(case: Case, ours: Running, idiom: Running) -> Result:
    seeds = map(str, count())
    pairs = []
    for _ in range(WARM_UP + ROUNDS):
        seed = next(seeds)
        pairs.append((ours.round(case.name, seed), idiom.round(case.name, seed)))
    result = Result(case.name, case.limits, *zip(*pairs[WARM_UP:], strict=True))
    _check_responses(case, result)
    return result


def _check_responses(case: Case, result: Result) -> None:
    """Raise if a side returned an unexpected response in any round."""
    idiom = (case.status, case.accepted)
    if case.idiom_status is not None:
        idiom = (case.idiom_status, None)
    for rounds, must in ((result.ours, (case.status, case.accepted)), (result.idiom, idiom)):
        returned = {(each.status, each.accepted) for each in rounds}
        if returned != {must}:
            raise AssertionError(f"{case.name}: returned {returned}, expected {must}")


def row(result: Result) -> list[str]:
    """Return a result as a row of the table."""
    ours, idiom = medians(result.ours), medians(result.idiom)
    return [
        result.case,
        *(f"{ours[name]:g} / {idiom[name]:g}" for name in ("cpu_ms", "wall_ms", "calls")),
        _with_spread(result.ratios("cpu_ms")),
        _with_spread(result.ratios("wall_ms")),
        result.target or "-",
        "yes" if result.holds else "NO",
    ]


def notes() -> Iterator[str]:
    """Return the cases in which the responses, and so the work, of the sides differ."""
    for case in CASES:
        if case.idiom_status is not None:
            yield f"{case.name}: ours returns {case.status}, the idiom {case.idiom_status}"


def _with_spread(ratios: Sequence[float]) -> str:
    low, middle, high = quartiles(ratios)
    return f"{middle:.2f} ({low:.2f}..{high:.2f})"


def main() -> int:
    """Run the bench and return its exit code."""
    console = Console(width=max(Console().width, 190))
    columns = ("case", "cpu ms", "wall ms", "calls", "cpu ratio", "wall ratio", "target", "holds")
    table = Table(*columns, caption="\n".join([CAPTION, *notes()]))
    results = []
    for result in chain(cold_start.measure(), measure()):
        print(f"{'holds' if result.holds else 'FAILS'}  {result.case}", flush=True)
        results.append(result)
        table.add_row(*row(result))
    RESULTS.write_text(json.dumps([result.as_json() for result in results], indent=2) + "\n")
    console.print(table)
    failed = sum(not result.holds for result in results)
    print(f"{failed} of {len(results)} cases miss their target" if failed else "all targets hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
