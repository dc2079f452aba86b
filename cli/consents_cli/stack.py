"""The stack that a command acts on: the local stack, or a deployed stack by its name."""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from consents.accounts.directory import Directory
from consents.accounts.directory_writer import DirectoryWriter
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table
from consents.aws.s3 import Objects
from consents.capture.ledger import Ledger
from consents.decisions.consent_ids import ConsentIds
from consents.decisions.ledger import ContactReader
from consents.forms.table import FormsTable
from consents.imports.bucket import Bucket
from consents.imports.table import ImportTable
from consents.messages.outbox import Outbox

from consents_cli import locks
from consents_cli.errors import Failed
from consents_cli.local_files import LocalFiles, local_files

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

LOCAL_NAME = "consent-ledger"
LOCAL_REGION = "us-east-1"
LOCAL_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployment of the template, with clients for its resources."""

    name: str
    region: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    directory: Directory
    entries: DirectoryWriter
    ledger: Ledger
    dynamodb: "DynamoDBClient"
    pepper: Callable[[], bytes]
    """Returns the HMAC key, which few commands need."""
    secret: Callable[[str], str]
    """Returns a secret by the output that names it."""
    s3: Callable[[], "S3Client"]
    """Returns the client of the buckets, which few commands need."""
    kms: Callable[[], Any]
    """Returns the client of the log's key, which few commands need."""
    sns: Callable[[], "SNSClient"]
    """Returns the client of the topic of texts, which one command needs."""
    caller: Callable[[], str]
    """Returns the ARN of who runs the command; an SSO session names a person in it."""
    cloudwatch: Callable[[], "CloudWatchClient"]
    """Returns the client of metrics, which the console needs."""
    logs: Callable[[], "CloudWatchLogsClient"]
    """Returns the client of log queries, which the console needs."""
    cloudformation: "CloudFormationClient"
    functions: Callable[[], "LambdaClient"]
    """Returns the client of functions, which one command needs."""

    @property
    def reader(self) -> ContactReader:
        """The reader of contacts."""
        return ContactReader(Table(Boto3Client(lambda: self.dynamodb), self.output("LedgerTable")))

    @property
    def consent_ids(self) -> ConsentIds:
        """What seals and opens consent ids."""
        return ConsentIds(self.pepper)

    @property
    def imports(self) -> ImportTable:
        """The imports table."""
        return ImportTable(Table(Boto3Client(lambda: self.dynamodb), self.output("ImportsTable")))

    @property
    def outbox(self) -> Outbox:
        """The embedded outbox."""
        return Outbox(Table(Boto3Client(lambda: self.dynamodb), self.output("FormsTable")))

    @property
    def forms(self) -> FormsTable:
        """The forms table."""
        return FormsTable(Table(Boto3Client(lambda: self.dynamodb), self.output("FormsTable")))

    @property
    def bucket(self) -> Bucket:
        """The bucket of files and reports."""
        return Bucket(Objects(self.s3(), self.output("DropsBucket")))

    def invoke(self, output: str, event: Mapping[str, Any]) -> None:
        """Run an event through the function that an output names.

        Raises:
            Failed: the function failed.
        """
        response = self.functions().invoke(
            FunctionName=self.output(output), Qualifier="live", Payload=json.dumps(event)
        )
        if "FunctionError" in response:
            raise Failed(f"{output} failed: its log lines say why")

    def output(self, name: str) -> str:
        """Return an output of the stack.

        Raises:
            Failed: there is no output of this name.
        """
        if name not in self.outputs:
            raise Failed(f"stack {self.name!r} has no {name}: deploy this release first")
        return self.outputs[name]

    @property
    def tables(self) -> dict[str, str]:
        """The names of the tables: the output `LedgerTable` as `ledger`, and so on."""
        return {
            re.sub("(?<!^)(?=[A-Z])", "_", name.removesuffix("Table")).lower(): table
            for name, table in self.outputs.items()
            if name.endswith("Table")
        }


def open_stack(name: str | None, region: str | None) -> Stack:
    """Return the deployed stack of this name, or the local stack.

    Raises:
        Failed: there is no such stack, or the local stack is not running.
    """
    if name:
        return connect(boto3.Session(region_name=region), name)
    state = running_state(local_files())
    if state is None:
        raise Failed(
            "no local stack is running: start one with `consents local up`, "
            "or name a deployed stack with --stack"
        )
    return connect_local(state["aws_endpoint_url"])


def running_state(files: LocalFiles) -> dict[str, Any] | None:
    """Return the state of the local stack, or None if it is not running."""
    return files.read_state() if locks.holder(files.engine_lock) else None


def connect_local(endpoint_url: str) -> Stack:
    """Return the local stack at an endpoint.

    Raises:
        Failed: it is not deployed.
    """
    return connect(local_session(), LOCAL_NAME, endpoint_url, Config(proxies={}))


@cache
def local_session() -> boto3.Session:
    """Return a session that ignores profiles, credentials and endpoints of the user."""
    nothing = (None, None, os.devnull, None)
    session = botocore.session.Session(
        {
            "profile": (None, None, None, None),
            "config_file": nothing,
            "credentials_file": nothing,
        }
    )
    session.set_credentials(*LOCAL_CREDENTIALS.values())
    return boto3.Session(botocore_session=session, region_name=LOCAL_REGION)


def connect(
    session: boto3.Session,
    name: str,
    endpoint_url: str | None = None,
    config: Config | None = None,
) -> Stack:
    """Return the deployed stack of this name, with clients by its outputs.

    Raises:
        Failed: there is no such stack, or it is of another template.
    """
    client_of = partial(session.client, endpoint_url=endpoint_url, config=config)
    cloudformation = client_of("cloudformation")
    outputs, parameters = _described(cloudformation, name)
    dynamodb = client_of("dynamodb")
    client = Boto3Client(lambda: dynamodb)
    directory = Table(client, outputs["DirectoryTable"])
    secret = cache(partial(_secret, client_of, outputs))

    def pepper() -> bytes:
        return secret("PepperSecret").encode()

    return Stack(
        name=name,
        region=cloudformation.meta.region_name,
        outputs=outputs,
        parameters=parameters,
        directory=Directory(directory, pepper),
        entries=DirectoryWriter(directory),
        ledger=Ledger(Table(client, outputs["LedgerTable"])),
        dynamodb=dynamodb,
        pepper=pepper,
        secret=secret,
        s3=cache(lambda: client_of("s3")),
        kms=cache(lambda: client_of("kms")),
        sns=cache(lambda: client_of("sns")),
        caller=cache(lambda: client_of("sts").get_caller_identity()["Arn"]),
        cloudwatch=cache(lambda: client_of("cloudwatch")),
        logs=cache(lambda: client_of("logs")),
        cloudformation=cloudformation,
        functions=cache(lambda: client_of("lambda")),
    )


def _secret(client_of: Callable[..., Any], outputs: Mapping[str, str], output: str) -> str:
    """Return the secret that an output names."""
    found = client_of("secretsmanager").get_secret_value(SecretId=outputs[output])
    return str(found["SecretString"])


def _described(client: "CloudFormationClient", name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the outputs and the parameters of a stack."""
    try:
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        where = client.meta.region_name
        raise Failed(f"unknown stack {name!r} in {where}: check --stack and --region") from None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    missing = {"DirectoryTable", "LedgerTable", "PepperSecret"} - outputs.keys()
    if missing:
        raise Failed(f"stack {name!r} is not a Consent Ledger: it has no output {min(missing)}")
    given = stack.get("Parameters", [])
    return outputs, {one["ParameterKey"]: one["ParameterValue"] for one in given}
