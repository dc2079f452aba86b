"""Proof packs over HTTP: from a capture through the stream and the log to the verifier."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import requests
from consents.proof.anchors import anchor_name
from consents.proof.notes import Signature
from consents_cli.log_anchors import log_bucket
from consents_cli.stack import Stack, connect_local

from tests.e2e import organizations
from tests.e2e.local_stack import CONSENTS, LocalStack, eventually
from tests.timestamp_authority import Authority, new_authority, serving

pytestmark = pytest.mark.usefixtures("sealing")

CONTACT = "+15554443377"
VERIFY = CONSENTS.with_name("consents-verify")


class Customer:
    """An organization that captures a consent and asks for its proof."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        organization = organizations.create(stack, scope="consent:write")
        self.deployed = connect_local(stack.state["aws_endpoint_url"])
        self.org_id, self.sender = organization["org_id"], organization["sender"]
        self.capturing = bearer(organization["api_key"])
        self.proving = bearer(
            stack.ask("key", "create", "--org", self.org_id, "--scope", "consent:prove")["api_key"]
        )

    def capture(self) -> None:
        """Capture an opt-in."""
        record = {
            "phone_number_id": self.sender["phone_number_id"],
            "contact_number": CONTACT,
            "opted_in": True,
            "evidence": {
                "captured_at": "2026-04-26T12:00:00Z",
                "agreement_text": "Yes.",
                "consent_method": "verbal",
            },
        }
        url = f"{self.stack.api_url}/v1/consent"
        requests.post(url, json=record, headers=self.capturing, timeout=30).raise_for_status()

    def prove(self) -> requests.Response:
        """Ask for the pack."""
        url = f"{self.stack.api_url}/v1/consent/proof"
        question = {"contact_number": CONTACT}
        return requests.post(url, json=question, headers=self.proving, timeout=30)

    def proven(self) -> dict[str, Any]:
        """Return the pack's description, as soon as the log has the record."""
        found: list[requests.Response] = []

        def is_there() -> bool:
            self.deployed.invoke("PublishLogFunction", {})
            found.append(self.prove())
            assert found[-1].status_code in {201, 409}, found[-1].text
            return found[-1].status_code == 201

        assert eventually(is_there, 180)
        proof: dict[str, Any] = found[-1].json()
        return proof

    def verdict(self, proof: dict[str, Any], *options: str | Path) -> dict[str, Any]:
        """Download a pack by its link, and return the verifier's report under the log's keys."""
        policy, pack = self.folder / "policy", self.folder / "pack.zip"
        policy.write_text(requests.get(f"{self.stack.api_url}/v1/log/keys", timeout=30).text)
        pack.write_bytes(requests.get(proof["url"], timeout=30).content)
        ran = subprocess.run(
            [VERIFY, pack, "--policy", policy, "--json", *options],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        report: dict[str, Any] = json.loads(ran.stdout)
        assert ran.returncode == report["exit"]
        return report

    def erase(self) -> None:
        """Delete the record in the table, as an administrator could."""
        key = {"pk": {"S": f"{self.org_id}#{CONTACT}"}}
        dynamodb, ledger = self.deployed.dynamodb, self.deployed.output("LedgerTable")
        (item,) = dynamodb.query(
            TableName=ledger,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": key["pk"]},
        )["Items"]
        dynamodb.delete_item(TableName=ledger, Key={**key, "sk": item["sk"]})


def bearer(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


def words(report: dict[str, Any], kind: str) -> list[str]:
    return [one["word"] for one in report["statements"] if one["statement"] == kind]


@pytest.fixture
def customer(stack: LocalStack, tmp_path: Path) -> Customer:
    return Customer(stack, tmp_path)


def test_captured_record_is_proven_and_its_removal_shows(customer: Customer) -> None:
    customer.capture()
    proof = customer.proven()
    report = customer.verdict(proof)

    assert proof["verdict"] == report["verdict"] == "VERIFIED, WITH OPEN POINTS"
    assert words(report, "record") == ["PROVEN"]
    assert words(report, "state") == ["OPTED IN"]
    assert CONTACT not in proof["url"]

    customer.erase()

    def shows() -> bool:
        return words(customer.verdict(customer.proven()), "record") == ["ERASED"]

    assert eventually(shows, 180)


def test_witness_of_the_stack_bounds_when_a_record_came(customer: Customer) -> None:
    customer.stack.ask("log", "anchor")
    customer.capture()

    def is_published() -> bool:  # as soon as it is sealed
        customer.stack.ask("log", "anchor")
        return customer.prove().status_code == 201

    assert eventually(is_published, 180)
    customer.stack.ask("log", "anchor")
    report = customer.verdict(customer.proven())

    assert words(report, "witnesses") == ["1 OF 1, QUORUM"]
    (time,) = words(report, "time")
    assert time.startswith("BETWEEN ")
    assert "N5" not in words(report, "not_proven")


def test_checkpoint_of_a_pack_is_the_anchor_and_a_late_cosignature_is_in_its_times(
    customer: Customer,
) -> None:
    customer.capture()
    customer.proven()
    size = customer.stack.ask("log", "anchor")["size"]
    late = Signature("late.example", bytes(4), bytes(72))
    log_bucket(customer.deployed).add_cosignature(size, late)
    reading = customer.stack.ask("key", "create", "--org", customer.org_id, "--scope", "log:read")
    anchor = requests.get(
        f"{customer.stack.api_url}/v1/log/{anchor_name(size)}",
        headers=bearer(reading["api_key"]),
        timeout=30,
    )
    report = customer.verdict(customer.proven())
    with ZipFile(customer.folder / "pack.zip") as pack:
        checkpoint, times = pack.read("checkpoint"), json.loads(pack.read("times.json"))

    assert (report["size"], words(report, "pack")) == (size, ["INTACT"])
    assert checkpoint == anchor.content
    assert "late.example" not in checkpoint.decode()
    assert times[-1]["checkpoint"] == checkpoint.decode() + late.line()


def test_key_without_the_scope_gets_no_pack(customer: Customer) -> None:
    customer.proving = customer.capturing

    assert customer.prove().status_code == 403


@contextmanager
def deployed_with(authority: Authority, stack: Stack) -> Iterator[None]:
    """Let the publisher ask a timestamp authority, as if it were deployed with its URL."""
    functions, name = stack.functions(), stack.output("PublishLogFunction")
    before = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    with serving(authority.respond) as url:
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables | {"TIMESTAMP_URL": url}}
        )
        version = functions.publish_version(FunctionName=name)["Version"]
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
        try:
            yield
        finally:
            functions.update_alias(FunctionName=name, Name="live", FunctionVersion=before)
            functions.update_function_configuration(
                FunctionName=name, Environment={"Variables": variables}
            )


def test_timestamp_of_the_log_bounds_the_time_of_a_record(
    customer: Customer, deployed: Stack, tmp_path: Path
) -> None:
    authority, roots, log = new_authority(tmp_path), tmp_path / "roots.pem", tmp_path / "log"
    policy = tmp_path / "no-witness"
    roots.write_bytes(authority.roots)
    customer.capture()
    customer.proven()
    without = customer.stack.run("log", "anchor", "--timestamp")
    with deployed_with(authority, deployed):
        anchor = customer.stack.ask("log", "anchor", "--timestamp")
    customer.stack.ask("log", "export", str(log))
    # The last policy counts: this reader trusts no witness, which would have seen the log earlier.
    policy.write_text(customer.stack.run("log", "keys").stdout.splitlines()[0] + "\nquorum none\n")
    report = customer.verdict(customer.proven(), "--tsa-roots", roots, "--policy", policy)
    (time,) = [one for one in report["statements"] if one["statement"] == "time"]

    assert (without.returncode, len(authority.queries)) == (1, 1)
    assert "set the parameter TimestampUrl" in " ".join(without.stderr.split())
    assert anchor["timestamp"] is True
    assert (log / f"{anchor_name(anchor['size'])}.tsr").is_file()
    assert time["word"].startswith(("NOT LATER THAN", "BETWEEN"))
    assert "timestamp authority" in time["text"]
