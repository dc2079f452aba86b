"""The template as CloudFormation receives it: loops and SAM's resources expanded.

`python -m tests.template.expansion` prints it as JSON, for checkov.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ministack.services.cloudformation import language_extensions
from samcli.lib.config.samconfig import SamConfig
from samtranslator.translator.transform import transform

from tests import yaml_documents

ROOT = Path(__file__).parents[2]

type Template = dict[str, Any]

WRITTEN: Template = yaml_documents.template()
"""template.yaml as it is written."""
SOURCE: Template = language_extensions.apply(deepcopy(WRITTEN), {})
"""template.yaml with its loops expanded. Without parameter values, every `Ref` stays."""
PARAMETERS: dict[str, Any] = SOURCE["Parameters"]

ALL_ON = {
    "AccessLog": "on",
    "AlarmTopic": "arn:aws:sns:eu-west-1:123456789012:pager",
    "DeploymentPreference": "Linear10PercentEvery1Minute",
    "SnapStart": "PublishedVersions",
    "WebAcl": "managed",
}


def overrides(environment: str) -> dict[str, str]:
    """Return the parameters that samconfig.toml sets for an environment."""
    config = SamConfig(ROOT).get_all(["deploy"], "parameters", env=environment)
    return dict(each.split("=", 1) for each in config.get("parameter_overrides", []))


ENVIRONMENTS = {"default": {}, "dev": overrides("dev"), "prod": overrides("prod"), "all": ALL_ON}
"""Parameters that the rules about the template hold for."""


class NoManagedPolicies:
    """SAM's table of AWS managed policies by name; the template names none."""

    def load(self) -> dict[str, str]:
        """Return an empty table."""
        return {}


def expand(source: Template, parameters: dict[str, str] | None = None) -> Template:
    """Return SAM's expansion of a template, with code where `sam package` uploads it."""
    packaged = deepcopy(source)
    for resource in packaged["Resources"].values():
        for code in {"CodeUri", "ContentUri"} & resource["Properties"].keys():
            resource["Properties"][code] = f"s3://code/{resource['Properties'][code]}"
    with patch.dict(os.environ, AWS_DEFAULT_REGION="eu-west-1"):
        expanded: Template = transform(packaged, parameters or {}, NoManagedPolicies())
    return expanded


@cache
def deployed(environment: str = "default") -> Template:
    """Return the expanded template of one of `ENVIRONMENTS`. Copy it before an edit."""
    return expand(SOURCE, ENVIRONMENTS[environment])


def of_type(template: Template, kind: str) -> dict[str, Any]:
    """Return the resources of a type, by logical id."""
    resources = template["Resources"]
    return {name: each for name, each in resources.items() if each["Type"] == f"AWS::{kind}"}


def listed(value: Any) -> list[Any]:
    """Return a list unchanged, and any other value in a list."""
    return value if isinstance(value, list) else [value]


def text_of(value: Any) -> str:
    """Return the text of a string or of an `Fn::Sub`."""
    return str(value.get("Fn::Sub", "") if isinstance(value, dict) else value)


def referred(value: Any) -> set[str]:
    """Return all names that a value refers to."""
    if isinstance(value, list):
        return set().union(*map(referred, value))
    if not isinstance(value, dict):
        return set()
    names = referred(list(value.values()))
    names |= set(re.findall(r"\$\{([\w:]+)", text_of(value)))
    names |= {value["Ref"]} if "Ref" in value else set()
    return names | ({value["Fn::GetAtt"][0]} if "Fn::GetAtt" in value else set())


def documents(template: Template) -> Iterator[tuple[str, Any]]:
    """Return each policy of a role or of a managed policy, with its logical id."""
    for name, role in of_type(template, "IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            yield name, policy["PolicyDocument"]
    for kind in ("IAM::ManagedPolicy", "IAM::Policy"):
        for name, policy in of_type(template, kind).items():
            yield name, policy["Properties"]["PolicyDocument"]


def allowances(template: Template) -> Iterator[tuple[str, list[str], Any]]:
    """Return the actions and the resource of each allow statement, with its logical id."""
    for name, document in documents(template):
        for statement in listed(document["Statement"]):
            if statement["Effect"] == "Allow":
                actions = listed(statement.get("Action", "*"))  # NotAction allows all but some
                for resource in listed(statement.get("Resource", "*")):
                    yield name, actions, resource


if __name__ == "__main__":
    json.dump(deployed(), sys.stdout, indent=1)
