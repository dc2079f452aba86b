"""What the service tells of itself: a line in the log for each request, and metrics.

Neither ever holds what was sent: counts, codes, times, and ids that are our own.

Metrics are lines in the log that CloudWatch reads (its embedded metric format). They have the
dimension `service` and no other, so that an alarm needs no more; refused records are counted once
more by `code`, of which there are few.
"""

import time
from collections import Counter
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from consents.aws.idempotency import REPLAYED
from consents.domain.outcome import Rejected, Stored
from consents.wires.answer import Answer

if TYPE_CHECKING:  # no API function loads what files need
    from consents.domain.drop import Counts

_UNITS = {"RequestLatency": MetricUnit.Milliseconds}
"""The units of metrics that are not counts."""

log = Logger()
_invocations = count()


def is_cold_start() -> bool:
    """Tell whether this process is asked for the first time."""
    return next(_invocations) == 0


def milliseconds_since(started: float) -> float:
    """Return the time since an instant of `time.perf_counter`."""
    return round((time.perf_counter() - started) * 1000, 1)


def report_request(route: str, answered: Answer, milliseconds: float) -> None:
    """Log a request in one line, and count it and its records."""
    outcomes = answered.outcomes
    rejected = Counter(each.code for each in outcomes if isinstance(each, Rejected))
    accepted, unavailable = outcomes.count(Stored.ACCEPTED), outcomes.count(Stored.UNAVAILABLE)
    replayed = answered.headers.items() >= REPLAYED.items()
    log.info(
        "answered",
        route=route,
        status=answered.status,
        code=answered.code,
        accepted=accepted if outcomes else None,
        rejected=dict(rejected) if outcomes else None,
        unavailable=unavailable if outcomes else None,
        replayed=replayed,
        cold_start=is_cold_start(),
        milliseconds=milliseconds,
    )
    values: dict[str, float] = {
        "RecordsAccepted": accepted,
        "RecordsRejected": rejected.total(),
        "RecordsUnavailable": unavailable,
        "RequestLatency": milliseconds,
        "RequestsReplayed": int(replayed),
        "RequestsThrottled": int(answered.status == 429),
        "RequestsUnavailable": int(answered.status == 503),
    }
    write_metrics(values, rejected)


def count_rows(counts: "Counts") -> None:
    """Count the rows of a part of a file."""
    values = {
        "RecordsAccepted": counts.accepted,
        "RecordsDuplicate": counts.duplicates,
        "RecordsRejected": sum(counts.rejected.values()),
    }
    write_metrics(values, counts.rejected)


def count_failed_message() -> None:
    """Count a message that was not handled: it comes again, or is given up."""
    write_metrics({"MessagesFailed": 1}, {})


def write_metrics(values: Mapping[str, float], rejected: Mapping[str, int]) -> None:
    """Write a value of each metric, and once more by code how many records were refused.

    What goes wrong here is a line in the log, and nothing to whoever waits for an answer.
    """
    try:
        _write(values)
        for code, records in rejected.items():
            _write({"RecordsRejected": records}, code=code)
    except Exception as error:  # noqa: BLE001 - no answer is lost for a metric
        log.warning("metrics not written", error=type(error).__name__)


def _write(values: Mapping[str, float], **dimensions: str) -> None:
    metrics = EphemeralMetrics()  # of its own: nothing is left over for the next call
    for name, text in dimensions.items():
        metrics.add_dimension(name, text)
    for name, value in values.items():
        metrics.add_metric(name, _UNITS.get(name, MetricUnit.Count), value)
    metrics.flush_metrics()
