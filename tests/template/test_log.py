"""The transparency log: what streams into it, what locks it, and who may sign it."""

import re
from typing import Any

import pytest

from tests.template.expansion import PARAMETERS, Template, allowances, listed, of_type

NOBODY_MAY = (
    "kms:CreateGrant",
    "kms:ScheduleKeyDeletion",
    "s3:BypassGovernanceRetention",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
)


def key_statements(template: Template) -> list[dict[str, Any]]:
    """Return the statements of the policy of the log's key."""
    return list(template["Resources"]["LogKey"]["Properties"]["KeyPolicy"]["Statement"])


def test_the_ledger_streams_items_before_and_after_a_change(template: Template) -> None:
    ledger = template["Resources"]["LedgerTable"]["Properties"]

    assert ledger["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.mark.parametrize("action", NOBODY_MAY)
def test_no_function_may_remove_or_unlock_what_is_in_the_log(
    environment: Template, action: str
) -> None:
    assert action not in {each for _, actions, _ in allowances(environment) for each in actions}


def test_every_object_of_the_log_is_locked(template: Template) -> None:
    bucket = template["Resources"]["LogBucket"]["Properties"]
    (rule,) = bucket["ObjectLockConfiguration"]["Rule"].values()

    assert bucket["ObjectLockEnabled"] is True
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert rule["Days"] == {"Ref": "LogLockDays"}
    assert rule["Mode"] == {"Fn::If": ["HasComplianceLock", "COMPLIANCE", "GOVERNANCE"]}
    assert template["Conditions"]["HasComplianceLock"] == {
        "Fn::Equals": [{"Ref": "LogLock"}, "compliance"]
    }


def test_the_log_expires_only_what_a_checkpoint_does_not_need(template: Template) -> None:
    rules = template["Resources"]["LogBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]

    assert {rule["Prefix"] for rule in rules if "ExpirationInDays" in rule} == {"work/"}


def test_the_key_is_of_the_type_that_checkpoints_are_signed_with(template: Template) -> None:
    key = template["Resources"]["LogKey"]["Properties"]

    assert (key["KeySpec"], key["KeyUsage"]) == ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")


def test_only_the_publisher_may_sign(template: Template) -> None:
    signing = [one for one in key_statements(template) if "kms:Sign" in listed(one["Action"])]

    assert signing == [
        {
            "Sid": "Publication",
            "Effect": "Allow",
            "Principal": {"AWS": {"Fn::GetAtt": ["PublishLogFunctionRole", "Arn"]}},
            "Action": "kms:Sign",
            "Resource": "*",
            "Condition": {"StringEquals": {"kms:SigningAlgorithm": "ED25519_SHA_512"}},
        }
    ]
    assert "kms:Sign" not in {
        action
        for name, actions, _ in allowances(template)
        for action in actions
        if not name.endswith("Boundary")
    }


def test_a_change_that_is_not_sealed_is_kept_before_the_stream_loses_it(template: Template) -> None:
    mapping = template["Resources"]["SealRecordsFunctionChanges"]["Properties"]

    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["MaximumRecordAgeInSeconds"] < 24 * 3600
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["SealFailedQueue", "Arn"]
    }


def test_alarms_on_the_age_of_the_stream_come_early_and_again(template: Template) -> None:
    ages = [
        alarm["Properties"]["Threshold"]
        for name, alarm in of_type(template, "CloudWatch::Alarm").items()
        if name.startswith("SealAge")
    ]

    minutes = {
        name: one["Milliseconds"] / 60_000 for name, one in template["Mappings"]["SealAge"].items()
    }
    assert minutes == {"Minutes5": 5, "Hour1": 60, "Hours12": 720}
    assert len(ages) == len(minutes)


def test_the_publisher_anchors_each_hour(template: Template) -> None:
    rule = template["Resources"]["PublishLogFunctionHour"]["Properties"]

    assert rule["ScheduleExpression"] == "rate(1 hour)"
    assert [one["Input"] for one in rule["Targets"]] == ['{"anchor": true}']


def test_the_publisher_timestamps_an_anchor_each_day(template: Template) -> None:
    rule = template["Resources"]["PublishLogFunctionDay"]["Properties"]
    function = template["Resources"]["PublishLogFunction"]["Properties"]

    assert rule["ScheduleExpression"] == "rate(1 day)"
    assert [one["Input"] for one in rule["Targets"]] == ['{"anchor": true, "timestamp": true}']
    assert function["Environment"]["Variables"]["TIMESTAMP_URL"] == {"Ref": "TimestampUrl"}


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("", True),
        ("http://timestamp.example", True),
        ("https://tsa.example:8443/tsr?policy=1", True),
        ("ftp://tsa.example", False),
        ("https://user:password@tsa.example", False),
        ("https://tsa.example/two words", False),
    ],
)
def test_the_url_of_a_timestamp_authority_has_no_password(url: str, *, is_allowed: bool) -> None:
    assert bool(re.search(PARAMETERS["TimestampUrl"]["AllowedPattern"], url)) is is_allowed


def test_administrators_of_the_key_may_not_sign(template: Template) -> None:
    administration, *_ = key_statements(template)

    assert not {"kms:*", "kms:Sign", "kms:CreateGrant"} & {*listed(administration["Action"])}
