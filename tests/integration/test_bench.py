"""The bench: that it measures what it says, and sees what goes wrong."""

from bench import drops
from bench.drop_process import Usage


def test_an_import_of_which_nothing_was_counted_is_a_fault() -> None:
    nothing = Usage(calls={}, write_units=0, bytes_read=0, peak_memory=1, cpu_seconds=1)
    figures = drops.Figures("csv", 100, 1000, 1.0, nothing, [nothing])

    assert list(drops.faults([figures])) == [
        "csv 100: no bytes read were counted",
        "csv 100: no write units were counted",
        "csv 100: no calls of dynamodb were counted",
        "csv 100: no calls of s3 were counted",
        "csv 100: no calls of sqs were counted",
    ]
