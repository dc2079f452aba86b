"""Proof packs after tampering with DynamoDB and S3, each judged by the verifier."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from consents.aws.dynamodb import Table
from consents.capture.ledger import Ledger
from consents.decisions.ledger import ContactReader
from consents.domain.record import Receipt, Status, timestamp
from consents.proof import notes
from consents.proof.anchors import anchor_name
from consents.proof.judgement import judge
from consents.proof.prove import Pack, Prover, Question
from consents.proof.seal import Change, Sealer
from consents.proof.stream import parse_changes

from tests.factories import NOW, REQUEST_ID, attested_record
from tests.integration.transparency import Log, event_from_stream
from tests.integration.watched import Watched
from tests.unit.proof_world import Witness, files, part_roots_of, words

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONTACT = "+15554443333"
LATER = NOW + timedelta(hours=1)
WITNESS = Witness("witness.example")


@dataclass
class Operator:
    """An operator with an administrator's access to the ledger and to the log's bucket."""

    log: Log
    ledger: Ledger
    prover: Prover
    org_id: str
    dynamodb: "DynamoDBClient"
    seen: int = field(default=0)

    def capture(self, status: Status, at: datetime = NOW) -> None:
        """Capture a record, as the API does."""
        one = attested_record()._replace(status=status, dated_at=at, contact=CONTACT)
        assert self.ledger.append(self.org_id, [one], Receipt(at, REQUEST_ID), lambda: 25) == [True]

    def items(self) -> dict[str, Any]:
        """Return the items of the contact by their status."""
        pk = {"S": f"{self.org_id}#{CONTACT}"}
        found = self.dynamodb.query(
            TableName="LedgerTable",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": pk},
        )
        return {item["status"]["S"]: item for item in found["Items"]}

    def remove(self, item: Any) -> None:
        """Delete an item."""
        key = {name: item[name] for name in ("pk", "sk")}
        self.dynamodb.delete_item(TableName="LedgerTable", Key=key)

    def put(self, item: Any) -> None:
        """Insert or replace an item."""
        self.dynamodb.put_item(TableName="LedgerTable", Item=item)

    def publish(self, *, stream: bool = True) -> None:
        """Seal what the stream has since the last time, unless it is off, and publish."""
        changes = [*self._changes()]
        if stream and changes[self.seen :]:
            Sealer(self.log.table, self.log.bucket, self._part_roots).seal(
                changes[self.seen :], NOW
            )
        self.seen = len(changes)
        self.log.publish()

    def _part_roots(self, seed: bytes) -> list[bytes]:
        return part_roots_of(seed, self.org_id, CONTACT)

    def _changes(self) -> Iterator[Change]:
        for change in parse_changes(event_from_stream("LedgerTable")):
            item = change.new or change.old or {}
            if item["pk"]["S"].startswith(f"{self.org_id}#"):
                yield change

    def anchor(self, at: datetime) -> None:
        """Have the witness cosign the published checkpoint."""
        note = notes.parse_note(self.log.bucket.read("checkpoint"))
        content = bytes(WITNESS.cosign(note, at))
        name = anchor_name(self.log.checkpoint().size)
        self.log.s3.put_object(Bucket=self.log.name, Key=name, Body=content)

    def cosign_later(self, at: datetime) -> None:
        """Keep a cosignature of the witness beside the anchor of the published checkpoint."""
        note = WITNESS.cosign(notes.parse_note(self.log.bucket.read("checkpoint")), at)
        self.log.bucket.add_cosignature(self.log.checkpoint().size, note.signatures[-1])

    def prove(self) -> Pack:
        """Return the pack of the contact, an hour later."""
        return self.prover.prove(Question(self.org_id, CONTACT), LATER, lambda: 25)


@pytest.fixture
def operator(
    tables: Watched,
    template: dict[str, Any],
    ledger: Ledger,
    org_id: str,
    dynamodb: "DynamoDBClient",
) -> Operator:
    """An operator whose log has an opt-in and a later opt-out of a contact."""
    log = Log(tables, template["Resources"]["LogTable"]["Properties"])
    prover = Prover(
        ContactReader(Table(tables, "LedgerTable")),
        ledger.agreement_texts,
        log.bucket,
        log.table,
        lambda: f"log {log.verifier}\nwitness w {WITNESS.verifier}\nquorum w\n".encode(),
        judge,
    )
    operator = Operator(log, ledger, prover, org_id, dynamodb)
    operator.capture(Status.OPT_IN, NOW - timedelta(days=1))
    operator.capture(Status.OPT_OUT)
    operator.publish()
    return operator


def altered(item: Any) -> Any:
    """Return an item that says opt-in where it said opt-out."""
    return {**item, "status": {"S": Status.OPT_IN}}


def backdated(item: Any) -> Any:
    """Return another opt-in, as if it had been received 90 days ago."""
    at = timestamp(NOW - timedelta(days=90))
    sender, _, _ = item["sk"]["S"].partition("#")
    changes = {"sk": f"{sender}#{at}#opt-in#{0:032x}", "effective_at": at, "received_at": at}
    return {**item, **{name: {"S": value} for name, value in changes.items()}}


def delete_opt_out(operator: Operator) -> None:
    operator.remove(operator.items()["opt-out"])


def alter_opt_out(operator: Operator) -> None:
    operator.put(altered(operator.items()["opt-out"]))


def insert_backdated(operator: Operator) -> None:
    operator.put(backdated(operator.items()["opt-in"]))


def test_pack_of_an_honest_ledger_has_no_gap(operator: Operator) -> None:
    pack = operator.prove()

    assert pack.report["verdict"] == "VERIFIED, WITH OPEN POINTS"
    assert words(pack.report, "record") == ["PROVEN", "PROVEN"]
    assert words(pack.report, "text") == ["MATCHES", "MATCHES"]
    assert words(pack.report, "state") == ["OPTED OUT"]


@pytest.mark.parametrize("has_timestamp", [False, True])
def test_late_cosignature_counts_unless_a_timestamp_covers_the_anchor(
    operator: Operator, *, has_timestamp: bool
) -> None:
    bucket, size = operator.log.bucket, operator.log.checkpoint().size
    published = bucket.read("checkpoint")
    assert bucket.write_anchor(size, published)
    operator.cosign_later(NOW + timedelta(minutes=2))
    if has_timestamp:
        bucket.write_timestamp(size, b"response")
    pack = operator.prove()

    said = "NONE" if has_timestamp else "1 OF 1, QUORUM"
    assert words(pack.report, "witnesses") == [said]
    (anchor,) = json.loads(files(pack)["times.json"])
    assert files(pack)["checkpoint"] == published
    assert ("tsr" in anchor) is (anchor["checkpoint"].encode() == published) is has_timestamp


@pytest.mark.parametrize(
    ("tamper", "stream", "expected"),
    [
        (delete_opt_out, True, ["PROVEN", "ERASED"]),
        (delete_opt_out, False, ["PROVEN", "WITHHELD"]),
        (alter_opt_out, True, ["PROVEN", "ERASED", "CHANGED"]),
        (alter_opt_out, False, ["PROVEN", "WITHHELD", "NOT LOGGED"]),
        (insert_backdated, True, ["PROVEN", "PROVEN", "LATE"]),
        (insert_backdated, False, ["PROVEN", "PROVEN", "NOT LOGGED"]),
    ],
)
def test_tampering_with_the_table_shows(
    operator: Operator, tamper: Callable[[Operator], None], *, stream: bool, expected: list[str]
) -> None:
    operator.anchor(NOW + timedelta(minutes=2))
    tamper(operator)
    operator.publish(stream=stream)
    operator.anchor(NOW + timedelta(minutes=30))
    pack = operator.prove()

    assert words(pack.report, "record") == expected
    assert pack.report["verdict"] == "GAPS"
    assert words(pack.report, "state") == ["CANNOT BE SAID"]


@pytest.mark.parametrize("name", ["tile/0/000.p/4", "tile/entries/000.p/4"])
def test_tampering_with_the_bucket_breaks_the_pack(operator: Operator, name: str) -> None:
    content = operator.log.bucket.read(name)
    operator.log.s3.put_object(
        Bucket=operator.log.name, Key=name, Body=content[:-1] + bytes([content[-1] ^ 1])
    )

    assert operator.prove().report["verdict"] == "BROKEN"
