"""The policies of each function: its role, the policies it shares, and its boundary."""

from typing import Any

from tests.template.expansion import SOURCE, Template, documents, listed, of_type, referred

FUNCTIONS = sorted(of_type(SOURCE, "Serverless::Function"))


def attached(role: dict[str, Any]) -> set[str]:
    """Return the logical ids of the managed policies of the stack that a role has."""
    arns = listed(role["Properties"].get("ManagedPolicyArns", []))
    return {arn["Ref"] for arn in arns if isinstance(arn, dict) and "Ref" in arn}


def of_provider(template: Template, role: str) -> set[str]:
    """Return the logical ids of the policies that a role has with some provider of texts."""
    policies = of_type(template, "IAM::Policy").items()
    return {name for name, each in policies if role in referred(each["Properties"]["Roles"])}


def statements(template: Template, function: str) -> list[dict[str, Any]]:
    """Return what a function's role allows: its own statements, and those it may share."""
    role = f"{function}Role"
    names = {role} | attached(template["Resources"][role]) | of_provider(template, role)
    return [
        statement
        for name, document in documents(template)
        for statement in listed(document["Statement"])
        if name in names
    ]


def boundary(function: str) -> str:
    """Return the logical id of a function's boundary."""
    return f"{function.removesuffix('Function')}Boundary"


def permissions(template: Template, function: str) -> set[tuple[str, str]]:
    """Return each action and resource, as text, that a function's role allows."""
    return pairs(statements(template, function))


def bounds(template: Template, function: str) -> set[tuple[str, str]]:
    """Return each action and resource, as text, that a function's boundary allows."""
    document = template["Resources"][boundary(function)]["Properties"]["PolicyDocument"]
    return pairs(document["Statement"])


def pairs(allowed: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return each action and resource of some statements."""
    return {
        (action, str(if_so(resource)))
        for statement in allowed
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def if_so(value: Any) -> Any:
    """Return a value as it is where its condition holds."""
    return value["Fn::If"][1] if isinstance(value, dict) and "Fn::If" in value else value
