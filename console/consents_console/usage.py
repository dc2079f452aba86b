"""What was sent each day: of the stack by its metrics, of one organization by the logs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from consents.decisions.decide import Reason
from consents_cli.stack import Stack

from consents_console.charts import Chart, chart, start_of
from consents_console.log_queries import Row, run

NAMESPACE = "ConsentLedger"
CODES = ("VALIDATION_FAILED", "NOT_FOUND", "30646")
_DAY_SECONDS = 24 * 60 * 60

_METRICS: Mapping[str, Sequence[tuple[str, Mapping[str, str]]]] = {
    "Captures": [("RecordsAccepted", {})],
    "Checks": [("ContactsChecked", {"reason": reason}) for reason in Reason],
    **{f"Rejected: {code}": [("RecordsRejected", {"code": code})] for code in CODES},
}
"""The metrics that each chart of the stack adds up, with their dimensions."""

_FIELDS = {"Captures": "captures", "Checks": "checks"} | {
    f"Rejected: {code}": f"code_{code}" for code in CODES
}
"""The column of the query that each chart of an organization shows."""

_QUERY = """filter message = "request.completed" and organization = "{org_id}"
| stats sum(accepted) as captures, sum(contacts) as checks, {codes} by bin(1d) as day
"""


def of_stack(stack: Stack, now: datetime) -> list[Chart] | None:
    """Return the charts of all organizations together, or None where there is no metric."""
    metrics = [(title, *one) for title, listed in _METRICS.items() for one in listed]
    try:
        answer = stack.cloudwatch().get_metric_data(
            MetricDataQueries=[
                _query(f"m{number}", stack.name, name, dimensions)
                for number, (_, name, dimensions) in enumerate(metrics)
            ],
            StartTime=start_of(now),
            EndTime=now,
        )
    except (BotoCoreError, ClientError):
        return None
    sums: dict[str, Counter[date]] = {title: Counter() for title in _METRICS}
    for found in answer["MetricDataResults"]:
        title = metrics[int(found["Id"].removeprefix("m"))][0]
        for at, value in zip(found["Timestamps"], found["Values"], strict=True):
            sums[title][at.astimezone(UTC).date()] += round(value)
    return [chart(*one, now) for one in sums.items()] if any(sums.values()) else None


def of_organization(stack: Stack, org_id: str, now: datetime) -> list[Chart] | None:
    """Return the charts of an organization, or None where the logs cannot be summed up."""
    codes = ", ".join(f"sum(`rejected.{code}`) as code_{code}" for code in CODES)
    rows = run(stack, _QUERY.format(org_id=org_id, codes=codes), start_of(now), now)
    if rows is None or not all("day" in row for row in rows):
        return None
    return [chart(title, _by_day(rows, field), now) for title, field in _FIELDS.items()]


def _query(query_id: str, service: str, name: str, dimensions: Mapping[str, str]) -> Any:
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    metric = {
        "Namespace": NAMESPACE,
        "MetricName": name,
        "Dimensions": [*named, {"Name": "service", "Value": service}],
    }
    stat = {"Metric": metric, "Period": _DAY_SECONDS, "Stat": "Sum"}
    return {"Id": query_id, "MetricStat": stat}


def _by_day(rows: Sequence[Row], field: str) -> dict[date, float]:
    return {date.fromisoformat(row["day"][:10]): float(row.get(field) or 0) for row in rows}
