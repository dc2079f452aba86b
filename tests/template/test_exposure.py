"""Nothing is public, unencrypted, or accessible without TLS."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.template.edits import Edit, dropping, edited, setting
from tests.template.expansion import Template, listed, of_type


def exposures(template: Template) -> list[str]:
    """Return each resource that is public, unencrypted, or accessible without TLS."""
    return [
        *exposed_buckets(template),
        *exposed_queues(template),
        *exposed_data(template),
        *exposed_apis(template),
        *public_policies(template),
    ]


def exposed_buckets(template: Template) -> Iterator[str]:
    for name, bucket in of_type(template, "S3::Bucket").items():
        properties = bucket["Properties"]
        blocked = properties.get("PublicAccessBlockConfiguration", {})
        if len(blocked) != 4 or set(blocked.values()) != {True}:
            yield f"{name} can become public"
        if "BucketEncryption" not in properties:
            yield f"{name} is not encrypted"
        whole = [{"Fn::GetAtt": [name, "Arn"]}, {"Fn::Sub": f"${{{name}.Arn}}/*"}]
        if not any(
            policy["Properties"]["Bucket"] == {"Ref": name} and requires_tls(policy, "s3:*", whole)
            for policy in of_type(template, "S3::BucketPolicy").values()
        ):
            yield f"{name} accepts requests without TLS"


def exposed_queues(template: Template) -> Iterator[str]:
    for name, queue in of_type(template, "SQS::Queue").items():
        encrypted = {"KmsMasterKeyId": "a key"} | queue["Properties"]
        if not encrypted.get("SqsManagedSseEnabled"):
            yield f"{name} is not encrypted"
        if not any(
            {"Ref": name} in policy["Properties"]["Queues"] and requires_tls(policy, "sqs:*", ["*"])
            for policy in of_type(template, "SQS::QueuePolicy").values()
        ):
            yield f"{name} accepts requests without TLS"


def requires_tls(policy: dict[str, Any], action: str, resources: list[Any]) -> bool:
    """Return whether a policy denies every request that is not sent over TLS."""
    return any(
        (each["Effect"], each["Principal"], each["Action"]) == ("Deny", "*", action)
        and listed(each["Resource"]) == resources
        and each.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for each in policy["Properties"]["PolicyDocument"]["Statement"]
    )


def exposed_data(template: Template) -> Iterator[str]:
    for name, table in of_type(template, "DynamoDB::Table").items():
        if not table["Properties"].get("SSESpecification", {}).get("SSEEnabled"):
            yield f"{name} is not encrypted"
    for name, secret in of_type(template, "SecretsManager::Secret").items():
        if "SecretString" in secret["Properties"]:
            yield f"{name} has its value in the template"
    for name, topic in of_type(template, "SNS::Topic").items():
        if "KmsMasterKeyId" not in topic["Properties"]:
            yield f"{name} is not encrypted"


def exposed_apis(template: Template) -> Iterator[str]:
    for name, api in of_type(template, "ApiGateway::RestApi").items():
        if api["Properties"]["EndpointConfiguration"] != {"Types": ["REGIONAL"]}:
            yield f"{name} is not regional"
        tls = api["Properties"].get("SecurityPolicy", "TLS_1_0")
        if not tls.startswith("SecurityPolicy_TLS13"):
            yield f"{name} accepts an old TLS version"
    for name in of_type(template, "Lambda::Url"):
        yield f"{name} bypasses the API"
    for name, permission in of_type(template, "Lambda::Permission").items():
        if not {"SourceArn", "SourceAccount"} & permission["Properties"].keys():
            yield f"{name} allows every caller of a service"


def public_policies(template: Template) -> Iterator[str]:
    for kind in ("S3::BucketPolicy", "SQS::QueuePolicy", "SNS::TopicPolicy"):
        for name, policy in of_type(template, kind).items():
            for each in policy["Properties"]["PolicyDocument"]["Statement"]:
                if each["Effect"] == "Allow" and "*" in str(each["Principal"]):
                    yield f"{name} allows every principal"


def test_nothing_is_exposed(environment: Template) -> None:
    assert exposures(environment) == []


BUCKET = "DropsBucket.Properties"
BUCKET_POLICY = "DropsBucketPolicy.Properties.PolicyDocument.Statement.0"
QUEUES_POLICY = "OtherQueuesPolicy.Properties"
URL = {"Type": "AWS::Lambda::Url", "Properties": {"AuthType": "NONE"}}
TOPIC: dict[str, Any] = {"Type": "AWS::SNS::Topic", "Properties": {}}


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (
            setting(f"{BUCKET}.PublicAccessBlockConfiguration.BlockPublicAcls", False),
            "DropsBucket can become public",
        ),
        (dropping(f"{BUCKET}.BucketEncryption"), "DropsBucket is not encrypted"),
        (setting(f"{BUCKET_POLICY}.Effect", "Allow"), "DropsBucketPolicy allows every principal"),
        (
            setting(f"{BUCKET_POLICY}.Resource", [{"Fn::GetAtt": ["DropsBucket", "Arn"]}]),
            "DropsBucket accepts requests without TLS",
        ),
        (
            setting("PartQueue.Properties.SqsManagedSseEnabled", False),
            "PartQueue is not encrypted",
        ),
        (
            setting(f"{QUEUES_POLICY}.Queues", [{"Ref": "PartQueue"}]),
            "FailedQueue accepts requests without TLS",
        ),
        (
            setting(f"{QUEUES_POLICY}.PolicyDocument.Statement.0.Condition", {}),
            "DeadLetterQueue accepts requests without TLS",
        ),
        (dropping("LedgerTable.Properties.SSESpecification"), "LedgerTable is not encrypted"),
        (
            setting("Pepper.Properties.SecretString", "pepper"),
            "Pepper has its value in the template",
        ),
        (
            setting("Api.Properties.EndpointConfiguration", {"Types": ["EDGE"]}),
            "Api is not regional",
        ),
        (dropping("Api.Properties.SecurityPolicy"), "Api accepts an old TLS version"),
        (setting("NotFoundFunctionUrl", URL), "NotFoundFunctionUrl bypasses the API"),
        (setting("Topic", TOPIC), "Topic is not encrypted"),
    ],
)
def test_an_edit_that_exposes_a_resource_is_found(edit: Edit, finding: str) -> None:
    assert finding in exposures(edited(edit))


def test_the_bucket_is_private_encrypted_and_versioned(template: Template) -> None:
    bucket = template["Resources"]["DropsBucket"]["Properties"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]


def test_the_secret_is_generated_in_the_account(template: Template) -> None:
    secret = template["Resources"]["Pepper"]["Properties"]

    assert "SecretString" not in secret
    assert secret["GenerateSecretString"]["PasswordLength"] >= 32
