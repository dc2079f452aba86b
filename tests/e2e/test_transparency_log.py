"""A record that the API captures is in the signed log, as an auditor with the files checks it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import consents_verify
import httpx
import pytest
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table
from consents.aws.kms import SigningKey
from consents.aws.s3 import Objects
from consents.proof import bucket_keys, notes, records
from consents.proof.bucket import LogBucket
from consents.proof.entries import Kind, contact_tag, entry
from consents.proof.notes import SignatureType, VerifierKey
from consents.proof.table import LogTable
from consents.proof.tiles import TileTree, is_partial
from consents_cli.stack import Stack

from tests.e2e.local_stack import LocalStack, eventually, run_consents
from tests.factories import attested_json
from tests.unit import rfc6962

CONTACT = "+15554440777"


@pytest.fixture
def bucket(stack: LocalStack, deployed: Stack) -> LogBucket:
    """The bucket of the stack's log."""
    return LogBucket(Objects(deployed.s3(), stack.state["log_bucket"]))


def client(stack: LocalStack, service: str) -> Any:
    """Return a client of a service of the stack."""
    made: Any = boto3.client  # typed per literal name
    return made(
        service,
        endpoint_url=stack.state["aws_endpoint_url"],
        region_name=stack.state["region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def capture(stack: LocalStack) -> None:
    """Capture a record of the contact by the API."""
    sender = stack.organization["senders"][0]["phone_number_id"]
    record = attested_json(contact_number=CONTACT, phone_number_id=sender)
    response = httpx.post(
        f"{stack.api_url}/v1/consent/bulk",
        json={"records": [record]},
        headers={"Authorization": f"Bearer {stack.organization['api_key']}"},
        timeout=30,
    )
    assert (response.status_code, response.json()["accepted"]) == (200, 1)


def stored_item(stack: LocalStack, deployed: Stack) -> dict[str, Any]:
    """Return the contact's item in the ledger."""
    (item,) = deployed.dynamodb.query(
        TableName=stack.state["tables"]["ledger"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"{stack.organization['org_id']}#{CONTACT}"}},
    )["Items"]
    return dict(item)


def verifier(stack: LocalStack) -> VerifierKey:
    """Return what verifies the log's checkpoints."""
    kms = client(stack, "kms")
    keys = [kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"] for one in kms.list_keys()["Keys"]]
    (key,) = [one for one in keys if one["KeySpec"] == "ECC_NIST_EDWARDS25519"]
    public_key = SigningKey(Boto3Client(lambda: kms), key["KeyId"]).public_key
    return VerifierKey(stack.state["log_origin"], SignatureType.ED25519, public_key)


def publish(stack: LocalStack) -> None:
    """Run the publisher, as it runs each minute."""
    functions = client(stack, "lambda").list_functions()["Functions"]
    (name,) = [one["FunctionName"] for one in functions if "PublishLog" in one["FunctionName"]]
    assert "FunctionError" not in client(stack, "lambda").invoke(FunctionName=name)


def test_records_that_the_stream_missed_are_logged(stack: LocalStack, deployed: Stack) -> None:
    """The first test: later, records are sealed as they come."""
    stored = {
        "pk": {"S": f"{stack.organization['org_id']}#+15554440778"},
        "sk": {"S": "*#2024-04-26T12:00:00.000Z#opt_in#1"},
        "received_at": {"S": "2024-04-26T12:00:00.000Z"},
        "status": {"S": "opt_in"},
    }
    deployed.dynamodb.put_item(TableName=stack.state["tables"]["ledger"], Item=stored)
    stack.ask("log", "anchor")

    assert stack.ask("log", "backfill")["logged"] >= 1
    found = stack.ask("log", "reconcile")
    assert (found["logged"], found["without_leaf"], found["without_item"]) == (0, 0, [])
    assert found["checked"] >= 1


@pytest.mark.usefixtures("sealing")
def test_captured_record_is_in_the_signed_log(
    stack: LocalStack, deployed: Stack, bucket: LogBucket
) -> None:
    org_id = stack.organization["org_id"]
    table = LogTable(Table(Boto3Client(lambda: deployed.dynamodb), stack.state["tables"]["log"]))
    capture(stack)
    item = stored_item(stack, deployed)
    assert eventually(lambda: table.seed(org_id) is not None)
    seed = table.seed(org_id)
    assert seed is not None
    key = bucket_keys.bucket_key(seed, bucket_keys.bucket_of(org_id, CONTACT))
    leaf = entry(Kind.RECORD, contact_tag(key, org_id, CONTACT), records.commitment(item, key))

    def tree_with_leaf() -> tuple[TileTree, int] | None:
        publish(stack)
        stored = bucket.checkpoint()
        assert stored is not None
        size = notes.parse_checkpoint(notes.parse_note(stored.content).text).size
        tree = TileTree(size, bucket.read)
        found = [one for at in range(-(-size // 256)) for one in tree.entries(at)]
        return (tree, found.index(leaf)) if leaf in found else None

    assert eventually(lambda: tree_with_leaf() is not None)
    found = tree_with_leaf()
    stored = bucket.checkpoint()
    assert found is not None
    assert stored is not None
    tree, at = found
    note = notes.parse_note(stored.content)
    checkpoint = notes.parse_checkpoint(note.text)
    assert verifier(stack).has_signed(note)
    proof = tree.inclusion_proof(at)
    hashed = rfc6962.leaf(leaf)
    assert rfc6962.root_from_inclusion(hashed, at, checkpoint.size, proof) == checkpoint.root


def test_anchored_log_is_exported_for_an_audit(stack: LocalStack, tmp_path: Path) -> None:
    anchored = consents(stack, "log", "anchor")
    policy, log = tmp_path / "policy", tmp_path / "log"
    policy.write_text(consents(stack, "log", "keys"))
    exported = json.loads(consents(stack, "log", "export", str(log), "--json"))

    assert (log / "checkpoint").read_text() == anchored
    assert anchored.splitlines()[1] == str(exported["size"])
    assert consents_verify.main(["audit", str(log), "--policy", str(policy)]) == 0


def consents(stack: LocalStack, *arguments: str) -> str:
    """Return the output of a command that acts on the stack."""
    completed = run_consents(stack.folder, *arguments)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_published_log_cannot_be_deleted(
    stack: LocalStack, deployed: Stack, bucket: LogBucket
) -> None:
    publish(stack)
    s3: Any = deployed.s3()
    name = stack.state["log_bucket"]
    versions = s3.list_object_versions(Bucket=name, Prefix="tile/")["Versions"]

    for one in versions:
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            s3.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])
    assert bucket.checkpoint() is not None


def test_partial_tiles_are_locked_for_a_day_and_all_else_for_years(
    stack: LocalStack, deployed: Stack
) -> None:
    stack.ask("log", "anchor")
    s3, name = deployed.s3(), stack.state["log_bucket"]
    days, now = dict[bool, set[int]](), datetime.now(UTC)
    for one in s3.list_objects_v2(Bucket=name)["Contents"]:
        until = s3.get_object_retention(Bucket=name, Key=one["Key"])["Retention"]
        locked = until["RetainUntilDate"] - now
        days.setdefault(is_partial(one["Key"]), set()).add(round(locked / timedelta(days=1)))

    assert days == {True: {1}, False: {2192}}


def test_witnesses_are_those_of_the_parameter(
    stack: LocalStack, deployed: Stack, bucket: LogBucket, tmp_path: Path
) -> None:
    policy = bucket.witness_policy()
    assert policy.startswith("witness local ")
    bucket.write_witness_policy("quorum none\n")
    assert stack.ask("log", "anchor")["cosigners"] == ["local"]
    assert bucket.witness_policy() == policy
    _, _, published = httpx.get(f"{stack.api_url}/v1/log/keys", timeout=30).text.partition("\n")
    assert published == policy

    (tmp_path / "policy").write_text(policy)
    parameter = consents(stack, "log", "witnesses", str(tmp_path / "policy")).rstrip("\n")
    assert parameter == deployed.parameters["WitnessPolicy"]
