"""The stack that a command acts on: the local one, or a deployed one by its name."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from consents.aws.directory import Directory
from consents.aws.ledger import Ledger
from consents.aws.progress import Progress

from consents_cli import locks
from consents_cli.directory_writer import DirectoryWriter
from consents_cli.errors import Failed
from consents_cli.local_files import LocalFiles, local_files

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

LOCAL_NAME = "consent-ledger"
LOCAL_REGION = "us-east-1"
LOCAL_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True, slots=True)
class Stack:
    """One deployment of the template, with the clients that reach it."""

    name: str
    region: str
    outputs: Mapping[str, str]
    directory: Directory
    entries: DirectoryWriter
    ledger: Ledger
    dynamodb: "DynamoDBClient"
    s3: Callable[[], "S3Client"]
    """Returns the one client of drops and reports, which few commands need."""

    @property
    def progress(self) -> Progress:
        """How far the imports of dropped files are."""
        return Progress(self.dynamodb, self.output("ImportsTable"))

    def output(self, name: str) -> str:
        """Return an output of the stack.

        Raises:
            Failed: it has none of this name.
        """
        if name not in self.outputs:
            raise Failed(f"the stack {self.name!r} has no {name}: deploy this release first")
        return self.outputs[name]

    @property
    def tables(self) -> dict[str, str]:
        """Every table the stack tells of: `LedgerTable` as `ledger`, and so on."""
        return {
            re.sub("(?<!^)(?=[A-Z])", "_", name.removesuffix("Table")).lower(): table
            for name, table in self.outputs.items()
            if name.endswith("Table")
        }


def open_stack(name: str | None, region: str | None) -> Stack:
    """Return the deployed stack of this name, or the local one.

    Raises:
        Failed: there is none.
    """
    if name:
        return connect(boto3.Session(region_name=region), name)
    state = running_state(local_files())
    if state is None:
        raise Failed(
            "no local stack is running: start one with `consents local up`, "
            "or name a deployed one with --stack"
        )
    return connect_local(state["aws_endpoint_url"])


def running_state(files: LocalFiles) -> dict[str, Any] | None:
    """Return what the local stack wrote of itself, or None if it does not run."""
    return files.read_state() if locks.holder(files.engine_lock) else None


def connect_local(endpoint_url: str) -> Stack:
    """Return the local stack behind an endpoint.

    Raises:
        Failed: it is not deployed.
    """
    return connect(local_session(), LOCAL_NAME, endpoint_url, Config(proxies={}))


@cache
def local_session() -> boto3.Session:
    """Return a session that knows no profile, credential or endpoint of the user's."""
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
    """Return the deployed stack of this name, by its outputs.

    Raises:
        Failed: there is none, or it is another template's.
    """
    cloudformation = session.client("cloudformation", endpoint_url=endpoint_url, config=config)
    outputs = _outputs(cloudformation, name)
    dynamodb = session.client("dynamodb", endpoint_url=endpoint_url, config=config)

    @cache
    def pepper() -> bytes:
        secrets = session.client("secretsmanager", endpoint_url=endpoint_url, config=config)
        answer = secrets.get_secret_value(SecretId=outputs["PepperSecret"])
        return answer["SecretString"].encode()

    return Stack(
        name=name,
        region=cloudformation.meta.region_name,
        outputs=outputs,
        directory=Directory(dynamodb, outputs["DirectoryTable"], pepper),
        entries=DirectoryWriter(dynamodb, outputs["DirectoryTable"]),
        ledger=Ledger(dynamodb, outputs["LedgerTable"]),
        dynamodb=dynamodb,
        s3=cache(lambda: session.client("s3", endpoint_url=endpoint_url, config=config)),
    )


def _outputs(client: "CloudFormationClient", name: str) -> Mapping[str, str]:
    try:
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise Failed(f"there is no stack {name!r} in {client.meta.region_name}") from None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    missing = {"DirectoryTable", "LedgerTable", "PepperSecret"} - outputs.keys()
    if missing:
        raise Failed(f"the stack {name!r} is no Consent Ledger: it has no {min(missing)}")
    return outputs
