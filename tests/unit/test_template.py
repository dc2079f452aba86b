"""What template.yaml promises: least privilege, evidence that outlives mistakes, logs that end."""

from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import parse_yaml_file

ROOT = Path(__file__).parents[2]
RESOURCES: dict[str, Any] = parse_yaml_file(str(ROOT / "template.yaml"))["Resources"]


def of_type(kind: str) -> dict[str, Any]:
    return {
        name: resource for name, resource in RESOURCES.items() if resource["Type"] == f"AWS::{kind}"
    }


FUNCTIONS = of_type("Serverless::Function")
TABLES = of_type("DynamoDB::Table")


def allowed(function: str, resource: Any) -> set[str]:
    """Return the actions that a function may do on a resource."""
    actions: set[str] = set()
    for policy in FUNCTIONS[function]["Properties"].get("Policies", []):
        for statement in policy["Statement"]:
            if statement["Resource"] == resource:
                action = statement["Action"]
                actions |= {action} if isinstance(action, str) else set(action)
    return actions


LEDGER = {"Fn::GetAtt": ["LedgerTable", "Arn"]}
DIRECTORY = {"Fn::GetAtt": ["DirectoryTable", "Arn"]}
INSERT, QUERY = "dynamodb:PartiQLInsert", "dynamodb:Query"
IDEMPOTENCY = {"Fn::GetAtt": ["IdempotencyTable", "Arn"]}
RATE_LIMITS = {"Fn::GetAtt": ["RateLimitsTable", "Arn"]}
GET, GET_MANY = "dynamodb:GetItem", "dynamodb:BatchGetItem"
PUT, UPDATE, DELETE = "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"


@pytest.mark.parametrize(
    ("function", "ledger", "directory"),
    [
        ("CreateBulkConsentsFunction", {INSERT}, {GET}),
        ("CaptureConsentsFunction", {INSERT}, {GET, GET_MANY}),
        ("CaptureConsentFunction", {INSERT, QUERY}, {GET, GET_MANY}),
        ("NotFoundFunction", set(), set()),
    ],
)
def test_a_function_may_do_what_it_does_and_nothing_else(
    function: str, ledger: set[str], directory: set[str]
) -> None:
    assert allowed(function, LEDGER) == ledger
    assert allowed(function, DIRECTORY) == directory
    assert allowed(function, IDEMPOTENCY) == ({DELETE, GET, PUT, UPDATE} if ledger else set())
    assert allowed(function, RATE_LIMITS) == ({GET, UPDATE} if ledger else set())


def test_every_permission_is_one_of_those_on_the_tables_or_on_the_key_of_hashes() -> None:
    statements = [
        statement
        for function in FUNCTIONS.values()
        for policy in function["Properties"].get("Policies", [])
        for statement in policy["Statement"]
    ]
    resources = [statement["Resource"] for statement in statements]

    known = (LEDGER, DIRECTORY, IDEMPOTENCY, RATE_LIMITS, {"Ref": "Pepper"})
    assert all(resource in known for resource in resources)
    assert all(statement["Effect"] == "Allow" for statement in statements)
    assert "*" not in str(statements)


def test_every_slice_is_a_function_and_every_function_a_slice() -> None:
    slices = {path.parent.name for path in ROOT.glob("functions/*/app.py")}

    assert {f["Properties"]["CodeUri"] for f in FUNCTIONS.values()} == {
        f"functions/{name}" for name in slices
    }
    assert set(FUNCTIONS) == {f"{name.title().replace('_', '')}Function" for name in slices}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_writes_to_a_log_group_whose_entries_end(function: str) -> None:
    group = FUNCTIONS[function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]

    assert group == function.removesuffix("Function") + "LogGroup"
    assert RESOURCES[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("table", ["LedgerTable", "DirectoryTable"])
def test_evidence_and_the_directory_outlive_their_stack_and_can_be_restored(table: str) -> None:
    resource = TABLES[table]

    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert resource["Properties"]["DeletionProtectionEnabled"] is True
    recovery = resource["Properties"]["PointInTimeRecoverySpecification"]
    assert recovery["PointInTimeRecoveryEnabled"] is True


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_encrypted(table: str) -> None:
    assert TABLES[table]["Properties"]["SSESpecification"]["SSEEnabled"] is True


def test_an_answer_that_is_kept_for_a_repeat_is_not_kept_for_ever() -> None:
    expiry = TABLES["IdempotencyTable"]["Properties"]["TimeToLiveSpecification"]

    assert expiry == {"AttributeName": "expiration", "Enabled": True}


def test_the_key_of_hashes_is_made_in_the_account_and_kept() -> None:
    pepper = RESOURCES["Pepper"]

    assert pepper["DeletionPolicy"] == pepper["UpdateReplacePolicy"] == "Retain"
    assert "SecretString" not in pepper["Properties"]
    assert pepper["Properties"]["GenerateSecretString"]["PasswordLength"] >= 32


def test_the_layer_holds_what_the_lock_file_says() -> None:
    lock = (ROOT / "uv.lock").read_text()
    pinned = [
        line.split(" ")[0]
        for line in (ROOT / "layers/consents/requirements.txt").read_text().splitlines()
        if "==" in line
    ]

    assert pinned
    for name, version in (pin.split("==") for pin in pinned):
        assert f'name = "{name}"\nversion = "{version}"' in lock
    assert "boto3" not in {pin.split("==")[0] for pin in pinned}
