"""The bench: that it measures what it says, and sees what goes wrong."""

import json
from io import StringIO

import pytest

from bench import drops, processes, side
from bench.cases import CASES, Limits
from bench.drop_process import Usage
from bench.result import Result
from bench.side import Round

CASE = next(case for case in CASES if case.accepted == 25)


@pytest.mark.parametrize("name", processes.SIDES)
def test_a_round_is_answered_and_counted(name: str) -> None:
    with processes.stub() as endpoint, processes.side(name, endpoint) as running:
        took = running.round(CASE.name, "one")

    assert (took.status, took.accepted) == (200, 25)
    assert took.calls > 0
    assert took.bytes > 0
    assert took.cpu_ms > 0


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_a_round_that_logs_a_warning_or_an_error_is_not_measured(level: str) -> None:
    log = StringIO(json.dumps({"level": "INFO"}) + "\n" + json.dumps({"level": level}) + "\n")

    with pytest.raises(RuntimeError, match=level):
        side.check(log)


def test_an_import_without_counts_is_a_fault() -> None:
    nothing = Usage(calls={}, write_units=0, bytes_read=0, peak_memory=1, cpu_seconds=1)
    figures = drops.Figures("csv", 100, 1000, 1.0, nothing, [nothing])

    assert list(drops.faults([figures])) == [
        "csv 100: no bytes read were counted",
        "csv 100: no write units were counted",
        "csv 100: no calls of dynamodb were counted",
        "csv 100: no calls of s3 were counted",
        "csv 100: no calls of sqs were counted",
    ]


def test_a_result_has_its_spread() -> None:
    ours = [Round(cpu_ms=cpu, wall_ms=10) for cpu in (2.0, 6.0, 4.0)]
    idiom = [Round(cpu_ms=8, wall_ms=20) for _ in ours]

    result = Result("validation", Limits(cpu=0.5, wall=0.5), ours, idiom).as_json()

    assert result["cpu_quartiles"] == [0.25, 0.5, 0.75]
    assert result["wall_quartiles"] == [0.5, 0.5, 0.5]
    assert (result["cpu_ratio"], result["wall_ratio"]) == (0.5, 0.5)
    assert result["holds"]
