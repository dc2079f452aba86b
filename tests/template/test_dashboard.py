"""The dashboard shows every function, queue and metric of the service."""

import json
from typing import Any

from tests.template.expansion import PARAMETERS, Template, of_type, referred

PER_FUNCTION = ("ConcurrentExecutions", "Duration", "Errors", "Throttles")


def body(template: Template) -> str:
    """Return the dashboard's text, before CloudFormation fills in its references."""
    return str(template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])


def metrics(template: Template) -> list[Any]:
    """Return the metrics of all graphs."""
    widgets = json.loads(body(template))["widgets"]
    return [metric for widget in widgets for metric in widget["properties"]["metrics"]]


def test_the_dashboard_finds_functions_by_the_stack_name(template: Template) -> None:
    """CloudFormation names a function STACK-LogicalId-RANDOM, so that a new one needs no line."""
    searches = [each["expression"] for (each, *_) in metrics(template) if isinstance(each, dict)]

    assert sorted(searches) == [
        f'SEARCH(\'{{AWS/Lambda,FunctionName}} MetricName="{name}" '
        f"FunctionName=${{AWS::StackName}}', '{statistic}', 60)"
        for name, statistic in zip(PER_FUNCTION, ("Maximum", "Maximum", "Sum", "Sum"), strict=True)
    ]
    for function in of_type(template, "Lambda::Function").values():
        assert "FunctionName" not in function["Properties"]


def test_the_dashboard_shows_every_queue(template: Template) -> None:
    shown = str(metrics(template))

    for name in of_type(template, "SQS::Queue"):
        assert f"${{{name}.QueueName}}" in shown


def test_the_dashboard_shows_the_metric_of_every_alarm(template: Template) -> None:
    shown = str(metrics(template))

    for alarm in of_type(template, "CloudWatch::Alarm").values():
        assert all(name in shown for name in metric_names(alarm["Properties"]))


def metric_names(alarm: dict[str, Any]) -> list[str]:
    """Return the name of the metric of an alarm, or those that its expression has."""
    if "MetricName" in alarm:
        return [alarm["MetricName"]]
    stats = (one["MetricStat"] for one in alarm["Metrics"] if "MetricStat" in one)
    return [one["Metric"]["MetricName"] for one in stats]


def test_the_dashboard_refers_to_nothing_unknown(template: Template) -> None:
    known = {*template["Resources"], *PARAMETERS, "AWS::Region", "AWS::StackName"}

    assert referred({"Fn::Sub": body(template)}) <= known


def test_graphs_do_not_overlap(template: Template) -> None:
    cells = [
        (widget["x"] + column, widget["y"] + row)
        for widget in json.loads(body(template))["widgets"]
        for column in range(widget["width"])
        for row in range(widget["height"])
    ]

    assert len(cells) == len(set(cells))
