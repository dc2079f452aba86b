"""Usage from the logs: what a query returns, and where it is not available."""

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from consents_console import log_queries, usage

NOW = datetime(2026, 5, 14, 12, tzinfo=UTC)
ROW = {"day": "2026-05-14 00:00:00.000", "captures": "1200", "checks": "34", "code_30646": "5.0"}
REFUSED = ClientError({"Error": {"Code": "AccessDenied"}}, "StartQuery")
UNREACHABLE = EndpointConnectionError(endpoint_url="https://logs")


class Logs:
    """The logs of a stack, which return one result after some looks."""

    def __init__(
        self, rows: list[dict[str, str]], status: str = "Complete", looks: int = 0
    ) -> None:
        self.rows, self.status, self.looks = rows, status, looks
        self.started: dict[str, Any] = {}

    def start_query(self, **query: Any) -> dict[str, str]:
        """Start a query."""
        self.started = query
        return {"queryId": "q"}

    def get_query_results(self, queryId: str) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        """Return the results of the query, once it was looked at often enough."""
        assert queryId == "q"
        self.looks -= 1
        results = [[{"field": k, "value": v} for k, v in row.items()] for row in self.rows]
        return {"status": "Running" if self.looks >= 0 else self.status, "results": results}


def stack_with(logs: Any, groups: int = 2, error: Exception | None = None) -> Any:
    """Return a stack with so many log groups."""

    def pages(**_: str) -> Iterator[dict[str, Any]]:
        if error:
            raise error
        named = [("AWS::Logs::LogGroup", f"group-{number}") for number in range(groups)]
        yield {
            "StackResourceSummaries": [
                {"ResourceType": kind, "PhysicalResourceId": name}
                for kind, name in [("AWS::SQS::Queue", "queue"), *named]
            ]
        }

    paginator = SimpleNamespace(paginate=pages)
    cloudformation = SimpleNamespace(get_paginator=lambda _: paginator)
    return SimpleNamespace(name="s", logs=lambda: logs, cloudformation=cloudformation)


def test_an_organization_s_charts_add_up_its_requests() -> None:
    logs = Logs([ROW], looks=2)
    charts = usage.of_organization(stack_with(logs), "org_1", NOW)
    assert charts is not None
    assert {one.title: one.total for one in charts} == {
        "Captures": 1200,
        "Checks": 34,
        "Rejected: VALIDATION_FAILED": 0,
        "Rejected: NOT_FOUND": 0,
        "Rejected: 30646": 5,
    }
    assert charts[0].days[-1] == (NOW.date(), 1200)
    assert logs.started["logGroupNames"] == ["group-0", "group-1"]
    assert 'organization = "org_1"' in logs.started["queryString"]
    assert logs.started["startTime"] == int(datetime(2026, 5, 1, tzinfo=UTC).timestamp())


def test_logs_that_are_not_summed_up_have_no_charts() -> None:
    """The local engine returns lines where a query asks for sums."""
    logs = Logs([{"@message": "{}"}])
    assert usage.of_organization(stack_with(logs), "org_1", NOW) is None


def test_an_organization_without_requests_has_empty_charts() -> None:
    charts = usage.of_organization(stack_with(Logs([])), "org_1", NOW)
    assert charts is not None
    assert {one.total for one in charts} == {0}


@pytest.mark.parametrize(
    "stack",
    [
        stack_with(Logs([ROW], "Failed")),
        stack_with(Logs([ROW], "Cancelled")),
        stack_with(Logs([ROW]), groups=0),
        stack_with(Logs([ROW]), error=REFUSED),
        stack_with(Logs([ROW]), error=UNREACHABLE),
    ],
    ids=["failed", "cancelled", "no groups", "refused", "unreachable"],
)
def test_a_query_that_is_not_answered_is_not_available(stack: Any) -> None:
    assert log_queries.run(stack, "fields @message", NOW, NOW) is None
    assert usage.of_organization(stack, "org_1", NOW) is None


def test_a_query_has_at_most_fifty_groups() -> None:
    logs = Logs([ROW])
    log_queries.run(stack_with(logs, groups=60), "fields @message", NOW, NOW)
    assert len(logs.started["logGroupNames"]) == log_queries.MAX_GROUPS == 50
