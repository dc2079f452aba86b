"""Data outlives mistakes: retention, backups, expiry, and identity across releases."""

from typing import Any

import pytest

from tests.template.edits import Edit, dropping, edited, setting
from tests.template.expansion import PARAMETERS, Template, of_type, referred

STATEFUL = {
    "Cognito::UserPool",
    "DynamoDB::GlobalTable",
    "DynamoDB::Table",
    "KMS::Key",
    "S3::Bucket",
    "SecretsManager::Secret",
}
KEPT = STATEFUL | {"S3::BucketPolicy"}
"""A bucket that is kept without its policy accepts requests without TLS."""
TRANSIENT = {
    "IdempotencyTable": "responses of one day",
    "ImportsTable": "states of imports; their reports are in the bucket",
    "RateLimitsTable": "a lost token bucket starts full",
}
NAMES = ("BucketName", "Name", "TableName")


def kept(template: Template) -> dict[str, Any]:
    """Return the resources that an update or a deletion of the stack must not delete."""
    return {
        name: resource
        for kind in KEPT
        for name, resource in of_type(template, kind).items()
        if name not in TRANSIENT
    }


def losses(template: Template) -> list[str]:
    """Return the resources that an update or a deletion of the stack can delete."""
    found = [
        f"{name} is not retained"
        for name, resource in kept(template).items()
        if resource.get("DeletionPolicy") not in ("Retain", "RetainExceptOnCreate")
        or resource.get("UpdateReplacePolicy") != "Retain"
    ]
    for kind in KEPT:
        for name, resource in of_type(template, kind).items():
            given = [
                resource["Properties"][each] for each in NAMES if each in resource["Properties"]
            ]
            if referred(given) & PARAMETERS.keys():
                found.append(f"{name} depends on a parameter")
    return found


def leftovers(template: Template) -> list[str]:
    """Return the resources that block or outlive a first deployment that fails.

    A rollback deletes what `RetainExceptOnCreate` allows. It fails on a table with deletion
    protection; `Retain` skips the table, which has a generated name and costs nothing.
    """
    found = []
    for name, resource in kept(template).items():
        protected = resource["Properties"].get("DeletionProtectionEnabled", False)
        named = set(NAMES) & resource["Properties"].keys()
        expected = "Retain" if protected else "RetainExceptOnCreate"
        if resource.get("DeletionPolicy") != expected or (protected and named):
            found.append(f"{name} outlives a failed first deployment")
    return found


def test_no_update_or_deletion_loses_data(environment: Template) -> None:
    assert losses(environment) == []


def test_a_first_deployment_that_fails_can_be_repeated(environment: Template) -> None:
    assert leftovers(environment) == []


TABLE: dict[str, Any] = {"Type": "AWS::DynamoDB::Table", "Properties": {}}


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (dropping("LedgerTable.DeletionPolicy"), "LedgerTable is not retained"),
        (dropping("Pepper.UpdateReplacePolicy"), "Pepper is not retained"),
        (dropping("DropsBucketPolicy.DeletionPolicy"), "DropsBucketPolicy is not retained"),
        (setting("NewTable", TABLE), "NewTable is not retained"),
        (
            setting("LedgerTable.Properties.TableName", {"Fn::Sub": "ledger-${StageName}"}),
            "LedgerTable depends on a parameter",
        ),
        (setting("Pepper.Properties.Name", {"Ref": "StageName"}), "Pepper depends on a parameter"),
        (
            setting("DropsBucket.DeletionPolicy", "Retain"),
            "DropsBucket outlives a failed first deployment",
        ),
        (
            setting("DropsBucketPolicy.DeletionPolicy", "Retain"),
            "DropsBucketPolicy outlives a failed first deployment",
        ),
        (
            setting("LedgerTable.Properties.TableName", "ledger"),
            "LedgerTable outlives a failed first deployment",
        ),
        (
            setting("DirectoryTable.DeletionPolicy", "RetainExceptOnCreate"),
            "DirectoryTable outlives a failed first deployment",
        ),
    ],
)
def test_an_edit_that_can_lose_data_is_found(edit: Edit, finding: str) -> None:
    template = edited(edit)

    assert finding in losses(template) + leftovers(template)


@pytest.mark.parametrize("table", ["LedgerTable", "DirectoryTable", "AccessLogTable", "LogTable"])
def test_tables_that_must_outlive_mistakes_can_be_restored(template: Template, table: str) -> None:
    resource = template["Resources"][table]

    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert resource["Properties"]["DeletionProtectionEnabled"] is True
    recovery = resource["Properties"]["PointInTimeRecoverySpecification"]
    assert recovery["PointInTimeRecoveryEnabled"] is True


@pytest.mark.parametrize(
    "name", ["Pepper", "DropsBucket", "DropsBucketPolicy", "LogBucket", "LogBucketPolicy", "LogKey"]
)
def test_secret_key_and_buckets_outlive_their_stack(template: Template, name: str) -> None:
    resource = template["Resources"][name]

    assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
    assert resource["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("table", ["IdempotencyTable", "ImportsTable", "LogTable"])
def test_temporary_items_expire(template: Template, table: str) -> None:
    expiry = template["Resources"][table]["Properties"]["TimeToLiveSpecification"]

    assert expiry == {"AttributeName": "expiration", "Enabled": True}


IDENTITY = {
    "LedgerTable": {"KeySchema": ["pk", "sk"]},
    "DirectoryTable": {"KeySchema": ["pk", "sk"]},
    "AccessLogTable": {"KeySchema": ["day", "entry"]},
    "IdempotencyTable": {"KeySchema": ["id"]},
    "RateLimitsTable": {"KeySchema": ["org_id"]},
    "ImportsTable": {"KeySchema": ["import_id", "item"]},
    "FormsTable": {"KeySchema": ["pk", "sk"]},
    "LogTable": {"KeySchema": ["pk", "sk"]},
    "LogBucket": {
        "BucketName": {"Fn::Sub": "${AWS::StackName}-log-${AWS::AccountId}-${AWS::Region}"}
    },
    "LogKey": {},
    "Pepper": {},
    "TwilioAuthToken": {},
    "DropsBucket": {
        "BucketName": {"Fn::Sub": "${AWS::StackName}-drops-${AWS::AccountId}-${AWS::Region}"}
    },
}
"""Deployed stacks hold their data under these logical ids, keys and names. A change to one of
them creates a new, empty resource: add to this table, never change a line of it."""


def test_resources_with_data_keep_their_identity(template: Template) -> None:
    stateful = {name: r for kind in STATEFUL for name, r in of_type(template, kind).items()}

    identity: dict[str, dict[str, Any]] = {
        name: {
            each: resource["Properties"][each] for each in NAMES if each in resource["Properties"]
        }
        for name, resource in stateful.items()
    }
    for name, table in of_type(template, "DynamoDB::Table").items():
        keys = [each["AttributeName"] for each in table["Properties"]["KeySchema"]]
        types = {each["AttributeType"] for each in table["Properties"]["AttributeDefinitions"]}
        assert types == {"S"}
        identity[name]["KeySchema"] = keys

    assert identity == IDENTITY
