"""The transparency log: what streams into it, what locks it, and who may sign it."""

import json
import re
from typing import Any

import pytest
from consents.proof.witness_policy import InvalidPolicy
from consents_cli.log_anchors import MAX_PARAMETER, PARAMETER_LINE, parameter_of, policy_of

from tests.template.expansion import PARAMETERS, Template, allowances, documents, listed, of_type
from tests.unit.log_store import LogKey
from tests.unit.witness_model import WitnessModel

NOBODY_MAY = (
    "kms:CreateGrant",
    "kms:ScheduleKeyDeletion",
    "s3:BypassGovernanceRetention",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutObjectLegalHold",
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


def test_only_partial_tiles_may_be_locked_for_less_than_the_rest(environment: Template) -> None:
    own = [
        (name, statement)
        for name, document in documents(environment)
        for statement in listed(document["Statement"])
        if "s3:PutObjectRetention" in listed(statement.get("Action"))
        and not name.endswith("Boundary")
    ]

    assert own == [
        (
            "PublishLogFunctionRole",
            {
                "Effect": "Allow",
                "Action": "s3:PutObjectRetention",
                "Resource": {"Fn::Sub": "${LogBucket.Arn}/tile/*.p/*"},
                "Condition": {
                    "NumericLessThanEquals": {"s3:object-lock-remaining-retention-days": 2}
                },
            },
        )
    ]


def test_every_object_of_the_log_is_locked(template: Template) -> None:
    bucket = template["Resources"]["LogBucket"]["Properties"]
    (rule,) = bucket["ObjectLockConfiguration"]["Rule"].values()

    assert bucket["ObjectLockEnabled"] is True
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert rule["Days"] == {"Ref": "LogRetentionDays"}
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


LOG = LogKey().verifier
POLICY = f"witness w {WitnessModel('w.example', LOG).verifier} https://w.example/\nquorum w"


def anchored(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the event of a rule where the parameter has the lines of `POLICY`."""
    (target,) = rule["Targets"]
    text, values = target["Input"]["Fn::Sub"]
    ((name, value),) = values.items()
    separator, lines = value["Fn::Join"]
    assert lines == {"Ref": "WitnessPolicy"}
    joined = separator.join(parameter_of(POLICY).split(","))
    return dict(json.loads(text.replace(f"${{{name}}}", joined)))


def test_the_publisher_anchors_each_hour(template: Template) -> None:
    rule = template["Resources"]["PublishLogFunctionHour"]["Properties"]

    assert rule["ScheduleExpression"] == "rate(1 hour)"
    assert anchored(rule) == {"anchor": True, "witness_policy": POLICY}


def test_a_policy_is_a_parameter_without_comments_that_the_template_accepts() -> None:
    parameter = parameter_of(f"# ours\n\n{POLICY.replace(' ', '  ')}\n")

    assert policy_of(parameter) == POLICY
    assert PARAMETERS["WitnessPolicy"]["Type"] == "CommaDelimitedList"
    for line in parameter.split(","):
        assert re.search(PARAMETERS["WitnessPolicy"]["AllowedPattern"], line)
    assert parameter_of("") == ""
    pattern = PARAMETERS["WitnessPolicy"]["AllowedPattern"]
    assert pattern == f"^({PARAMETER_LINE.pattern})?$"


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (POLICY.replace("quorum w", "quorum x"), "line 2"),
        (POLICY.replace("w.example/", "w.example/a,b"), "no comma"),
        (POLICY.replace("w.example/", 'w.example/"'), "no comma"),
        (POLICY.replace("w.example/", "w.example/\\"), "no comma"),
        (POLICY.replace("witness w ", "witness ü ").replace("quorum w", "quorum ü"), "ASCII"),
        (POLICY.replace("w.example/", "w.example/" + "w" * MAX_PARAMETER), "4096"),
    ],
)
def test_a_policy_that_is_no_parameter_says_why(policy: str, reason: str) -> None:
    with pytest.raises(InvalidPolicy, match=reason):
        parameter_of(policy)


@pytest.mark.parametrize("line", ['quorum "w', "quorum \\w", "log w", "quorum ü"])
def test_the_template_accepts_no_line_that_would_change_the_event(line: str) -> None:
    assert not re.search(PARAMETERS["WitnessPolicy"]["AllowedPattern"], line)


def test_the_publisher_timestamps_an_anchor_each_day(template: Template) -> None:
    rule = template["Resources"]["PublishLogFunctionDay"]["Properties"]
    function = template["Resources"]["PublishLogFunction"]["Properties"]

    assert rule["ScheduleExpression"] == "rate(1 day)"
    assert anchored(rule) == {"anchor": True, "timestamp": True, "witness_policy": POLICY}
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
