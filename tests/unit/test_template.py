"""What template.yaml promises: least privilege, evidence that outlives mistakes, logs that end."""

import json
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


IMPORTS = {"Fn::GetAtt": ["ImportsTable", "Arn"]}
PEPPER = {"Ref": "Pepper"}
READ_SECRET = "secretsmanager:GetSecretValue"
SEND = "sqs:SendMessage"
API = {
    "pepper": {READ_SECRET},
    "idempotency": {DELETE, GET, PUT, UPDATE},
    "rate_limits": {GET, UPDATE},
}
WORK = {"work": {"s3:GetObject", "s3:PutObject"}, "reports": {"s3:PutObject"}}


def objects(prefix: str) -> dict[str, str]:
    return {"Fn::Sub": f"${{DropsBucket.Arn}}/{prefix}/*"}


def arn(name: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, "Arn"]}


RESOURCES_BY_NAME: dict[str, Any] = {
    "ledger": LEDGER,
    "directory": DIRECTORY,
    "idempotency": IDEMPOTENCY,
    "rate_limits": RATE_LIMITS,
    "pepper": PEPPER,
    "imports": IMPORTS,
    "imports_of_an_organization": {"Fn::Sub": "${ImportsTable.Arn}/index/ByOrganization"},
    "bucket": arn("DropsBucket"),
    "drops": objects("drops"),
    "work": objects("work"),
    "reports": objects("reports"),
    "plans": arn("PlanQueue"),
    "parts": arn("PartQueue"),
    "dead_letters": arn("DeadLetterQueue"),
}

PERMISSIONS: dict[str, dict[str, set[str]]] = {
    "CreateBulkConsentsFunction": {"ledger": {INSERT}, "directory": {GET}, **API},
    "CaptureConsentsFunction": {"ledger": {INSERT}, "directory": {GET, GET_MANY}, **API},
    "CaptureConsentFunction": {"ledger": {INSERT, QUERY}, "directory": {GET, GET_MANY}, **API},
    "CreateImportFunction": {
        "directory": {GET},
        "imports": {UPDATE},
        "drops": {"s3:PutObject"},
        "rate_limits": {GET},
        "pepper": {READ_SECRET},
    },
    "GetImportFunction": {
        "directory": {GET},
        "imports": {GET},
        "reports": {"s3:GetObject"},
        "rate_limits": {GET},
        "pepper": {READ_SECRET},
    },
    "ListImportsFunction": {
        "directory": {GET},
        "imports_of_an_organization": {QUERY},
        "rate_limits": {GET},
        "pepper": {READ_SECRET},
    },
    "NotFoundFunction": {},
    "PlanImportFunction": {
        "directory": {GET},
        "imports": {GET, QUERY, UPDATE},
        "bucket": {"s3:ListBucket", "s3:ListBucketVersions"},
        "drops": {"s3:GetObjectVersion"},
        "plans": {SEND},
        "parts": {SEND},
        **WORK,
    },
    "ImportPartFunction": {
        "ledger": {INSERT, GET_MANY},
        "directory": {GET_MANY},
        "imports": {GET, PUT, QUERY, UPDATE},
        "bucket": {"s3:ListBucket", "s3:ListBucketVersions"},
        "drops": {"s3:GetObjectVersion"},
        **WORK,
    },
    "FailImportFunction": {
        "imports": {GET, QUERY, UPDATE},
        "dead_letters": {SEND},
        **WORK,
    },
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_what_it_does_and_nothing_else(function: str) -> None:
    granted = {name: allowed(function, each) for name, each in RESOURCES_BY_NAME.items()}

    assert {name: actions for name, actions in granted.items() if actions} == PERMISSIONS[function]


def test_every_permission_is_an_allowance_on_a_named_resource() -> None:
    statements = [
        statement
        for function in FUNCTIONS.values()
        for policy in function["Properties"].get("Policies", [])
        for statement in policy["Statement"]
    ]

    assert all(each["Resource"] in RESOURCES_BY_NAME.values() for each in statements)
    assert all(each["Effect"] == "Allow" for each in statements)
    assert not any("*" in str(each["Action"]) for each in statements)


def test_the_log_of_the_api_names_its_ids_as_the_log_of_a_function_does() -> None:
    _, told, _ = RESOURCES["Api"]["Properties"]["AccessLogSetting"]["Fn::If"]
    format_ = json.loads(told["Format"])

    assert format_["gateway_request_id"] == "$context.requestId"
    assert format_["lambda_request_id"] == "$context.integration.requestId"
    assert "request_id" not in format_  # in a function's log it is a ULID


def test_compressed_bodies_arrive_as_the_bytes_they_are() -> None:
    """CloudFormation wants the slash of a media type escaped, as in a JSON pointer."""
    (media_type,) = RESOURCES["Api"]["Properties"]["BinaryMediaTypes"]

    assert media_type == {"Fn::If": ["OnLocalEngine", "application/gzip", "application~1gzip"]}


def test_dropped_files_are_private_encrypted_versioned_and_sent_over_tls_alone() -> None:
    bucket = RESOURCES["DropsBucket"]["Properties"]
    (deny,) = RESOURCES["DropsBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert RESOURCES["DropsBucket"]["DeletionPolicy"] == "Retain"


@pytest.mark.parametrize(
    ("queue", "function"),
    [
        ("PlanQueue", "PlanImportFunction"),
        ("PartQueue", "ImportPartFunction"),
        ("FailedQueue", "FailImportFunction"),
    ],
)
def test_a_message_stays_hidden_as_long_as_its_function_may_run(queue: str, function: str) -> None:
    hidden = RESOURCES[queue]["Properties"]["VisibilityTimeout"]

    assert hidden > FUNCTIONS[function]["Properties"]["Timeout"]


def test_what_the_queues_give_up_on_ends_in_the_dead_letter_queue() -> None:
    targets = {
        name: queue["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]
        for name, queue in of_type("SQS::Queue").items()
        if "RedrivePolicy" in queue["Properties"]
    }

    assert targets == {
        "PlanQueue": arn("FailedQueue"),
        "PartQueue": arn("FailedQueue"),
        "FailedQueue": arn("DeadLetterQueue"),
    }


def test_a_message_that_brings_its_receipts_along_is_still_delivered_five_times() -> None:
    given_up, failed = (
        RESOURCES[name]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
        for name in ("PartQueue", "FailedQueue")
    )

    assert failed >= given_up + 5


def test_a_planner_may_hand_over_more_often_than_lambda_takes_for_a_loop() -> None:
    loops = [name for name, each in FUNCTIONS.items() if "RecursiveLoop" in each["Properties"]]

    assert loops == ["PlanImportFunction"]
    assert FUNCTIONS["PlanImportFunction"]["Properties"]["RecursiveLoop"] == "Allow"


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


@pytest.mark.parametrize("table", ["IdempotencyTable", "ImportsTable"])
def test_what_is_kept_for_a_time_is_not_kept_for_ever(table: str) -> None:
    expiry = TABLES[table]["Properties"]["TimeToLiveSpecification"]

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
