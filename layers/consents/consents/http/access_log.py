"""One log line and one set of metrics per request, with counts, codes and times only."""

from collections import Counter

from aws_lambda_powertools import Logger

from consents.aws import metrics
from consents.domain.outcome import Rejected, Stored
from consents.http.idempotency import REPLAYED
from consents.http.response import Response

log = Logger()


def report_request(route: str, response: Response, milliseconds: float) -> None:
    """Log a request in one line, and count it and its records."""
    outcomes = response.outcomes
    rejected = Counter(each.code for each in outcomes if isinstance(each, Rejected))
    accepted, unavailable = outcomes.count(Stored.ACCEPTED), outcomes.count(Stored.UNAVAILABLE)
    reasons = Counter(response.reasons)
    replayed = response.headers.items() >= REPLAYED.items()
    log.info(
        "request.completed",
        route=route,
        status=response.status,
        code=response.code,
        accepted=accepted if outcomes else None,
        rejected=dict(rejected) if outcomes else None,
        unavailable=unavailable if outcomes else None,
        reasons=dict(reasons) if reasons else None,
        replayed=replayed,
        cold_start=metrics.is_cold_start(),
        milliseconds=milliseconds,
    )
    values: dict[str, float] = {
        "RecordsAccepted": accepted,
        "RecordsRejected": rejected.total(),
        "RecordsUnavailable": unavailable,
        "RequestLatency": milliseconds,
        "RequestsReplayed": int(replayed),
        "RequestsThrottled": int(response.status == 429),
        "RequestsUnavailable": int(response.status == 503),
    }
    metrics.write(values, rejected, reasons)
