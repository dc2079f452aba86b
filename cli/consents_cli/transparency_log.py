"""`consents log`: the state of the transparency log, and the policy that verifies it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer
from botocore.exceptions import ClientError
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table
from consents.aws.kms import SigningKey
from consents.aws.s3 import Objects
from consents.domain.record import timestamp
from consents.proof.log_reader import LogReader
from consents.proof.log_state import LogState, log_state
from consents.proof.notes import SignatureType, VerifierKey
from consents.proof.policy import policy_text
from consents.proof.table import LogTable

from consents_cli import output
from consents_cli.local_files import local_files
from consents_cli.log_anchors import anchor, cosign, log_bucket, witnesses
from consents_cli.log_export import export
from consents_cli.log_reconcile import backfill, reconcile
from consents_cli.options import AsJson, Region, StackName
from consents_cli.stack import Stack, open_stack, running_state

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

app = typer.Typer(no_args_is_help=True, help="The transparency log.")
app.command()(anchor)
app.command()(backfill)
app.command()(cosign)
app.command()(export)
app.command()(reconcile)
app.command()(witnesses)


@dataclass(frozen=True, slots=True)
class DatedObjects:
    """The objects of the log's bucket, with the times at which they were written."""

    client: "S3Client"
    bucket: str

    def dated(self, name: str) -> tuple[bytes, datetime] | None:
        """Return an object and when it was written, or None."""
        try:
            found = self.client.get_object(Bucket=self.bucket, Key=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None
        return found["Body"].read(), found["LastModified"]


@app.command()
def show(stack: StackName = None, region: Region = None, as_json: AsJson = False) -> None:
    """Show size, checkpoint, age, lag, anchors and faults; exit code 1 if there are faults."""
    found = described(open_stack(stack, region), datetime.now(UTC))
    output.show(found, as_json=as_json, people=lambda: output.details(found))
    if found["faults"]:
        raise typer.Exit(1)


@app.command()
def keys(stack: StackName = None, region: Region = None, as_json: AsJson = False) -> None:
    """Print the policy to give to those who verify proofs: the log's key and its URL."""
    opened = open_stack(stack, region)
    url = f"{_api_url(opened, stack)}/v1/log"
    policy = policy_text(verifier(opened), url, log_bucket(opened).witness_policy())
    if as_json:
        output.show({"policy": policy}, as_json=True, people=lambda: policy)
    else:  # a file: no line may be broken
        typer.echo(policy, nl=False)


def _api_url(opened: Stack, name: str | None) -> str:
    """Return the URL of the API: an output of a deployed stack, but not of the local one."""
    state = None if name else running_state(local_files())
    return str(state["api_url"]) if state else opened.output("ApiUrl")


def described(stack: Stack, now: datetime) -> dict[str, Any]:
    """Return the state of a stack's log."""
    bucket = stack.output("LogBucket")
    table = LogTable(Table(Boto3Client(lambda: stack.dynamodb), stack.output("LogTable")))
    state = log_state(verifier(stack), table, DatedObjects(stack.s3(), bucket))
    anchors = LogReader(Objects(stack.s3(), bucket)).anchored_sizes()
    return {
        "origin": stack.output("LogOrigin"),
        **_times(state, now),
        "waiting": state.waiting,
        "anchors": len(anchors),
        "newest_anchor": anchors[0] if anchors else None,
        "faults": state.faults,
    }


def _times(state: LogState, now: datetime) -> Mapping[str, Any]:
    def since(at: datetime | None) -> int | None:
        return None if at is None else max(0, int((now - at).total_seconds()))

    return {
        "size": state.size,
        "checkpoint": state.checkpoint,
        "published_at": state.published_at and timestamp(state.published_at),
        "age_seconds": since(state.published_at),
        "lag_seconds": since(state.waiting_since) or 0,
    }


def verifier(stack: Stack) -> VerifierKey:
    """Return the public key of a stack's log."""
    key = SigningKey(Boto3Client(stack.kms), stack.output("LogKey"))
    return VerifierKey(stack.output("LogOrigin"), SignatureType.ED25519, key.public_key)
