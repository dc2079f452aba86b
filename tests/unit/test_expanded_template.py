"""What CloudFormation is given: the template as SAM expands it, and rules that it keeps."""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session
from samcli.commands.deploy.command import cli as sam_deploy
from samcli.lib.config.samconfig import SamConfig
from samcli.yamlhelper import parse_yaml_file
from samtranslator.translator.transform import transform

ROOT = Path(__file__).parents[2]
SOURCE: dict[str, Any] = parse_yaml_file(str(ROOT / "template.yaml"))
PARAMETERS: dict[str, Any] = SOURCE["Parameters"]

type Template = dict[str, Any]
type Rule = Callable[[Template], list[str]]

ALL_ON = {
    "AccessLog": "on",
    "AlarmTopic": "arn:aws:sns:eu-west-1:123456789012:pager",
    "DeploymentPreference": "Linear10PercentEvery1Minute",
    "SnapStart": "PublishedVersions",
    "WebAcl": "managed",
}


def overrides(environment: str) -> dict[str, str]:
    """Return the parameters that samconfig.toml gives an environment."""
    config = SamConfig(ROOT).get_all(["deploy"], "parameters", env=environment)
    return dict(each.split("=", 1) for each in config.get("parameter_overrides", []))


class NoManagedPolicies:
    """SAM's table of AWS's policies by name; ours are named by none."""

    def load(self) -> dict[str, str]:
        return {}


def expand(source: Template, parameters: dict[str, str] | None = None) -> Template:
    """Return what SAM makes of a template, with its code where `sam package` would have put it."""
    packaged = deepcopy(source)
    for resource in packaged["Resources"].values():
        for code in {"CodeUri", "ContentUri"} & resource["Properties"].keys():
            resource["Properties"][code] = f"s3://code/{resource['Properties'][code]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        expanded: Template = transform(packaged, parameters or {}, NoManagedPolicies())
    return expanded


@cache
def deployed(*parameters: tuple[str, str]) -> Template:
    """Return what deploys under some parameters."""
    return expand(SOURCE, dict(parameters))


def of_type(template: Template, kind: str) -> dict[str, Any]:
    """Return the resources of a type, by their names."""
    resources = template["Resources"]
    return {name: each for name, each in resources.items() if each["Type"] == f"AWS::{kind}"}


def listed(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as a list of its own."""
    return value if isinstance(value, list) else [value]


def allowances(template: Template) -> Iterator[tuple[str, list[str], Any]]:
    """Return who may do what to which resource, for every policy of a role."""
    documents = [
        (name, policy["PolicyDocument"])
        for name, role in of_type(template, "IAM::Role").items()
        for policy in role["Properties"].get("Policies", [])
    ]
    documents += [
        (name, policy["Properties"]["PolicyDocument"])
        for kind in ("IAM::ManagedPolicy", "IAM::Policy")
        for name, policy in of_type(template, kind).items()
    ]
    for name, document in documents:
        for statement in listed(document["Statement"]):
            if statement["Effect"] == "Allow":
                actions = listed(statement.get("Action", "*"))  # NotAction allows all but some
                for resource in listed(statement.get("Resource", "*")):
                    yield name, actions, resource


def text_of(resource: Any) -> str:
    """Return what of a resource's name the template spells out."""
    return str(resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource)


# ---------------------------------------------------------------- the rules

X_RAY = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
"""May be done to `*`: X-Ray has no resources."""

AWS_POLICIES = {
    "AWSLambdaBasicExecutionRole": "logs, of any group; the boundary says which",
    "AWSLambdaSQSQueueExecutionRole": "messages, of any queue; the boundary says which",
    "AWSXrayWriteOnlyAccess": "X-Ray has no resources",
}
"""What SAM gives to roles by itself, and why it does no harm behind the boundary."""

CODE_DEPLOY = "AWSCodeDeployRoleForLambda"
"""CodeDeploy's own, for a gradual takeover: moves aliases, reads alarms, reaches no data."""


def wildcards(template: Template) -> list[str]:
    """Tell what is allowed of everything, or of anything."""
    found = [
        f"{name} may {action}"
        for name, actions, _ in allowances(template)
        for action in actions
        if "*" in action
    ]
    found += [
        f"{name} may reach {text_of(resource)}"
        for name, actions, resource in allowances(template)
        if "*" in re.sub(r"^(\$\{DropsBucket\.Arn\}/[a-z]+)/\*$", r"\1", text_of(resource))
        and not set(actions) <= X_RAY
    ]
    for name, role in of_type(template, "IAM::Role").items():
        policies = {text_of(each).split("/")[-1] for each in managed_policies(role)}
        bounded = role["Properties"].get("PermissionsBoundary") == {"Ref": "FunctionBoundary"}
        known = AWS_POLICIES.keys() if bounded else {CODE_DEPLOY}
        found += [f"{name} has {policy}" for policy in policies - known]
    return found


def managed_policies(role: dict[str, Any]) -> list[Any]:
    return listed(role["Properties"].get("ManagedPolicyArns", []))


CHANGES = {
    f"dynamodb:{name}"
    for name in (
        "BatchWriteItem",
        "DeleteItem",
        "DeleteTable",
        "PartiQLDelete",
        "PartiQLUpdate",
        "PutItem",
        "UpdateItem",
        "UpdateTable",
        "UpdateTimeToLive",
    )
}


def ways_to_change_evidence(template: Template) -> list[str]:
    """Tell who could change or remove a record of the ledger."""
    found = [
        f"{name} may {change}"
        for name, actions, resource in allowances(template)
        for action in actions
        for change in CHANGES
        if fnmatchcase(change, action) and may_be_the_ledger(resource)
    ]
    ledger = template["Resources"]["LedgerTable"]["Properties"]
    return found + [
        f"the ledger has a {each}"
        for each in ("TimeToLiveSpecification", "ResourcePolicy")
        if each in ledger
    ]


def may_be_the_ledger(resource: Any) -> bool:
    """Tell whether a resource is the ledger, or is not said to be something else."""
    if isinstance(resource, dict) and resource.keys() <= {"Fn::GetAtt", "Ref"}:
        return "LedgerTable" in listed(*resource.values())
    return not text_of(resource).startswith("${DropsBucket.Arn}/")


def exposures(template: Template) -> list[str]:
    """Tell what is public, unencrypted, or reached without TLS."""
    return [
        *exposed_buckets(template),
        *exposed_queues(template),
        *(
            f"{name} is not encrypted"
            for name, table in of_type(template, "DynamoDB::Table").items()
            if not table["Properties"].get("SSESpecification", {}).get("SSEEnabled")
        ),
        *(
            f"{name} is written in the template"
            for name, secret in of_type(template, "SecretsManager::Secret").items()
            if "SecretString" in secret["Properties"]
        ),
        *exposed_apis(template),
        *(
            f"{name} lets anyone in"
            for kind in ("S3::BucketPolicy", "SQS::QueuePolicy", "SNS::TopicPolicy")
            for name, policy in of_type(template, kind).items()
            for each in policy["Properties"]["PolicyDocument"]["Statement"]
            if each["Effect"] == "Allow" and "*" in str(each["Principal"])
        ),
        *(
            f"{name} is not encrypted"
            for name, topic in of_type(template, "SNS::Topic").items()
            if "KmsMasterKeyId" not in topic["Properties"]
        ),
    ]


def exposed_buckets(template: Template) -> Iterator[str]:
    for name, bucket in of_type(template, "S3::Bucket").items():
        properties = bucket["Properties"]
        blocked = properties.get("PublicAccessBlockConfiguration", {})
        if len(blocked) != 4 or set(blocked.values()) != {True}:
            yield f"{name} may become public"
        if "BucketEncryption" not in properties:
            yield f"{name} is not encrypted"
        whole = [{"Fn::GetAtt": [name, "Arn"]}, {"Fn::Sub": f"${{{name}.Arn}}/*"}]
        if not any(
            policy["Properties"]["Bucket"] == {"Ref": name} and tls_only(policy, "s3:*", whole)
            for policy in of_type(template, "S3::BucketPolicy").values()
        ):
            yield f"{name} is reached without TLS"


def exposed_queues(template: Template) -> Iterator[str]:
    for name, queue in of_type(template, "SQS::Queue").items():
        encrypted = {"KmsMasterKeyId": "a key"} | queue["Properties"]
        if not encrypted.get("SqsManagedSseEnabled"):
            yield f"{name} is not encrypted"
        if not any(
            {"Ref": name} in policy["Properties"]["Queues"] and tls_only(policy, "sqs:*", ["*"])
            for policy in of_type(template, "SQS::QueuePolicy").values()
        ):
            yield f"{name} is reached without TLS"


def tls_only(policy: dict[str, Any], action: str, resources: list[Any]) -> bool:
    """Tell whether a policy denies everyone everything that is not sent over TLS."""
    return any(
        (each["Effect"], each["Principal"], each["Action"]) == ("Deny", "*", action)
        and listed(each["Resource"]) == resources
        and each.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for each in policy["Properties"]["PolicyDocument"]["Statement"]
    )


def exposed_apis(template: Template) -> Iterator[str]:
    for name, api in of_type(template, "ApiGateway::RestApi").items():
        if api["Properties"]["EndpointConfiguration"] != {"Types": ["REGIONAL"]}:
            yield f"{name} is not regional"
        if (
            not api["Properties"]
            .get("SecurityPolicy", "TLS_1_0")
            .startswith("SecurityPolicy_TLS13")
        ):
            yield f"{name} takes an old TLS"
    for name in of_type(template, "Lambda::Url"):
        yield f"{name} is a way around the API"
    for name, permission in of_type(template, "Lambda::Permission").items():
        if not {"SourceArn", "SourceAccount"} & permission["Properties"].keys():
            yield f"{name} lets any caller of a service in"


def logs_without_end(template: Template) -> list[str]:
    """Tell which functions write to no log group of ours, and which groups keep for ever."""
    groups = of_type(template, "Logs::LogGroup")
    found = [
        f"{name} has no log group"
        for name, function in of_type(template, "Lambda::Function").items()
        if function["Properties"].get("LoggingConfig", {}).get("LogGroup", {}).get("Ref")
        not in groups
    ]
    return found + [
        f"{name} keeps for ever"
        for name, group in groups.items()
        if "RetentionInDays" not in group["Properties"]
    ]


STATEFUL = {
    "Cognito::UserPool",
    "DynamoDB::GlobalTable",
    "DynamoDB::Table",
    "KMS::Key",
    "S3::Bucket",
    "SecretsManager::Secret",
}
KEPT = STATEFUL | {"S3::BucketPolicy"}
"""A bucket that is kept without its policy would be reached without TLS."""
TRANSIENT = {
    "IdempotencyTable": "answers of one day",
    "ImportsTable": "how far imports are; their reports are in the bucket",
    "RateLimitsTable": "a lost bucket is a full one",
}
NAMES = ("BucketName", "Name", "TableName")


def losses(template: Template) -> list[str]:
    """Tell what an update or a deletion of the stack could take with it."""
    found = []
    for kind in KEPT:
        for name, resource in of_type(template, kind).items():
            policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            if name not in TRANSIENT and policies != ("Retain", "Retain"):
                found.append(f"{name} is not retained")
            given = [
                resource["Properties"][each] for each in NAMES if each in resource["Properties"]
            ]
            if referred(given) & PARAMETERS.keys():
                found.append(f"{name} is another one under another parameter")
    return found


def forgotten_messages(template: Template) -> list[str]:
    """Tell which queues forget a message before the 14 days are over that SQS can keep it."""
    return [
        f"{name} forgets"
        for name, queue in of_type(template, "SQS::Queue").items()
        if queue["Properties"].get("MessageRetentionPeriod") != 14 * 24 * 60 * 60
    ]


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


def beyond_the_boundary(template: Template) -> list[str]:
    """Tell what a function's own policy allows and the boundary takes back."""
    boundary: dict[str, set[str]] = {}
    for name, actions, resource in allowances(template):
        if name == "FunctionBoundary":
            boundary.setdefault(str(resource), set()).update(actions)
    return [
        f"{name} may {action} in vain"
        for name, actions, resource in allowances(template)
        for action in actions
        if action not in boundary.get(str(resource), set())
    ]


def stale_versions(template: Template) -> list[str]:
    """Tell which functions could run on with an old value of a parameter, or get no version.

    SAM names a version by what the template says, so that a new value alone publishes none; a new
    description does. Lambda refuses a version of a function that is what it was.
    """
    versions = {
        version["Properties"]["FunctionName"]["Ref"]: referred(version["Properties"])
        for version in of_type(template, "Lambda::Version").values()
    }
    found = []
    for name, function in of_type(template, "Lambda::Function").items():
        used = referred(function["Properties"]) & PARAMETERS.keys()
        described = versions[name] & PARAMETERS.keys()
        found += [f"{name} does not see a new {parameter}" for parameter in used - described]
        found += [f"{name} is no other for a new {parameter}" for parameter in described - used]
    return found


def unwatched(template: Template) -> list[str]:
    """Tell which functions and queues no alarm watches."""
    watched = {
        (alarm["Properties"]["MetricName"], name)
        for alarm in of_type(template, "CloudWatch::Alarm").values()
        for name in referred(alarm["Properties"].get("Dimensions", []))
    }
    wanted = [("Errors", name) for name in of_type(template, "Lambda::Function")]
    wanted += [
        (
            "ApproximateAgeOfOldestMessage"
            if "RedrivePolicy" in queue["Properties"]
            else "ApproximateNumberOfMessagesVisible",
            name,
        )
        for name, queue in of_type(template, "SQS::Queue").items()
    ]
    return [
        f"no alarm on {metric} of {name}"
        for metric, name in wanted
        if (metric, name) not in watched
    ]


def unpaced(template: Template) -> list[str]:
    """Tell which queues could take all of the concurrency, which live calls need too."""
    return [
        f"nothing limits {name}"
        for name, mapping in of_type(template, "Lambda::EventSourceMapping").items()
        if "MaximumConcurrency" not in mapping["Properties"].get("ScalingConfig", {})
    ]


RULES: list[Rule] = [
    wildcards,
    ways_to_change_evidence,
    exposures,
    logs_without_end,
    losses,
    forgotten_messages,
    beyond_the_boundary,
    stale_versions,
    unwatched,
    unpaced,
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "parameters", [{}, overrides("dev"), overrides("prod"), ALL_ON], ids=["-", "dev", "prod", "all"]
)
def test_the_template_breaks_no_rule(parameters: dict[str, str], rule: Rule) -> None:
    assert rule(deployed(*parameters.items())) == []


# ---------------------------------------------------------------- the rules notice

LEDGER = {"Fn::GetAtt": ["LedgerTable", "Arn"]}
EVERY_TABLE = {"Fn::Sub": "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/*"}


def allowing(action: str, resource: Any) -> Callable[[Template], None]:
    """Let a function do something more."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}

    def edit(source: Template) -> None:
        function = source["Resources"]["CaptureConsentFunction"]["Properties"]
        function["Policies"][0]["Statement"].append(statement)

    return edit


def bounding(action: str, resource: Any) -> Callable[[Template], None]:
    """Let every function be allowed something more."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}

    def edit(source: Template) -> None:
        boundary = source["Resources"]["FunctionBoundary"]["Properties"]
        boundary["PolicyDocument"]["Statement"].append(statement)

    return edit


def setting(path: str, value: Any) -> Callable[[Template], None]:
    """Set what a dotted path under Resources leads to."""
    *way, last = path.split(".")

    def edit(source: Template) -> None:
        at = source["Resources"]
        for each in way:
            at = at[int(each) if isinstance(at, list) else each]
        at[int(last) if isinstance(at, list) else last] = value

    return edit


def dropping(path: str) -> Callable[[Template], None]:
    """Remove what a dotted path leads to."""
    *way, last = path.split(".")

    def edit(source: Template) -> None:
        at: Any = source
        for each in way:
            at = at[each]
        del at[last]

    return edit


BUCKET_POLICY = "DropsBucketPolicy.Properties.PolicyDocument.Statement.0"
QUEUE_POLICY = "OtherQueuesPolicy.Properties.PolicyDocument.Statement.0"


@pytest.mark.parametrize(
    ("rule", "edit", "fault"),
    [
        (wildcards, allowing("s3:Get*", LEDGER), "CaptureConsentFunctionRole may s3:Get*"),
        (wildcards, allowing("sqs:SendMessage", "*"), "CaptureConsentFunctionRole may reach *"),
        (wildcards, bounding("sqs:SendMessage", "*"), "FunctionBoundary may reach *"),
        (
            wildcards,
            allowing("s3:GetObject", {"Fn::Sub": "arn:${AWS::Partition}:s3:::${AWS::StackName}*"}),
            "CaptureConsentFunctionRole may reach arn:${AWS::Partition}:s3:::${AWS::StackName}*",
        ),
        (
            wildcards,
            setting("NotFoundFunction.Properties.Policies", "AdministratorAccess"),
            "NotFoundFunctionRole has AdministratorAccess",
        ),
        (
            wildcards,
            dropping("Globals.Function.PermissionsBoundary"),
            "NotFoundFunctionRole has AWSLambdaBasicExecutionRole",
        ),
        *(
            (
                ways_to_change_evidence,
                allowing(change, LEDGER),
                f"CaptureConsentFunctionRole may {change}",
            )
            for change in CHANGES
        ),
        (
            ways_to_change_evidence,
            allowing("dynamodb:Put*", EVERY_TABLE),
            "CaptureConsentFunctionRole may dynamodb:PutItem",
        ),
        (
            ways_to_change_evidence,
            bounding("dynamodb:DeleteItem", LEDGER),
            "FunctionBoundary may dynamodb:DeleteItem",
        ),
        (
            ways_to_change_evidence,
            setting("LedgerTable.Properties.TimeToLiveSpecification", {"Enabled": True}),
            "the ledger has a TimeToLiveSpecification",
        ),
        (
            exposures,
            setting("DropsBucket.Properties.PublicAccessBlockConfiguration.BlockPublicAcls", False),
            "DropsBucket may become public",
        ),
        (
            exposures,
            dropping("Resources.DropsBucket.Properties.BucketEncryption"),
            "DropsBucket is not encrypted",
        ),
        (
            exposures,
            setting(f"{BUCKET_POLICY}.Effect", "Allow"),
            "DropsBucketPolicy lets anyone in",
        ),
        (
            exposures,
            setting(f"{BUCKET_POLICY}.Resource", [{"Fn::GetAtt": ["DropsBucket", "Arn"]}]),
            "DropsBucket is reached without TLS",
        ),
        (
            exposures,
            setting("PartQueue.Properties.SqsManagedSseEnabled", False),
            "PartQueue is not encrypted",
        ),
        (
            exposures,
            setting("OtherQueuesPolicy.Properties.Queues", [{"Ref": "PartQueue"}]),
            "FailedQueue is reached without TLS",
        ),
        (
            exposures,
            setting(f"{QUEUE_POLICY}.Condition", {}),
            "DeadLetterQueue is reached without TLS",
        ),
        (
            exposures,
            dropping("Resources.LedgerTable.Properties.SSESpecification"),
            "LedgerTable is not encrypted",
        ),
        (
            exposures,
            setting("Pepper.Properties.SecretString", "pepper"),
            "Pepper is written in the template",
        ),
        (exposures, setting("Api.Properties.EndpointConfiguration", "EDGE"), "Api is not regional"),
        (exposures, dropping("Resources.Api.Properties.SecurityPolicy"), "Api takes an old TLS"),
        (
            exposures,
            setting("NotFoundFunction.Properties.FunctionUrlConfig", {"AuthType": "NONE"}),
            "NotFoundFunctionUrl is a way around the API",
        ),
        (
            exposures,
            setting("Topic", {"Type": "AWS::SNS::Topic", "Properties": {}}),
            "Topic is not encrypted",
        ),
        (
            logs_without_end,
            dropping("Resources.NotFoundFunction.Properties.LoggingConfig"),
            "NotFoundFunction has no log group",
        ),
        (
            logs_without_end,
            dropping("Resources.NotFoundLogGroup.Properties.RetentionInDays"),
            "NotFoundLogGroup keeps for ever",
        ),
        (losses, dropping("Resources.LedgerTable.DeletionPolicy"), "LedgerTable is not retained"),
        (losses, dropping("Resources.Pepper.UpdateReplacePolicy"), "Pepper is not retained"),
        (
            losses,
            dropping("Resources.DropsBucketPolicy.DeletionPolicy"),
            "DropsBucketPolicy is not retained",
        ),
        (
            losses,
            setting("NewTable", {"Type": "AWS::DynamoDB::Table", "Properties": {}}),
            "NewTable is not retained",
        ),
        (
            losses,
            setting("LedgerTable.Properties.TableName", {"Fn::Sub": "ledger-${StageName}"}),
            "LedgerTable is another one under another parameter",
        ),
        (
            losses,
            setting("Pepper.Properties.Name", {"Ref": "StageName"}),
            "Pepper is another one under another parameter",
        ),
        (
            forgotten_messages,
            dropping("Resources.PartQueue.Properties.MessageRetentionPeriod"),
            "PartQueue forgets",
        ),
        (
            beyond_the_boundary,
            allowing("dynamodb:Scan", LEDGER),
            "CaptureConsentFunctionRole may dynamodb:Scan in vain",
        ),
        (
            stale_versions,
            dropping("Resources.NotFoundFunction.Properties.VersionDescription"),
            "NotFoundFunction does not see a new AllowedOrigin",
        ),
        (
            stale_versions,
            setting("NotFoundFunction.Properties.MemorySize", {"Ref": "ThrottleRate"}),
            "NotFoundFunction does not see a new ThrottleRate",
        ),
        (
            stale_versions,
            setting("NotFoundFunction.Properties.VersionDescription", {"Ref": "ThrottleRate"}),
            "NotFoundFunction is no other for a new ThrottleRate",
        ),
        (
            unwatched,
            dropping("Resources.NotFoundErrorsAlarm"),
            "no alarm on Errors of NotFoundFunction",
        ),
        (
            unwatched,
            dropping("Resources.DeadLetterAlarm"),
            "no alarm on ApproximateNumberOfMessagesVisible of DeadLetterQueue",
        ),
        (
            unpaced,
            dropping(
                "Resources.PlanImportFunction.Properties.Events.Message.Properties.ScalingConfig"
            ),
            "nothing limits PlanImportFunctionMessage",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_edit_that_breaks_a_rule_is_noticed(
    rule: Rule, edit: Callable[[Template], None], fault: str
) -> None:
    source = deepcopy(SOURCE)
    edit(source)

    assert fault in rule(expand(source))


# ---------------------------------------------------------------- the boundary


def test_the_boundary_lets_every_function_write_its_log_and_read_its_queue() -> None:
    template = deployed()
    allowed = {
        (action, str(resource))
        for name, actions, resource in allowances(template)
        for action in actions
        if name == "FunctionBoundary"
    }

    for function in of_type(template, "Lambda::Function").values():
        group = function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
        assert ("logs:PutLogEvents", str({"Fn::GetAtt": [group, "Arn"]})) in allowed
    for mapping in of_type(template, "Lambda::EventSourceMapping").values():
        for action in ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"):
            assert (action, str(mapping["Properties"]["EventSourceArn"])) in allowed


# ---------------------------------------------------------------- the API


def test_every_path_of_the_api_answers_every_method() -> None:
    """Else API Gateway does, which takes our `Authorization` for a signature that is broken."""
    paths = deployed()["Resources"]["Api"]["Properties"]["Body"]["paths"]
    on_the_way = {"/".join(path.split("/")[:depth]) or "/" for path in paths for depth in range(6)}
    every = {"delete", "get", "head", "options", "patch", "post", "put"}

    assert paths["/{proxy+}"].keys() == every
    for path in on_the_way - {"/{proxy+}"}:
        assert "x-amazon-apigateway-any-method" in paths.get(path, {}), path


# ---------------------------------------------------------------- parameters, versions


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
def test_samconfig_says_only_what_sam_and_the_template_know(environment: str) -> None:
    config = SamConfig(ROOT).get_all(["deploy"], "parameters", env=environment)

    assert config.keys() <= {option.name for option in sam_deploy.params}
    for name, value in overrides(environment).items():
        allowed = PARAMETERS[name].get("AllowedValues")
        assert allowed is None or value in map(str, allowed)
        assert re.search(PARAMETERS[name].get("AllowedPattern", ""), value)


def test_every_parameter_has_a_default_and_is_explained() -> None:
    readme = (ROOT / "README.md").read_text()

    for name, parameter in PARAMETERS.items():
        assert f"`{name}`" in readme
        assert "Default" in parameter
        assert parameter["Description"]


def test_the_longest_name_of_a_stack_leaves_room_for_the_bucket_in_every_region() -> None:
    name = SOURCE["Resources"]["DropsBucket"]["Properties"]["BucketName"]["Fn::Sub"]
    session = Session()
    region = max(
        (
            region
            for partition in session.get_available_partitions()
            for region in session.get_available_regions("s3", partition)
        ),
        key=len,
    )
    rest = name.removeprefix("${AWS::StackName}").replace("${AWS::AccountId}", "123456789012")
    most = 63 - len(rest.replace("${AWS::Region}", region))  # S3 takes 63

    assert f"at most {most} characters" in (ROOT / "README.md").read_text()


def test_a_new_layer_is_a_new_version_of_every_function() -> None:
    changed = deepcopy(SOURCE)
    changed["Resources"]["ConsentsLayer"]["Properties"]["ContentUri"] += "/changed"
    before = of_type(deployed(), "Lambda::Version")
    after = of_type(expand(changed), "Lambda::Version")

    assert len(before) == len(of_type(deployed(), "Lambda::Function"))
    assert before.keys().isdisjoint(after.keys())


def test_a_gradual_takeover_goes_back_where_an_alarm_goes_off() -> None:
    template = deployed(*ALL_ON.items())
    groups = of_type(template, "CodeDeploy::DeploymentGroup").values()

    assert len(groups) == len(of_type(template, "Lambda::Function"))
    for group in groups:
        watched = group["Properties"]["AlarmConfiguration"]["Alarms"]
        assert {each["Name"]["Ref"] for each in watched} <= of_type(
            template, "CloudWatch::Alarm"
        ).keys()
        assert {"Name": {"Ref": "ApiErrorsAlarm"}} in watched
        assert {
            "Name": {"Ref": "MessagesFailedAlarm"}
        } in watched  # `Errors` counts no such failure


def test_a_takeover_of_prod_lasts_longer_than_any_of_its_alarms_needs() -> None:
    (minutes,) = re.findall(r"(\d+)Minutes$", overrides("prod")["DeploymentPreference"])

    for name in SOURCE["Globals"]["Function"]["DeploymentPreference"]["Alarms"]:
        alarm = ALARMS[name["Ref"]]["Properties"]
        assert alarm["Period"] * alarm["EvaluationPeriods"] < int(minutes) * 60


def test_without_a_gradual_takeover_there_is_no_code_deploy() -> None:
    kinds = {resource["Type"] for resource in deployed()["Resources"].values()}

    assert not any("CodeDeploy" in kind for kind in kinds)


def test_the_managed_firewall_blocks_no_body() -> None:
    """A body is up to a thousand records, and none may sink the rest."""
    rules = SOURCE["Resources"]["ManagedWebAcl"]["Properties"]["Rules"]
    (common,) = (
        each["Statement"]["ManagedRuleGroupStatement"]
        for each in rules
        if each["Statement"]["ManagedRuleGroupStatement"]["Name"] == "AWSManagedRulesCommonRuleSet"
    )
    counted = {
        each["Name"]
        for each in common["RuleActionOverrides"]
        if each["ActionToUse"] == {"Count": {}}
    }

    assert counted >= {
        "CrossSiteScripting_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "SizeRestrictions_BODY",
    }


def test_the_firewall_logs_what_it_acted_on_and_no_header_that_is_the_callers_own() -> None:
    logging = deployed(*ALL_ON.items())["Resources"]["WebAclLogging"]["Properties"]
    (destination,) = logging["LogDestinationConfigs"]
    (kept,) = logging["LoggingFilter"]["Filters"]

    assert text_of(destination).endswith(":log-group:${WebAclLogGroup}")  # and not `:*`
    assert {each["SingleHeader"]["Name"] for each in logging["RedactedFields"]} == {
        "authorization",
        "idempotency-key",
    }
    assert logging["LoggingFilter"]["DefaultBehavior"] == "DROP"
    assert (kept["Behavior"], kept["Requirement"]) == ("KEEP", "MEETS_ANY")
    assert [each["ActionCondition"]["Action"] for each in kept["Conditions"]] == [
        "BLOCK",
        "COUNT",
        "EXCLUDED_AS_COUNT",
    ]


# ---------------------------------------------------------------- alarms and dashboard

ALARMS = of_type(SOURCE, "CloudWatch::Alarm")


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_names_its_runbook_and_reaches_someone(alarm: str) -> None:
    properties = ALARMS[alarm]["Properties"]
    page, anchor = text_of(properties["AlarmDescription"]).split(": ")[-1].split("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}

    assert page == "${RunbookUrl}"
    assert anchor in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
    assert properties["AlarmActions"] == properties["OKActions"] == topic
    assert properties["TreatMissingData"] == "notBreaching"


def test_a_caller_that_is_refused_now_and_then_wakes_nobody() -> None:
    """A share of few calls is reached by one caller whose key has expired."""
    alarm = ALARMS["ClientErrorsAlarm"]["Properties"]

    assert alarm["Statistic"] == "Sum"
    assert alarm["Threshold"] >= alarm["Period"]  # a refusal each second, on the whole


def test_the_dashboard_shows_every_function_and_queue_and_our_own_metrics() -> None:
    template = deployed()
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown = str(json.loads(body)["widgets"])

    for name in {**of_type(template, "Lambda::Function"), **of_type(template, "SQS::Queue")}:
        assert f"${{{name}" in shown
    for alarm in ALARMS.values():
        assert alarm["Properties"]["MetricName"] in shown
    assert referred({"Fn::Sub": body}) <= {
        *template["Resources"],
        *PARAMETERS,
        "AWS::Region",
        "AWS::StackName",
    }


def test_the_threat_model_names_files_that_are_there() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    named = re.findall(r"`((?:consents|docs|layers|tests)/[\w/.-]+)`", text)

    assert len(named) > 10
    for path in named:
        place = f"layers/consents/{path}" if path.startswith("consents/") else path
        assert (ROOT / place).exists(), path


# ---------------------------------------------------------------- what must never be replaced

IDENTITY = {
    "LedgerTable": {"KeySchema": ["pk", "sk"]},
    "DirectoryTable": {"KeySchema": ["pk", "sk"]},
    "IdempotencyTable": {"KeySchema": ["id"]},
    "RateLimitsTable": {"KeySchema": ["org_id"]},
    "ImportsTable": {"KeySchema": ["import_id", "item"]},
    "Pepper": {},
    "DropsBucket": {
        "BucketName": {"Fn::Sub": "${AWS::StackName}-drops-${AWS::AccountId}-${AWS::Region}"}
    },
}
"""Under these names, keys and given names stacks in use hold their data. A change of any of them
is a new, empty resource beside the one that has it: add to this list, never change a line of it."""


def test_what_holds_data_is_what_it_was_in_every_release() -> None:
    template = deployed()
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
