"""Alarms: every function and queue has one, and each leads to the runbook."""

import re
from typing import Any

import pytest

from tests.template.edits import Edit, dropping, edited
from tests.template.expansion import PARAMETERS, ROOT, SOURCE, Template, of_type, referred, text_of

ALARMS = of_type(SOURCE, "CloudWatch::Alarm")
ALARM_ON_SILENCE = ("LogStandsStillAlarm",)
"""Alarms on a metric that has a value each minute as long as all is well."""


def unwatched(template: Template) -> list[str]:
    """Return the functions and queues without an alarm."""
    watched = {
        (alarm["Properties"].get("MetricName"), name)
        for alarm in of_type(template, "CloudWatch::Alarm").values()
        for name in referred(alarm["Properties"].get("Dimensions", []))
    }
    wanted = [("Errors", name) for name in of_type(template, "Lambda::Function")]
    wanted += [
        (queue_metric(queue), name) for name, queue in of_type(template, "SQS::Queue").items()
    ]
    return [
        f"no alarm on {metric} of {name}"
        for metric, name in wanted
        if (metric, name) not in watched
    ]


def queue_metric(queue: dict[str, Any]) -> str:
    """Return the metric that shows a problem with a queue."""
    consumed = "RedrivePolicy" in queue["Properties"]
    return "ApproximateAgeOfOldestMessage" if consumed else "ApproximateNumberOfMessagesVisible"


def test_every_function_and_queue_has_an_alarm(environment: Template) -> None:
    assert unwatched(environment) == []


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (dropping("NotFoundErrorsAlarm"), "no alarm on Errors of NotFoundFunction"),
        (dropping("PartQueueAgeAlarm"), "no alarm on ApproximateAgeOfOldestMessage of PartQueue"),
        (
            dropping("DeadLetterAlarm"),
            "no alarm on ApproximateNumberOfMessagesVisible of DeadLetterQueue",
        ),
    ],
)
def test_a_missing_alarm_is_found(edit: Edit, finding: str) -> None:
    assert finding in unwatched(edited(edit))


def anchors() -> set[str]:
    """Return the anchors of the runbook's headings."""
    runbook = (ROOT / PARAMETERS["RunbookUrl"]["Default"]).read_text()
    headings = re.findall(r"^#+ (.+)$", runbook, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_links_to_a_section_of_the_runbook(alarm: str) -> None:
    page, anchor = (
        text_of(ALARMS[alarm]["Properties"]["AlarmDescription"]).split(": ")[-1].split("#")
    )

    assert page == "${RunbookUrl}"
    assert anchor in anchors()


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_notifies_the_topic(alarm: str) -> None:
    properties = ALARMS[alarm]["Properties"]
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}

    assert properties["AlarmActions"] == properties["OKActions"] == topic
    silence = "breaching" if alarm in ALARM_ON_SILENCE else "notBreaching"
    assert properties["TreatMissingData"] == silence


def test_a_few_rejected_requests_raise_no_alarm() -> None:
    """With little traffic, one client with an expired key reaches any share of requests."""
    alarm = ALARMS["ClientErrorsAlarm"]["Properties"]

    assert alarm["Statistic"] == "Sum"
    assert alarm["Threshold"] >= alarm["Period"]  # on average one rejection per second
