"""Queries of the functions' logs by CloudWatch Logs Insights."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError
from consents_cli.stack import Stack

type Row = dict[str, str]

MAX_GROUPS = 50
"""Limit of one query
(https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html)."""

_WAIT = timedelta(seconds=8)
_LOOK_SECONDS = 0.1


def run(stack: Stack, query: str, start: datetime, end: datetime) -> list[Row] | None:
    """Return the rows of a query, or None where it is refused or takes too long."""
    try:
        groups = _log_groups(stack)
        if not groups:
            return None
        started = stack.logs().start_query(
            logGroupNames=groups[:MAX_GROUPS],
            startTime=int(start.timestamp()),
            endTime=int(end.timestamp()) + 1,
            queryString=query,
        )
        return _rows(stack, started["queryId"])
    except (BotoCoreError, ClientError):
        return None


def _rows(stack: Stack, query_id: str) -> list[Row] | None:
    deadline = time.monotonic() + _WAIT.total_seconds()
    while time.monotonic() < deadline:
        found = stack.logs().get_query_results(queryId=query_id)
        if found["status"] == "Complete":
            return [{one["field"]: one["value"] for one in row} for row in found["results"]]
        if found["status"] not in ("Scheduled", "Running"):
            return None
        time.sleep(_LOOK_SECONDS)
    return None


def _log_groups(stack: Stack) -> Sequence[str]:
    """Return the log groups of the stack's functions."""
    pages = stack.cloudformation.get_paginator("list_stack_resources")
    return [
        resource["PhysicalResourceId"]
        for page in pages.paginate(StackName=stack.name)
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::Logs::LogGroup"
    ]
