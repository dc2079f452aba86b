"""Metrics: lines in the log that CloudWatch reads (its embedded metric format).

They have the dimension `service` and no other, so that an alarm needs no more. Rejected records are
counted once more by `code`, checked contacts by `reason`; of both there are few. No metric holds
what a client sent.
"""

import time
from collections.abc import Mapping
from itertools import count

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

_UNITS = {"RequestLatency": MetricUnit.Milliseconds}
"""The units of metrics that are not counts."""

log = Logger()
_invocations = count()


def is_cold_start() -> bool:
    """Return whether this is the first call of the process."""
    return next(_invocations) == 0


def milliseconds_since(started: float) -> float:
    """Return the time since an instant of `time.perf_counter`."""
    return round((time.perf_counter() - started) * 1000, 1)


def write(
    values: Mapping[str, float],
    rejected: Mapping[str, int] | None = None,
    reasons: Mapping[str, int] | None = None,
) -> None:
    """Write a value per metric, the rejected records per code, and the contacts per reason.

    A failure is a log line: no response is lost for a metric.
    """
    try:
        _write(values)
        for code, records in (rejected or {}).items():
            _write({"RecordsRejected": records}, code=code)
        for reason, contacts in (reasons or {}).items():
            _write({"ContactsChecked": contacts}, reason=reason)
    except Exception as error:  # noqa: BLE001 - no response is lost for a metric
        log.warning("metrics.write_failed", error=type(error).__name__)


def _write(values: Mapping[str, float], **dimensions: str) -> None:
    metrics = EphemeralMetrics()  # a new object: nothing is left over for the next call
    for name, text in dimensions.items():
        metrics.add_dimension(name, text)
    for name, value in values.items():
        metrics.add_metric(name, _UNITS.get(name, MetricUnit.Count), value)
    metrics.flush_metrics()
