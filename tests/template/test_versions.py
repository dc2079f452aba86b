"""Versions and gradual deployments: every change publishes a version, alarms roll it back."""

import re
from copy import deepcopy
from typing import Any

import pytest

from tests.template.edits import Edit, edited, setting
from tests.template.expansion import (
    PARAMETERS,
    SOURCE,
    Template,
    deployed,
    expand,
    of_type,
    overrides,
    referred,
)


def version_of(template: Template, function: str) -> str:
    """Return the logical id of a function's version, which SAM derives from a hash."""
    (name,) = (
        name
        for name, version in of_type(template, "Lambda::Version").items()
        if version["Properties"]["FunctionName"] == {"Ref": function}
    )
    return name


NEVER_CHANGED = {"LogOrigin"}
"""A log whose origin changes halts, whatever its functions know."""


def stale_versions(template: Template) -> list[str]:
    """Return the functions that keep an old parameter value, or get no version.

    SAM derives a version's name from the text of the template, so a new parameter value
    publishes none; a new description does. Lambda rejects a version of an unchanged function.
    """
    found = []
    for name, function in of_type(template, "Lambda::Function").items():
        version = template["Resources"][version_of(template, name)]
        used = referred(function["Properties"]) & PARAMETERS.keys() - NEVER_CHANGED
        described = referred(version["Properties"]) & PARAMETERS.keys()
        found += [f"{name} keeps an old {parameter}" for parameter in used - described]
        found += [f"{name} does not use {parameter}" for parameter in described - used]
    return found


def test_a_new_parameter_value_publishes_a_version(environment: Template) -> None:
    assert stale_versions(environment) == []


def describing(value: Any) -> Edit:
    """Return the edit that sets the description of a version of a function."""

    def edit(resources: Template) -> None:
        version = version_of({"Resources": resources}, "NotFoundFunction")
        resources[version]["Properties"]["Description"] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (
            describing(""),
            "NotFoundFunction keeps an old AllowedOrigin",
        ),
        (
            setting("NotFoundFunction.Properties.MemorySize", {"Ref": "ThrottleRate"}),
            "NotFoundFunction keeps an old ThrottleRate",
        ),
        (
            describing({"Ref": "ThrottleRate"}),
            "NotFoundFunction does not use ThrottleRate",
        ),
    ],
)
def test_an_edit_that_leaves_a_version_stale_is_found(edit: Edit, finding: str) -> None:
    assert finding in stale_versions(edited(edit))


def longest(parameter: str) -> int:
    """Return the length of the longest value that a parameter allows."""
    allowed = PARAMETERS[parameter]
    if "AllowedValues" in allowed:
        return max(len(str(value)) for value in allowed["AllowedValues"])
    return int(allowed["MaxLength"])


def test_the_description_of_a_version_fits_with_any_parameter_values(template: Template) -> None:
    """Lambda accepts 256 characters."""
    for version in of_type(template, "Lambda::Version").values():
        text = version["Properties"]["Description"]["Fn::Sub"]
        names = re.findall(r"\$\{(\w+)\}", text)
        assert sum(map(longest, names)) + len(re.sub(r"\$\{\w+\}", "", text)) <= 256, text


def test_a_new_layer_publishes_a_version_of_every_function() -> None:
    changed = deepcopy(SOURCE)
    changed["Resources"]["ConsentsLayer"]["Properties"]["ContentUri"] += "/changed"
    before = of_type(deployed(), "Lambda::Version")
    after = of_type(expand(changed), "Lambda::Version")

    assert len(before) == len(of_type(deployed(), "Lambda::Function"))
    assert before.keys().isdisjoint(after.keys())


def test_alarms_roll_back_a_gradual_deployment() -> None:
    template = deployed("all")
    groups = of_type(template, "CodeDeploy::DeploymentGroup").values()
    alarms = of_type(template, "CloudWatch::Alarm")

    assert len(groups) == len(of_type(template, "Lambda::Function"))
    for group in groups:
        watched = group["Properties"]["AlarmConfiguration"]["Alarms"]
        names = {each["Name"]["Ref"] for each in watched}
        assert names <= alarms.keys()
        # Lambda's `Errors` does not count what these two count.
        assert {"ApiErrorsAlarm", "MessagesFailedAlarm"} <= names


def test_a_prod_deployment_outlasts_each_alarm_period(template: Template) -> None:
    (minutes,) = re.findall(r"(\d+)Minutes$", overrides("prod")["DeploymentPreference"])

    for name in SOURCE["Globals"]["Function"]["DeploymentPreference"]["Alarms"]:
        alarm = template["Resources"][name["Ref"]]["Properties"]
        assert alarm["Period"] * alarm["EvaluationPeriods"] < int(minutes) * 60


def test_an_all_at_once_deployment_needs_no_codedeploy(template: Template) -> None:
    kinds = {resource["Type"] for resource in template["Resources"].values()}

    assert not any("CodeDeploy" in kind for kind in kinds)
