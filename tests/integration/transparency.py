"""A transparency log of one test: its table, its bucket and its key in the local engine."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import boto3
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table
from consents.aws.kms import SigningKey
from consents.aws.s3 import CONFIG, Lock, Objects
from consents.proof import notes
from consents.proof.bucket import LogBucket
from consents.proof.entries import BYTES
from consents.proof.notes import Checkpoint, SignatureType, VerifierKey
from consents.proof.publish import Published, Publisher
from consents.proof.seal import Change, Sealer
from consents.proof.table import LogTable
from consents.proof.tiles import TileTree

from tests.factories import NOW
from tests.integration.watched import Watched

ORIGIN = "log.example.com/test"


class Log:
    """A log without entries, and what its two stages make of it."""

    def __init__(self, tables: Watched, described: dict[str, Any]) -> None:
        """`described` is the table as the template describes it."""
        name = f"log-{uuid4().hex}"
        self.dynamodb = tables
        self._table = Table(tables, name)
        boto3.client("dynamodb").create_table(
            TableName=name,
            AttributeDefinitions=described["AttributeDefinitions"],
            BillingMode=described["BillingMode"],
            KeySchema=described["KeySchema"],
        )
        self.s3 = boto3.client("s3", config=CONFIG)
        self.s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        self.table = LogTable(self._table)
        self.bucket = LogBucket(Objects(self.s3, name), Lock("GOVERNANCE", timedelta(days=1)))
        self.name = name
        kms = boto3.client("kms")
        made = kms.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")
        self.key_id = made["KeyMetadata"]["KeyId"]
        self.key = SigningKey(Boto3Client(lambda: kms), self.key_id)

    @property
    def verifier(self) -> VerifierKey:
        """What verifies the log's checkpoints."""
        return VerifierKey(ORIGIN, SignatureType.ED25519, self.key.public_key)

    def sealer(self) -> Sealer:
        """Return a sealer as a new process has it, which makes small key tables."""
        return Sealer(self.table, self.bucket, lambda seed: [seed])

    def seal(self, *changes: Change) -> None:
        """Seal changes in a process without caches."""
        self.sealer().seal(changes, NOW)

    def publisher(self) -> Publisher:
        """Return a publisher."""
        return Publisher(ORIGIN, self.table, self.bucket, self.key)

    def publish(self) -> list[Published]:
        """Publish all that is sealed."""
        return [*self.publisher().publish(lambda: True)]

    def checkpoint(self) -> Checkpoint:
        """Return the published checkpoint, whose signature is valid."""
        stored = self.bucket.checkpoint()
        assert stored is not None
        note = notes.parse_note(stored.content)
        assert self.verifier.has_signed(note)
        return notes.parse_checkpoint(note.text)

    def tree(self) -> TileTree:
        """Return the published tree."""
        return TileTree(self.checkpoint().size, self.bucket.read)

    def leaves(self) -> list[bytes]:
        """Return the published entries."""
        tree = self.tree()
        return [one for number in range(-(-tree.size // 256)) for one in tree.entries(number)]

    def sealed(self) -> Iterator[bytes]:
        """Return the entries that have a position, in order."""
        names = [one.batch.name for one in self.table.batches(0, self.table.count() + 1)]
        for content in self.bucket.batches(names):
            yield from (content[at : at + BYTES] for at in range(0, len(content), BYTES))

    def delete_batch(self, start: int) -> None:
        """Delete the item that gives positions to a batch, as an administrator could."""
        key = {"pk": {"S": "log"}, "sk": {"S": f"batch#{start:020}"}}
        boto3.client("dynamodb").delete_item(TableName=self.name, Key=key)

    def restore(self, positions: int) -> None:
        """Set the table back to when so many positions were assigned."""
        for one in [*self.table.batches(positions, 1 << 40)]:
            self.delete_batch(one.start)
        boto3.client("dynamodb").update_item(
            TableName=self.name,
            Key={"pk": {"S": "log"}, "sk": {"S": "state"}},
            UpdateExpression="SET assigned = :assigned",
            ExpressionAttributeValues={":assigned": {"N": str(positions)}},
        )

    def objects(self) -> dict[str, bytes]:
        """Return every object of the log."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        names = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return {name: self.bucket.read(name) for name in names if not name.startswith("work/")}


def item(number: int = 0, org_id: str = "org_1", status: str = "opt_in") -> dict[str, Any]:
    """Return a record of a contact, as the ledger's stream has it."""
    return {
        "pk": {"S": f"{org_id}#+1555{number:07}"},
        "sk": {"S": f"*#2026-05-01T12:00:00.000Z#{status}#{number:032x}"},
        "status": {"S": status},
        "salt": {"B": b64encode(number.to_bytes(16)).decode()},
    }


def inserted(numbers: Iterable[int], org_id: str = "org_1") -> list[Change]:
    """Return the changes that insert some records."""
    return [Change(None, item(number, org_id)) for number in numbers]


def event_from_stream(table: str) -> dict[str, Any]:
    """Return all changes of a table as the event that Lambda makes of its stream."""
    client = boto3.client("dynamodbstreams")
    arn = boto3.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    (shard,) = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = client.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = client.get_records(ShardIterator=iterator)["Records"]
    return cast(dict[str, Any], _as_json({"Records": records}))


def _as_json(value: Any) -> Any:
    """Return a value as JSON has it: bytes in base64."""
    match value:
        case dict():
            return {name: _as_json(one) for name, one in value.items()}
        case list():
            return [_as_json(one) for one in value]
        case bytes():
            return b64encode(value).decode()
        case _:
            return value
