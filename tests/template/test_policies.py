"""Least privilege: what each function may do, and what no function may do."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.template.edits import LEDGER, Edit, Rule, allowing, dropping, edited, setting
from tests.template.expansion import Template, allowances, documents, listed, of_type, text_of
from tests.template.policies import FUNCTIONS, bounds, permissions, statements

# ---------------------------------------------------------------- permissions of each function

INSERT, QUERY = "dynamodb:PartiQLInsert", "dynamodb:Query"
GET, BATCH_GET = "dynamodb:GetItem", "dynamodb:BatchGetItem"
PUT, UPDATE, DELETE = "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"
READ_SECRET = "secretsmanager:GetSecretValue"
LIST, LIST_VERSIONS = "s3:ListBucket", "s3:ListBucketVersions"
READ, READ_VERSION, WRITE = "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"
LOCK = "s3:PutObjectRetention"
GET_KEY = "kms:GetPublicKey"
SEND, SEND_TEXT = "sqs:SendMessage", "sms-voice:SendTextMessage"

NUMBERS = "arn:${AWS::Partition}:sms-voice:${AWS::Region}:${AWS::AccountId}:*"
"""Numbers to send texts from, which the template does not know."""


def arn(name: str) -> dict[str, list[str]]:
    """Return the ARN of a resource of the template."""
    return {"Fn::GetAtt": [name, "Arn"]}


def objects(key: str, bucket: str = "DropsBucket") -> dict[str, str]:
    """Return the ARN of a bucket's objects by a key, which may end in `*`."""
    return {"Fn::Sub": f"${{{bucket}.Arn}}/{key}"}


RESOURCES: dict[str, Any] = {
    "ledger": arn("LedgerTable"),
    "directory": arn("DirectoryTable"),
    "idempotency": arn("IdempotencyTable"),
    "rate_limits": arn("RateLimitsTable"),
    "pepper": {"Ref": "Pepper"},
    "twilio_token": {"Ref": "TwilioAuthToken"},
    "numbers_in_aws": {"Fn::Sub": NUMBERS},
    "forms": arn("FormsTable"),
    "imports": arn("ImportsTable"),
    "imports_of_an_organization": {"Fn::Sub": "${ImportsTable.Arn}/index/ByOrganization"},
    "bucket": arn("DropsBucket"),
    "drops": objects("drops/*"),
    "work": objects("work/*"),
    "reports": objects("reports/*"),
    "proofs": objects("proofs/*"),
    "plans": arn("PlanQueue"),
    "parts": arn("PartQueue"),
    "dead_letters": arn("DeadLetterQueue"),
    "outbound": arn("OutboundQueue"),
    "inbound": arn("InboundQueue"),
    "log_key": arn("LogKey"),
    "log_positions": arn("LogTable"),
    "log_bucket": arn("LogBucket"),
    "log_objects": objects("*", "LogBucket"),
    "log_batches": objects("work/batches/*", "LogBucket"),
    "log_checkpoint": objects("checkpoint", "LogBucket"),
    "log_anchors": objects("anchors/*", "LogBucket"),
    "log_index": objects("index/*", "LogBucket"),
    "log_policy": objects("policy", "LogBucket"),
    "log_partial_tiles": objects("tile/*.p/*", "LogBucket"),
    "log_tiles": objects("tile/*", "LogBucket"),
    "seal_failures": arn("SealFailedQueue"),
}
API = {
    "directory": {GET},
    "log_checkpoint": {READ},
    "rate_limits": {GET},
    "pepper": {READ_SECRET},
}
CAPTURE = API | {"idempotency": {DELETE, GET, PUT, UPDATE}, "rate_limits": {GET, UPDATE}}
ASK = API | {"rate_limits": {GET, UPDATE}}
IMPORT = {
    "imports": {DELETE, GET, QUERY, UPDATE},
    "work": {READ, WRITE},
    "reports": {WRITE},
    "plans": {SEND},
}
FILE = {"bucket": {LIST, LIST_VERSIONS}, "drops": {READ_VERSION}}

PERMISSIONS: dict[str, dict[str, set[str]]] = {
    "CreateBulkConsentsFunction": CAPTURE | {"ledger": {INSERT}},
    "CaptureConsentsFunction": CAPTURE | {"ledger": {INSERT}, "directory": {GET, BATCH_GET}},
    "CaptureConsentFunction": CAPTURE | {"ledger": {INSERT, QUERY}, "directory": {GET, BATCH_GET}},
    "CheckConsentsFunction": ASK | {"ledger": {QUERY}, "directory": {GET, BATCH_GET}},
    "SearchConsentsFunction": ASK | {"ledger": {QUERY}, "directory": {GET, BATCH_GET}},
    "GetConsentFunction": ASK | {"ledger": {QUERY}},
    "ListConsentHistoryFunction": ASK | {"ledger": {QUERY, BATCH_GET}},
    "VerifyDecisionFunction": ASK | {"ledger": {QUERY}, "directory": {GET, BATCH_GET}},
    "MakeProofFunction": {
        **ASK,
        "ledger": {QUERY, BATCH_GET},
        "log_positions": {GET, QUERY},
        "log_key": {GET_KEY},
        "log_bucket": {LIST},
        "log_objects": {READ},
        "proofs": {READ, WRITE},
    },
    "RevokeConsentFunction": CAPTURE | {"ledger": {INSERT, QUERY}},
    "RevokeConsentsFunction": CAPTURE | {"ledger": {INSERT, QUERY}, "directory": {GET, BATCH_GET}},
    "CreateFormFunction": CAPTURE | {"forms": {PUT}, "directory": {GET, BATCH_GET}},
    "ShowFormFunction": API | {"forms": {GET}},
    "CloseFormFunction": API | {"forms": {UPDATE}},
    "ServeFormFunction": {"forms": {GET}, "pepper": {READ_SECRET}},
    "ServePosterFunction": {"forms": {GET}},
    "SubmitFormFunction": {
        "directory": {GET},
        "forms": {BATCH_GET, GET, PUT, QUERY, UPDATE},
        "ledger": {INSERT, QUERY},
        "outbound": {SEND},
        "pepper": {READ_SECRET},
        "rate_limits": {UPDATE},
    },
    "OpenChallengeFunction": {
        **CAPTURE,
        "ledger": {QUERY},
        "directory": {GET, BATCH_GET},
        "forms": {GET, PUT, QUERY, UPDATE},
        "outbound": {SEND},
    },
    "ShowChallengeFunction": API | {"forms": {GET, QUERY}},
    "ServeChallengeFunction": {"forms": {GET}, "pepper": {READ_SECRET}},
    "AnswerChallengeFunction": {
        "forms": {GET, PUT, QUERY, UPDATE},
        "ledger": {INSERT},
        "outbound": {SEND},
        "pepper": {READ_SECRET},
        "rate_limits": {UPDATE},
    },
    "SendMessageFunction": {
        "forms": {GET, PUT, UPDATE},
        "numbers_in_aws": {SEND_TEXT},
        "pepper": {READ_SECRET},
        "twilio_token": {READ_SECRET},
    },
    "ReceiveTwilioFunction": {"inbound": {SEND}, "twilio_token": {READ_SECRET}},
    "ReceiveMessageFunction": {
        "ledger": {INSERT, QUERY},
        "directory": {GET},
        "forms": {GET, PUT, QUERY, UPDATE},
        "outbound": {SEND},
    },
    "CreateImportFunction": API | {"imports": {GET, UPDATE}, "drops": {WRITE}},
    "GetImportFunction": API | {"imports": {GET}, "bucket": {LIST}, "reports": {READ}},
    "GetLogFunction": {
        **API,
        "log_bucket": {LIST},
        "log_anchors": {READ},
        "log_index": {READ},
        "log_tiles": {READ},
    },
    "GetLogKeysFunction": {
        "log_bucket": {LIST},
        "log_key": {GET_KEY},
        "log_policy": {READ},
    },
    "ListImportsFunction": API | {"imports_of_an_organization": {QUERY}, "bucket": {LIST}},
    "NotFoundFunction": {},
    "PlanImportFunction": IMPORT | FILE | {"directory": {GET}, "parts": {SEND}},
    "ImportPartFunction": {
        **IMPORT,
        **FILE,
        "ledger": {INSERT, BATCH_GET},
        "directory": {BATCH_GET},
        "imports": {DELETE, GET, PUT, QUERY, UPDATE},
    },
    "FailImportFunction": IMPORT | {"dead_letters": {SEND}},
    "SealRecordsFunction": {
        "log_positions": {GET, PUT, UPDATE},
        "log_batches": {WRITE},
        "seal_failures": {SEND},
    },
    "PublishLogFunction": {
        "log_positions": {GET, QUERY},
        "log_bucket": {LIST},
        "log_objects": {READ},
        "log_anchors": {WRITE},
        "log_checkpoint": {WRITE},
        "log_index": {WRITE},
        "log_partial_tiles": {LOCK},
        "log_policy": {WRITE},
        "log_tiles": {WRITE},
    },
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_the_permissions_it_needs_and_no_other(
    template: Template, function: str
) -> None:
    expected = {
        (action, str(RESOURCES[name]))
        for name, actions in PERMISSIONS[function].items()
        for action in actions
    }

    assert permissions(template, function) == expected


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_statement_of_a_function_allows_named_actions(
    template: Template, function: str
) -> None:
    for statement in statements(template, function):
        assert statement.keys() - {"Condition"} == {"Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        assert "*" not in str(statement["Action"])


@pytest.mark.parametrize("function", ["GetImportFunction", "ListImportsFunction"])
def test_the_imports_api_lists_only_uploaded_files(template: Template, function: str) -> None:
    (condition,) = (
        each.get("Condition")
        for each in statements(template, function)
        if LIST in listed(each["Action"])
    )

    assert condition == {"StringLike": {"s3:prefix": "drops/*"}}


def test_a_function_may_use_only_the_chosen_provider(template: Template) -> None:
    conditions, resources = template["Conditions"], template["Resources"]
    send, receive = ({"Ref": f"{name}FunctionRole"} for name in ("SendMessage", "ReceiveTwilio"))

    assert resources["SendByAwsPolicy"]["Condition"] == "SendsByAws"
    assert resources["SendByAwsPolicy"]["Properties"]["Roles"] == [send]
    assert conditions["SendsByAws"] == {"Fn::Equals": [{"Ref": "MessageProvider"}, "aws"]}
    assert resources["TwilioPolicy"]["Condition"] == "HasTwilioAccount"
    if_it_sends = {"Fn::If": ["SendsByTwilio", send, {"Ref": "AWS::NoValue"}]}
    assert resources["TwilioPolicy"]["Properties"]["Roles"] == [receive, if_it_sends]
    assert conditions["SendsByTwilio"] == {"Fn::Equals": [{"Ref": "MessageProvider"}, "twilio"]}


# ---------------------------------------------------------------- boundaries


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_boundary_allows_a_function_its_own_logs(template: Template, function: str) -> None:
    group = template["Resources"][function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
    logs = {pair for pair in bounds(template, function) if pair[0].startswith("logs:")}

    assert logs == {
        (action, str(arn(group))) for action in ("logs:CreateLogStream", "logs:PutLogEvents")
    }


def test_all_boundaries_are_alike_but_for_the_logs(template: Template) -> None:
    others = [
        {pair for pair in bounds(template, function) if not pair[0].startswith("logs:")}
        for function in FUNCTIONS
    ]

    assert all(each == others[0] for each in others)


RECEIVING = {
    "Arn": ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
    "StreamArn": [
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ],
}
"""What Lambda does in a function's name to read a queue, or a stream."""


def test_boundaries_let_functions_read_their_queue_or_stream(template: Template) -> None:
    for mapping in of_type(template, "Lambda::EventSourceMapping").values():
        function = mapping["Properties"]["FunctionName"]["Ref"].removesuffix("Aliaslive")
        source = mapping["Properties"]["EventSourceArn"]
        for action in RECEIVING[source["Fn::GetAtt"][1]]:
            assert (action, str(source)) in bounds(template, function)


def test_a_policy_fits_into_iams_limit_with_room_to_grow(template: Template) -> None:
    """IAM accepts 6,144 characters in a managed policy; an ARN has about 100 here."""
    for _, document in documents(template):
        length = len(json.dumps(document, separators=(",", ":")))
        resources = sum(len(listed(each["Resource"])) for each in document["Statement"])

        assert length + 60 * resources < 5_000


# ---------------------------------------------------------------- rules

X_RAY = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
"""May have the resource `*`: X-Ray has no resources."""

OF_A_KEY = {"kms:GetPublicKey", "kms:Sign"}
"""A boundary may have them for every key: the policy of a key names the role that may sign."""

OBJECTS = ("${DropsBucket.Arn}/", "${LogBucket.Arn}/")
"""What the ARN of an object begins with."""

AWS_POLICIES = {
    "AWSLambdaBasicExecutionRole": "logs, of every group; the boundary limits it",
    "AWSLambdaDynamoDBExecutionRole": "streams, of every table; the boundary limits it",
    "AWSLambdaSQSQueueExecutionRole": "messages, of every queue; the boundary limits it",
    "AWSXrayWriteOnlyAccess": "X-Ray has no resources",
}
"""AWS managed policies that SAM attaches, and why they are harmless behind a boundary."""

CODE_DEPLOY = "AWSCodeDeployRoleForLambda"
"""CodeDeploy's role in a gradual deployment: moves aliases, reads alarms, reads no data."""


def wildcards(template: Template) -> list[str]:
    """Return the permissions on every resource, every action, or of unknown policies."""
    found = [
        f"{name} may {action}"
        for name, actions, _ in allowances(template)
        for action in actions
        if "*" in action
    ]
    found += [
        f"{name} may reach {text_of(resource)}"
        for name, actions, resource in allowances(template)
        if "*" in text_of(resource)
        and not text_of(resource).startswith(OBJECTS)
        and not set(actions) <= X_RAY
        and (actions, text_of(resource)) != ([SEND_TEXT], NUMBERS)
        and not (name.endswith("Boundary") and set(actions) <= OF_A_KEY)
    ]
    return found + unknown_policies(template)


def unknown_policies(template: Template) -> list[str]:
    """Return the managed policies that are not known to be harmless to their role."""
    own = of_type(template, "IAM::ManagedPolicy")
    found = []
    for name, role in of_type(template, "IAM::Role").items():
        arns = listed(role["Properties"].get("ManagedPolicyArns", []))
        policies = {each["Ref"] if "Ref" in each else text_of(each).split("/")[-1] for each in arns}
        bound = {"Ref": f"{name.removesuffix('FunctionRole')}Boundary"}
        bounded = role["Properties"].get("PermissionsBoundary") == bound
        known = AWS_POLICIES.keys() | own.keys() if bounded else {CODE_DEPLOY}
        found += [f"{name} has {policy}" for policy in policies - known]
    return found


CHANGES = sorted(
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
)


def ledger_changes(template: Template) -> list[str]:
    """Return each way to overwrite or delete a record of the ledger."""
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
    """Return whether a resource is the ledger, or is not clearly another one."""
    if isinstance(resource, dict) and resource.keys() <= {"Fn::GetAtt", "Ref"}:
        return "LedgerTable" in listed(*resource.values())
    return not text_of(resource).startswith(OBJECTS)


def beyond_the_boundary(template: Template) -> list[str]:
    """Return the permissions of a function that its boundary does not allow."""
    return [
        f"{function} may not {action}"
        for function in FUNCTIONS
        for action, resource in permissions(template, function) - bounds(template, function)
        if not is_below(action, resource, bounds(template, function))
    ]


def is_below(action: str, resource: str, allowed: set[tuple[str, str]]) -> bool:
    """Return whether a resource is among those that a boundary has with a `*`."""
    if action in OF_A_KEY:
        return any(other == action for other, _ in allowed)
    return any(
        action == other and wider.endswith("/*'}") and resource.startswith(wider[:-3])
        for other, wider in allowed
    )


@pytest.mark.parametrize("rule", [wildcards, ledger_changes, beyond_the_boundary])
def test_policies_break_no_rule(environment: Template, rule: Rule) -> None:
    assert rule(environment) == []


ROLE, BOUNDARY = "CaptureConsentFunctionRole", "CaptureConsentBoundary"
EVERY_TABLE = {"Fn::Sub": "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/*"}
STACKS_BUCKETS = {"Fn::Sub": "arn:${AWS::Partition}:s3:::${AWS::StackName}*"}


def breaking_edits() -> Iterator[tuple[Rule, Edit, str]]:
    """Return edits, each with the rule it breaks and the rule's finding."""
    yield wildcards, allowing("s3:Get*", LEDGER), f"{ROLE} may s3:Get*"
    yield wildcards, allowing("sqs:SendMessage", "*"), f"{ROLE} may reach *"
    for policy in (BOUNDARY, "ApiFunctionPolicy", "ImportFunctionPolicy"):
        yield wildcards, allowing("sqs:SendMessage", "*", policy), f"{policy} may reach *"
        yield ledger_changes, allowing(DELETE, LEDGER, policy), f"{policy} may {DELETE}"
    yield (
        wildcards,
        allowing("s3:GetObject", STACKS_BUCKETS),
        f"{ROLE} may reach {STACKS_BUCKETS['Fn::Sub']}",
    )
    yield (
        wildcards,
        setting("NotFoundFunctionRole.Properties.ManagedPolicyArns", "policy/AdministratorAccess"),
        "NotFoundFunctionRole has AdministratorAccess",
    )
    yield (
        wildcards,
        dropping("NotFoundFunctionRole.Properties.PermissionsBoundary"),
        "NotFoundFunctionRole has AWSLambdaBasicExecutionRole",
    )
    yield (
        wildcards,
        setting("NotFoundFunctionRole.Properties.PermissionsBoundary", {"Ref": BOUNDARY}),
        "NotFoundFunctionRole has AWSLambdaBasicExecutionRole",
    )
    for change in CHANGES:
        yield ledger_changes, allowing(change, LEDGER), f"{ROLE} may {change}"
    yield ledger_changes, allowing("dynamodb:Put*", EVERY_TABLE), f"{ROLE} may {PUT}"
    yield (
        ledger_changes,
        setting("LedgerTable.Properties.TimeToLiveSpecification", {"Enabled": True}),
        "the ledger has a TimeToLiveSpecification",
    )
    yield (
        beyond_the_boundary,
        allowing("dynamodb:Scan", LEDGER),
        "CaptureConsentFunction may not dynamodb:Scan",
    )
    yield (
        beyond_the_boundary,
        allowing("dynamodb:Scan", LEDGER, "ApiFunctionPolicy"),
        "GetImportFunction may not dynamodb:Scan",
    )


@pytest.mark.parametrize(("rule", "edit", "finding"), list(breaking_edits()))
def test_an_edit_that_breaks_a_policy_rule_is_found(rule: Rule, edit: Edit, finding: str) -> None:
    assert finding in rule(edited(edit))
