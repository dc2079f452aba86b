"""A deployment under AWS's rules: policies enforced, updates in place, retained evidence.

The engine differs from AWS, so the deployed template is changed. The engine checks
`dynamodb:BatchExecuteStatement` on any resource where AWS checks `dynamodb:PartiQLInsert` on the
ledger, and `sqs:SendMessageBatch` where AWS checks `sqs:SendMessage`. It refers to a secret by its
name, and AWS by its ARN. It serves no TLS, which the bucket and the queues require. CloudFormation
of the engine ignores the boundary of a role, so the tests set it. Only Lambda may assume the role
of a function, so the tests allow the account to assume it too.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError
from consents.imports.drop import parse_key
from consents_cli import demo, engine, outbox, sam
from consents_cli.local_files import PROJECT, LocalFiles
from consents_cli.stack import LOCAL_CREDENTIALS, LOCAL_NAME, LOCAL_REGION, Stack, connect_local
from ministack.services.cloudformation import language_extensions
from samcli.yamlhelper import parse_yaml_file

from tests.e2e.local_stack import ends, eventually, free_port
from tests.e2e.operator_policies import console_policy, operator_of
from tests.integration.operators import Operator

BULK_CONSENT = {
    "contact_id": "+19999999999",
    "correlation_id": "ad388b5a46b33b874b0d41f7226db2ef",
    "sender_id": "MG00000000000000000000000000000001",
    "date_of_consent": "2025-02-28T10:05:27Z",
    "status": "opt-out",
    "source": "website",
}


ACCOUNT = "arn:aws:iam::000000000000:"


@dataclass(frozen=True)
class Deployment:
    """A stack on an engine that enforces policies."""

    url: str
    build: Path
    stack: Stack
    organization: dict[str, Any]

    @property
    def bearer(self) -> dict[str, str]:
        """The header that authenticates at the Attested Consent API."""
        return {"Authorization": f"Bearer {self.organization['api_key']}"}

    def call(self, method: str, route: str, **what: Any) -> httpx.Response:
        """Call the API."""
        outputs = self.stack.outputs
        stage = f"{self.url}/restapis/{outputs['ApiId']}/{outputs['StageName']}/_user_request_"
        return httpx.request(method, stage + route, timeout=30, **what)

    def aws(self, name: str) -> Any:
        """Return a client with every permission."""
        return self._client(name, *LOCAL_CREDENTIALS.values())

    @property
    def resources(self) -> dict[str, str]:
        """The physical ids of all resources, by logical id."""
        pages = self.aws("cloudformation").get_paginator("list_stack_resources")
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for page in pages.paginate(StackName=LOCAL_NAME)
            for each in page["StackResourceSummaries"]
        }

    def as_role_of(self, function: str, service: str) -> Any:
        """Return a client with the permissions of a function."""
        arn = f"{ACCOUNT}role/{self.resources[f'{function}Role']}"
        session = self.aws("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        keys = (session[each] for each in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
        return self._client(service, *keys)

    def _client(self, service: str, key: str, secret: str, token: str | None = None) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.url,
            region_name=LOCAL_REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
        )

    def items(self, table: str) -> list[dict[str, Any]]:
        """Return all items of a table."""
        found = self.aws("dynamodb").scan(TableName=self.stack.outputs[table])["Items"]
        return sorted(found, key=repr)  # some attributes are bytes


def allow(action: str) -> dict[str, str]:
    return {"Effect": "Allow", "Action": action, "Resource": "*"}


BATCHES = {
    "dynamodb:PartiQLInsert": allow("dynamodb:BatchExecuteStatement"),
    "sqs:SendMessage": allow("sqs:SendMessageBatch"),
}
"""The permission that the engine checks, for each permission that AWS checks."""


def for_the_engine(source: Path) -> None:
    """Change a built template for the engine."""
    template = language_extensions.apply(parse_yaml_file(str(source)), {})
    resources = template["Resources"]
    for name in ("DropsBucketPolicy", "LogBucketPolicy", "OtherQueuesPolicy"):
        del resources[name]
    for name in ("PlanQueuePolicy", "InboundQueuePolicy"):
        notified = resources[name]["Properties"]["PolicyDocument"]
        allowed = [each for each in notified["Statement"] if each["Effect"] == "Allow"]
        notified["Statement"] = allowed
    policies = [
        resource["Properties"]["PolicyDocument"]
        for resource in resources.values()
        if resource["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy")
    ]
    policies += [
        policy
        for resource in resources.values()
        if resource["Type"] == "AWS::Serverless::Function"
        for policy in resource["Properties"].get("Policies", [])
        if "Statement" in policy
    ]
    for policy in policies:
        for statement in list(policy["Statement"]):
            statement["Resource"] = with_ids_of_secrets(statement["Resource"])
            actions = statement["Action"]
            for action in BATCHES.keys() & ([actions] if isinstance(actions, str) else actions):
                policy["Statement"].append(BATCHES[action])
    source.write_text(json.dumps(template))


def with_ids_of_secrets(value: Any) -> Any:
    """Return a value that names secrets as the engine's policies do."""
    if value in ({"Ref": "Pepper"}, {"Ref": "TwilioAuthToken"}):
        return {"Fn::GetAtt": [value["Ref"], "Id"]}
    if isinstance(value, dict):
        return {name: with_ids_of_secrets(each) for name, each in value.items()}
    return [*map(with_ids_of_secrets, value)] if isinstance(value, list) else value


def deploy(build: Path, url: str, *parameters: str) -> None:
    """Deploy a build with `sam deploy`."""
    command = [str(shutil.which("sam", path=sam.search_path())), "deploy"]
    command += ["--config-file", str(PROJECT / "samconfig.toml"), "--no-confirm-changeset"]
    command += ["--template-file", str(build / "template.yaml"), "--stack-name", LOCAL_NAME]
    command += ["--parameter-overrides", f"Architecture={sam.architecture()}", "LocalEngine=yes"]
    command += ["MessageProvider=outbox", f"TwilioAccountSid={sam.TWILIO_ACCOUNT_SID}"]
    command += [f"PublicUrl={url}/restapis/{{api_id}}/{{stage}}/_user_request_"]
    command += parameters
    environment = sam.environment() | {"AWS_ENDPOINT_URL": url}
    ran = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=280
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def deployment(build: LocalFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The shared build, deployed to an engine that enforces policies."""
    files = LocalFiles(tmp_path_factory.mktemp("enforced"))
    files.build.parent.mkdir()
    files.build.symlink_to(build.build)
    sam.link_layer(files)
    for_the_engine(files.linked_build / "template.yaml")
    files.scratch.mkdir()
    port = free_port()
    with files.engine_log.open("wb") as log:
        process = subprocess.Popen(
            engine.COMMAND,
            cwd=files.scratch,
            env=engine.environment(files, port) | {"AUTH": "true"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        engine.wait_until_ready(process, files, port)
        deploy(files.linked_build, engine.url(port))
        local = connect_local(engine.url(port))
        deployed = Deployment(engine.url(port), files.linked_build, local, demo.create(local))
        bound_roles(deployed)
        yield deployed
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert ends(process.pid)


def bound_roles(deployment: Deployment) -> None:
    """Set the boundary of the template on the roles, and allow the account to assume them."""
    iam, resources = deployment.aws("iam"), deployment.resources
    account = {"AWS": f"{ACCOUNT}root"}
    service = {"Service": "lambda.amazonaws.com"}
    trust = [
        {"Effect": "Allow", "Principal": each, "Action": "sts:AssumeRole"}
        for each in (account, service)
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": trust})
    for name, role in resources.items():
        if name.endswith("FunctionRole"):
            boundary = resources[f"{name.removesuffix('FunctionRole')}Boundary"]
            iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
            iam.update_assume_role_policy(RoleName=role, PolicyDocument=document)


def attested_consent(deployment: Deployment) -> dict[str, Any]:
    return {
        "phone_number_id": deployment.organization["senders"][0]["phone_number_id"],
        "contact_number": "+15554443333",
        "opted_in": True,
        "evidence": {
            "captured_at": "2026-04-26T12:00:00Z",
            "agreement_text": "Reply STOP to opt out.",
            "consent_method": "verbal",
        },
    }


def send_batch(deployment: Deployment) -> httpx.Response:
    records = {"records": [attested_consent(deployment)]}
    return deployment.call("POST", "/v1/consent/bulk", headers=deployment.bearer, json=records)


def test_role_allows_an_attested_batch(deployment: Deployment) -> None:
    answer = send_batch(deployment)

    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})


def test_role_allows_a_single_consent(deployment: Deployment) -> None:
    consent = attested_consent(deployment)
    key = {"Idempotency-Key": "single"}
    answer = deployment.call("POST", "/v1/consent", headers=deployment.bearer | key, json=consent)

    assert answer.status_code == 201


def test_role_allows_a_bulk_consents_call(deployment: Deployment) -> None:
    account = (deployment.organization["account_sid"], deployment.organization["auth_token"])
    items = {"Items": json.dumps(BULK_CONSENT)}
    answer = deployment.call("POST", "/v1/Consents/Bulk", auth=account, data=items)

    assert [item["error_code"] for item in answer.json()["items"]] == [0]


def test_roles_allow_an_import_from_upload_to_report(deployment: Deployment) -> None:
    content = json.dumps(attested_consent(deployment)).encode() + b"\n12\n"
    file = {"wire": "attested", "format": "jsonl", "size": len(content)}
    announced = deployment.call("POST", "/v1/imports", headers=deployment.bearer, json=file).json()
    upload = announced["upload"]
    httpx.put(upload["url"], content=content, headers=upload["headers"], timeout=30)

    shown = ended(deployment, announced["import_id"])
    assert (shown["state"], shown["rows"], shown["rejected"]) == ("completed", 2, 1)
    assert httpx.get(shown["reports"]["summary"], timeout=30).json()["state"] == "completed"
    listed = deployment.call("GET", "/v1/imports", headers=deployment.bearer).json()
    assert [each["import_id"] for each in listed["imports"]] == [announced["import_id"]]


def test_role_allows_to_fail_an_import(deployment: Deployment) -> None:
    key = f"drops/{deployment.organization['org_id']}/attested/failed.csv"
    drop = parse_key(deployment.stack.outputs["DropsBucket"], key, "v1")
    assert drop is not None
    thing = {"bucket": {"name": drop.bucket}, "object": {"key": key, "versionId": drop.version}}
    message = json.dumps({"Records": [{"s3": thing}]})
    queue = deployment.resources["FailedQueue"]
    deployment.aws("sqs").send_message(QueueUrl=queue, MessageBody=message)

    shown = ended(deployment, drop.import_id)
    assert (shown["state"], shown["reason"]) == ("failed", "the file could not be read")
    assert httpx.get(shown["reports"]["summary"], timeout=30).json()["state"] == "failed"
    dead_letters = deployment.resources["DeadLetterQueue"]
    (kept,) = deployment.aws("sqs").receive_message(QueueUrl=dead_letters, WaitTimeSeconds=10)[
        "Messages"
    ]
    assert kept["Body"] == message


def test_roles_allow_a_form_from_link_to_record(deployment: Deployment) -> None:
    order = {
        "phone_number_id": deployment.organization["senders"][0]["phone_number_id"],
        "contact_number": "+15554443335",
        "agreement_text": "Reply STOP to opt out.",
    }
    route = "/v1/consent/hosted"
    made = deployment.call("POST", route, headers=deployment.bearer, json=order).json()
    page = httpx.get(made["url"], timeout=30)
    found = re.search(r'name="stamp" value="([^"]+)"', page.text)
    assert found is not None
    fields = {"stamp": found[1], "agree": "yes", "lang": "en"}

    # Until the page is two seconds old it has to be read again.
    assert eventually(
        lambda: httpx.post(made["url"], data=fields, timeout=30).status_code == 200, seconds=10
    )
    state = f"{route}/{made['form_id']}"
    assert deployment.call("GET", state, headers=deployment.bearer).json()["state"] == "used"
    assert deployment.call("DELETE", state, headers=deployment.bearer).status_code == 204
    assert httpx.get(made["url"], timeout=30).status_code == 410


def test_roles_allow_a_challenge_from_text_to_record(deployment: Deployment) -> None:
    contact = "+14155552671"
    order = {
        "phone_number_id": deployment.organization["senders"][0]["phone_number_id"],
        "contact_number": contact,
        "agreement_text": "I agree.",
    }
    route = "/v1/consent/double-opt-in"
    asked = deployment.call("POST", route, headers=deployment.bearer, json=order).json()

    def state() -> dict[str, Any]:
        shown = f"{route}/{asked['consent_pending_id']}"
        return dict(deployment.call("GET", shown, headers=deployment.bearer).json())

    assert eventually(lambda: state()["messages"][0]["state"] == "sent", seconds=30)
    outbox.publish(deployment.stack, contact, demo.PHONE_NUMBER, "YES")
    assert eventually(lambda: state()["state"] == "confirmed", seconds=30)
    assert eventually(lambda: len(deployment.stack.outbox.newest(9)) == 2, seconds=30)


def ended(deployment: Deployment, import_id: str) -> dict[str, Any]:
    """Return an import once it has ended."""

    def shown() -> dict[str, Any]:
        route = f"/v1/imports/{import_id}"
        answer = deployment.call("GET", route, headers=deployment.bearer)
        return dict(answer.json()) if answer.status_code == 200 else {"state": "unknown"}

    assert eventually(lambda: shown()["state"] in ("completed", "failed"), seconds=60)
    return shown()


ITEM = {"pk": {"S": "org_1#+15554443333"}, "sk": {"S": "+15550001111#~#1"}}
CHANGES: dict[str, dict[str, Any]] = {
    "delete_item": {"Key": ITEM},
    "put_item": {"Item": ITEM},
    "update_item": {"Key": ITEM},
    "delete_table": {},
}


def test_no_function_may_change_or_remove_a_record(deployment: Deployment) -> None:
    functions = [name for name in deployment.resources if name.endswith("Function")]
    assert len(functions) == len(list(PROJECT.glob("functions/*/app.py")))
    for function in functions:
        client = deployment.as_role_of(function, "dynamodb")
        for change, what in CHANGES.items():
            with pytest.raises(ClientError, match="AccessDenied"):
                getattr(client, change)(TableName=deployment.stack.outputs["LedgerTable"], **what)


def test_only_the_webhook_may_read_the_token_of_twilio_where_twilio_does_not_send(
    deployment: Deployment,
) -> None:
    token = {"SecretId": deployment.stack.outputs["TwilioAuthTokenSecret"]}
    readers = set()
    for function in (name for name in deployment.resources if name.endswith("Function")):
        with suppress(ClientError):
            deployment.as_role_of(function, "secretsmanager").get_secret_value(**token)
            readers.add(function)

    assert readers == {"ReceiveTwilioFunction"}


def test_boundary_limits_a_policy_that_allows_everything(deployment: Deployment) -> None:
    everything = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    deployment.aws("iam").put_role_policy(
        RoleName=deployment.resources["NotFoundFunctionRole"],
        PolicyName="careless",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )
    client = deployment.as_role_of("NotFoundFunction", "dynamodb")

    client.get_item(TableName=deployment.stack.outputs["DirectoryTable"], Key=ITEM)
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_item(TableName=deployment.stack.outputs["LedgerTable"], Key=ITEM)


@pytest.mark.parametrize("function", ["GetImportFunction", "ListImportsFunction"])
def test_imports_api_may_list_uploaded_files_and_nothing_else(
    deployment: Deployment, function: str
) -> None:
    s3, bucket = deployment.as_role_of(function, "s3"), deployment.resources["DropsBucket"]

    s3.list_objects_v2(Bucket=bucket, Prefix="drops/org_1/attested/import.csv")
    for prefix in ("", "reports/", "work/"):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=bucket, Prefix=prefix)


@pytest.fixture
def seen(deployment: Deployment) -> tuple[Stack, boto3.Session]:
    """The stack as an operator with the policy of the guide to the console sees it."""
    return operator_of(deployment.url, deployment.aws("iam"), console_policy(deployment.stack))


def test_the_policy_of_the_guide_allows_every_page_of_the_console(
    deployment: Deployment, seen: tuple[Stack, boto3.Session]
) -> None:
    send_batch(deployment)
    org_id = deployment.organization["org_id"]
    operator = Operator(seen[0]).open()
    contact = operator.post("/", sought="+15554443333", org_id=org_id).headers["location"]
    page = operator.get(contact).text
    record = re.search(r'href="([^"]+/records/[^"]+)"', page)
    assert record is not None
    listed = operator.get(f"/organizations/{org_id}/imports").text
    pages = [record[1], f"{contact}/revoke", "/", "/organizations", f"/organizations/{org_id}"]
    pages += ["/audit", *re.findall(r'href="(/imports/[0-9a-f]{32})"', listed)]
    assert {path: operator.get(path).status_code for path in pages} == dict.fromkeys(pages, 200)
    assert "looked at a contact" in operator.get("/audit").text

    revoked = operator.post(f"{contact}/revoke", sender="*", method="phone", reason="T-1")
    assert revoked.status_code == 303
    key = {"wire": "attested", "consent:read": "on", "reason": "T-2"}
    made = operator.post(f"/organizations/{org_id}/keys", **key)
    assert made.status_code == 201
    found = re.search(r"am_live_(\w{8})_", made.text)
    assert found is not None
    url = f"/organizations/{org_id}/keys/{found[1]}/revoke"
    assert operator.post(url, reason="T-3").status_code == 303


def test_the_policy_of_the_guide_changes_and_scans_nothing(
    deployment: Deployment, seen: tuple[Stack, boto3.Session]
) -> None:
    client = seen[1].client("dynamodb", endpoint_url=deployment.url)
    for table in ("AccessLogTable", "LedgerTable"):
        named = {"TableName": deployment.stack.outputs[table]}
        for call in (
            lambda named=named: client.delete_item(**named, Key=ITEM),
            lambda named=named: client.put_item(**named, Item=ITEM),
            lambda named=named: client.update_item(**named, Key=ITEM),
            lambda named=named: client.scan(**named),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                call()


def test_an_operator_who_only_looks_without_the_keys_statement_makes_no_key(
    deployment: Deployment,
) -> None:
    document = console_policy(deployment.stack, without={"Keys"})
    operator = Operator(operator_of(deployment.url, deployment.aws("iam"), document)[0]).open()
    org_id = deployment.organization["org_id"]
    before = deployment.items("DirectoryTable")
    key = {"wire": "attested", "consent:read": "on", "reason": "T-4"}
    refused = operator.post(f"/organizations/{org_id}/keys", **key)
    assert (refused.status_code, "am_live_" in refused.text) == (503, False)
    assert deployment.items("DirectoryTable") == before
    assert operator.find(org_id, "+15554443333").status_code == 200


def test_an_operator_who_may_not_insert_entries_sees_no_contact(deployment: Deployment) -> None:
    document = console_policy(deployment.stack, without={"InsertAccessLog", "Revoke"})
    operator = Operator(operator_of(deployment.url, deployment.aws("iam"), document)[0]).open()
    shown = operator.find(deployment.organization["org_id"], "+15554443333")
    assert (shown.status_code, "no entry" in shown.text) == (503, True)
    assert "Opted" not in shown.text


HOLD_DATA = {
    "AccessLogTable",
    "DirectoryTable",
    "DropsBucket",
    "FormsTable",
    "IdempotencyTable",
    "ImportsTable",
    "LedgerTable",
    "LogBucket",
    "LogKey",
    "LogTable",
    "Pepper",
    "RateLimitsTable",
    "TwilioAuthToken",
}
RETAINED = HOLD_DATA - {"IdempotencyTable", "ImportsTable", "RateLimitsTable"}


def held(deployment: Deployment) -> dict[str, Any]:
    """Return the items of all tables, by table."""
    return {name: deployment.items(name) for name in HOLD_DATA if name.endswith("Table")}


def test_update_keeps_all_items_and_data_resources(deployment: Deployment) -> None:
    send_batch(deployment)
    items, resources = held(deployment), deployment.resources
    for code in deployment.build.glob(
        "Capture*Function/app.py"
    ):  # the others see only the parameters
        code.write_text(code.read_text() + "\n# another release\n")
    deploy(
        deployment.build,
        deployment.url,
        "AllowedOrigin=https://app.example.com",
        "ImportPace=slow",
        "LogGroupRetentionDays=30",
        "ThrottleRate=500",
    )

    assert held(deployment) == items
    assert {name: deployment.resources[name] for name in HOLD_DATA} == {
        name: resources[name] for name in HOLD_DATA
    }
    preflight = deployment.call("OPTIONS", "/v1/Consents/Bulk")
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert send_batch(deployment).json() == {"accepted": 1, "rejected": []}
    assert deployment.items("LedgerTable") == items["LedgerTable"]


def test_deleted_stack_leaves_its_evidence_and_no_more(deployment: Deployment) -> None:
    """The last test: it deletes the deployment."""
    send_batch(deployment)
    evidence, resources = deployment.items("LedgerTable"), deployment.resources
    assert evidence
    cloudformation = deployment.aws("cloudformation")
    cloudformation.delete_stack(StackName=LOCAL_NAME)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=LOCAL_NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )

    left = {
        *deployment.aws("dynamodb").list_tables()["TableNames"],
        *(each["Name"] for each in deployment.aws("s3").list_buckets()["Buckets"]),
        *(each["Name"] for each in deployment.aws("secretsmanager").list_secrets()["SecretList"]),
        *(each["KeyId"] for each in deployment.aws("kms").list_keys()["Keys"]),
        *deployment.aws("sqs").list_queues().get("QueueUrls", []),
        *(each["FunctionName"] for each in deployment.aws("lambda").list_functions()["Functions"]),
        *(each["RoleName"] for each in deployment.aws("iam").list_roles()["Roles"]),
        *(
            each["logGroupName"]
            for each in deployment.aws("logs").describe_log_groups()["logGroups"]
        ),
    }
    assert left & set(resources.values()) == {resources[name] for name in RETAINED}
    assert deployment.items("LedgerTable") == evidence
