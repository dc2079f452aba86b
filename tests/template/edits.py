"""Edits that break a rule about the template, made on a copy of the expanded template."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.template.expansion import Template, deployed

type Rule = Callable[[Template], list[str]]
type Edit = Callable[[Template], None]

LEDGER = {"Fn::GetAtt": ["LedgerTable", "Arn"]}


def edited(edit: Edit) -> Template:
    """Return a copy of the expanded template with an edit."""
    template = deepcopy(deployed())
    edit(template["Resources"])
    return template


def setting(path: str, value: Any) -> Edit:
    """Return the edit that sets the value at a dotted path under Resources."""
    *way, last = path.split(".")

    def edit(resources: Template) -> None:
        at: Any = resources
        for each in way:
            at = at[int(each) if isinstance(at, list) else each]
        at[int(last) if isinstance(at, list) else last] = value

    return edit


def dropping(path: str) -> Edit:
    """Return the edit that removes the value at a dotted path under Resources."""
    *way, last = path.split(".")

    def edit(resources: Template) -> None:
        at: Any = resources
        for each in way:
            at = at[each]
        del at[last]

    return edit


def allowing(action: str, resource: Any, name: str = "CaptureConsentFunctionRole") -> Edit:
    """Return the edit that adds an allow statement to a role or to a managed policy."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}

    def edit(resources: Template) -> None:
        properties = resources[name]["Properties"]
        policy = properties["Policies"][0] if "Policies" in properties else properties
        policy["PolicyDocument"]["Statement"].append(statement)

    return edit
