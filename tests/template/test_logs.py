"""Each function has a log group, and logs expire."""

import json

import pytest

from tests.template.edits import Edit, dropping, edited
from tests.template.expansion import Template, of_type
from tests.template.policies import FUNCTIONS


def endless_logs(template: Template) -> list[str]:
    """Return the functions without a log group, and the groups without a retention."""
    groups = of_type(template, "Logs::LogGroup")
    found = [
        f"{name} has no log group"
        for name, function in of_type(template, "Lambda::Function").items()
        if function["Properties"].get("LoggingConfig", {}).get("LogGroup", {}).get("Ref")
        not in groups
    ]
    return found + [
        f"{name} never expires"
        for name, group in groups.items()
        if "RetentionInDays" not in group["Properties"]
    ]


def test_all_logs_expire(environment: Template) -> None:
    assert endless_logs(environment) == []


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (
            dropping("NotFoundFunction.Properties.LoggingConfig"),
            "NotFoundFunction has no log group",
        ),
        (dropping("NotFoundLogGroup.Properties.RetentionInDays"), "NotFoundLogGroup never expires"),
    ],
)
def test_an_edit_that_keeps_logs_forever_is_found(edit: Edit, finding: str) -> None:
    assert finding in endless_logs(edited(edit))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_logs_to_the_log_group_of_its_name(template: Template, function: str) -> None:
    resources = template["Resources"]
    group = resources[function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]

    assert group == function.removesuffix("Function") + "LogGroup"
    assert resources[group]["Properties"]["RetentionInDays"] == {"Ref": "LogGroupRetentionDays"}


def test_the_access_log_and_function_logs_share_request_ids(template: Template) -> None:
    stage = template["Resources"]["ApiStage"]["Properties"]
    _, settings, _ = stage["AccessLogSetting"]["Fn::If"]
    format_ = json.loads(settings["Format"])

    assert format_["gateway_request_id"] == "$context.requestId"
    assert format_["lambda_request_id"] == "$context.integration.requestId"
    assert "request_id" not in format_  # in a function's log it is a ULID
