"""The two stages of the transparency log on DynamoDB, S3 and KMS: races, crashes, damage."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from consents.aws.errors import CallError
from consents.capture.ledger import Ledger
from consents.proof.batches import Batch
from consents.proof.entries import Kind, size_with
from consents.proof.publish import LogHalted, Published, Publisher
from consents.proof.seal import Change
from consents.proof.stream import parse_changes
from consents.proof.table import PositionTaken
from consents.proof.tiles import is_partial

from tests.factories import RECEIPT, attested_json, attested_record
from tests.integration.faults import BreakCall, breaker, killed, no_connection, table_breaker
from tests.integration.transparency import Log, event_from_stream, inserted, item
from tests.integration.watched import Watched
from tests.unit import rfc6962


@pytest.fixture
def log(tables: Watched, template: dict[str, Any]) -> Log:
    """A log without entries."""
    return Log(tables, template["Resources"]["LogTable"]["Properties"])


@pytest.fixture
def break_table(log: Log) -> Iterator[BreakCall]:
    """Let a fault respond to calls of the log's table."""
    yield from table_breaker(log.dynamodb)


@pytest.fixture
def break_bucket(log: Log) -> Iterator[BreakCall]:
    """Let a fault respond to calls of the log's bucket."""
    yield from breaker(log.s3, "s3")


# ---------------------------------------------------------------- From the ledger to the log


def test_records_of_the_ledger_are_in_the_log(log: Log, ledger: Ledger, org_id: str) -> None:
    records = [attested_record(attested_json(number)) for number in range(3)]
    ledger.append(org_id, records, RECEIPT, lambda: 25)
    changes = [
        one for one in parse_changes(event_from_stream("LedgerTable")) if _is_of(one, org_id)
    ]

    log.seal(*changes)
    assert log.publish() == [Published(size_with(4), 4)]
    kinds = Counter(Kind(entry[0]) for entry in log.leaves())
    assert kinds == {Kind.LOG: 1, Kind.ORGANIZATION: 1, Kind.RECORD: 3}


def test_log_and_its_batches_hold_nothing_that_was_sent(
    log: Log, ledger: Ledger, org_id: str
) -> None:
    record = attested_record(attested_json(7))
    ledger.append(org_id, [record], RECEIPT, lambda: 25)
    changes = parse_changes(event_from_stream("LedgerTable"))
    log.seal(*(one for one in changes if _is_of(one, org_id)))
    log.publish()

    stored = b"".join(log.objects().values()) + b"".join(log.sealed())
    texts = [org_id, record.contact, record.sender, *record.evidence.values()]
    assert [text for text in texts if text.encode() in stored] == []
    digits = (text.lstrip("+") for text in (record.contact, record.sender))
    assert [number for number in digits if number.encode() in stored] == []


def test_only_partial_tiles_are_locked_for_a_day(log: Log) -> None:
    default: Any = {"Mode": "GOVERNANCE", "Days": 9}
    log.s3.put_object_lock_configuration(
        Bucket=log.name,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": default},
        },
    )
    for numbers in (range(10), range(10, 600)):
        log.seal(*inserted(numbers))
        log.publish()

    now, days = datetime.now(UTC), dict[bool, set[int]]()
    for name in log.objects():
        head = log.s3.head_object(Bucket=log.name, Key=name)
        locked = head["ObjectLockRetainUntilDate"] - now
        days.setdefault(is_partial(name), set()).add(round(locked / timedelta(days=1)))
        assert head["ObjectLockMode"] == "GOVERNANCE"
    assert days == {True: {1}, False: {9}}


def _is_of(change: Change, org_id: str) -> bool:
    return change.new is not None and change.new["pk"]["S"].startswith(f"{org_id}#")


def test_every_leaf_is_proven_to_the_signed_root(log: Log) -> None:
    log.seal(*inserted(range(300)))
    log.publish()

    tree, root = log.tree(), log.checkpoint().root
    for leaf, entry in enumerate(log.leaves()):
        proof = tree.inclusion_proof(leaf)
        hashed = rfc6962.leaf(entry)
        assert rfc6962.root_from_inclusion(hashed, leaf, tree.size, proof) == root


def test_new_log_has_a_checkpoint_before_its_first_record(log: Log) -> None:
    assert log.publish() == [Published(1, 0)]
    assert log.checkpoint().size == 1
    assert log.publish() == []


# ---------------------------------------------------------------- Sealing


def test_24_sealers_leave_no_gap_and_no_overlap(log: Log) -> None:
    batches = [inserted(range(start, start + 5)) for start in range(0, 1000, 5)]
    log.seal(*inserted([9999]))  # the organization is there

    with ThreadPoolExecutor(24) as threads:
        list(threads.map(lambda batch: log.seal(*batch), batches + batches[::4]))
    positions = [*log.table.batches(0, log.table.count())]
    assert [one.start for one in positions] == [0, *(one.end for one in positions[:-1])]
    assert log.table.count() == 2 + 1000
    assert len({*log.sealed()}) == 2 + 1000


def test_sealers_of_a_new_organization_log_it_once_before_its_records(log: Log) -> None:
    batches = [inserted([number]) for number in range(8)]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda batch: log.seal(*batch), batches))
    kinds = [entry[0] for entry in log.sealed()]
    assert kinds == [Kind.ORGANIZATION, *[Kind.RECORD] * 8]


def test_batch_whose_answer_was_lost_has_one_position(log: Log) -> None:
    log.seal(*inserted([0]))
    transact = log.dynamodb.client.call

    def answer_lost(operation: str, parameters: Any) -> Any:
        if operation == "TransactWriteItems":
            transact(operation, parameters)
            raise CallError("ReadTimeoutError", is_transient=True)

    with log.dynamodb.watch(answer_lost), pytest.raises(CallError):
        log.seal(*inserted([1, 2]))
    log.seal(*inserted([1, 2]))
    assert log.table.count() == 4


def test_sealer_that_dies_before_the_transaction_seals_at_the_next_delivery(
    log: Log, break_table: BreakCall
) -> None:
    log.seal(*inserted([0]))
    left = iter([killed])
    break_table("TransactWriteItems", lambda **call: next(left, lambda **_: None)(**call))
    with pytest.raises(KeyboardInterrupt):
        log.seal(*inserted([1, 2]))
    assert log.table.count() == 2

    log.seal(*inserted([1, 2]))
    assert log.table.count() == 4


def test_batch_that_cannot_be_stored_has_no_position(log: Log, break_bucket: BreakCall) -> None:
    log.seal(*inserted([0]))
    break_bucket("PutObject", no_connection)

    with pytest.raises(ConnectTimeoutError):
        log.seal(*inserted([1, 2]))
    assert log.table.count() == 2


def test_changes_delivered_with_other_borders_make_equal_leaves(log: Log) -> None:
    log.seal(*inserted(range(10)))
    log.seal(*inserted(range(5)))
    log.seal(*inserted(range(5, 10)))
    log.publish()

    counted = Counter(entry[1:] for entry in log.leaves() if entry[0] == Kind.RECORD)
    assert len(counted) == 10
    assert {*counted.values()} == {2}


def test_positions_of_other_batches_are_never_taken(log: Log) -> None:
    log.seal(*inserted(range(10)))
    _set_assigned(log, 1)

    with pytest.raises(PositionTaken):
        log.seal(*inserted([11]))


def test_organizations_key_table_is_kept_with_its_seed(log: Log) -> None:
    log.seal(*inserted([1]))

    assert log.table.part_roots("org_1") == [log.table.seed("org_1")]
    assert log.table.part_roots("org_2") == []
    assert log.table.seed("org_2") is None


# ---------------------------------------------------------------- Publishing


def test_publishers_at_once_write_the_same_log(log: Log) -> None:
    log.seal(*inserted(range(700)))

    with ThreadPoolExecutor(4) as threads:
        published = [one for run in threads.map(lambda _: log.publish(), range(4)) for one in run]
    assert Published(size_with(701), 701) in published
    assert log.checkpoint().size == size_with(701)
    assert log.tree().root() == log.checkpoint().root


def test_publisher_killed_at_any_write_is_completed_by_the_next(
    log: Log, break_bucket: BreakCall
) -> None:
    left = [1 << 30]

    def count(**_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    break_bucket("PutObject", count)
    for run in range(12):
        log.seal(*inserted(range(run * 100, run * 100 + 100)))
        left[0] = run
        with pytest.raises(KeyboardInterrupt):
            log.publish()
        left[0] = 1 << 30
    log.publish()

    leaves = [rfc6962.leaf(entry) for entry in log.leaves()]
    assert log.checkpoint() == log.checkpoint()._replace(
        size=size_with(1201), root=rfc6962.mth(leaves)
    )
    assert [entry for entry in log.leaves() if entry[0]] == [*log.sealed()]


def test_signature_that_was_not_published_is_made_again(log: Log, break_bucket: BreakCall) -> None:
    log.seal(*inserted(range(3)))
    notes: list[bytes] = []

    def lost(params: dict[str, Any], **_: Any) -> None:
        if params["url_path"].endswith("checkpoint"):
            notes.append(params["body"].read())
            raise KeyboardInterrupt

    break_bucket("PutObject", lost)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            log.publish()
    assert notes[0] == notes[1]


def test_what_is_published_is_locked(log: Log) -> None:
    log.s3.put_object_lock_configuration(
        Bucket=log.name,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    log.publish()

    for one in log.s3.list_object_versions(Bucket=log.name)["Versions"]:
        with pytest.raises(ClientError, match="AccessDenied"):
            log.s3.delete_object(Bucket=log.name, Key=one["Key"], VersionId=one["VersionId"])


def test_log_without_its_key_is_not_published(log: Log) -> None:
    log.seal(*inserted([1]))
    log.publish()
    log.seal(*inserted([2]))
    before = log.checkpoint()
    boto3.client("kms").schedule_key_deletion(KeyId=log.key_id)

    with pytest.raises(CallError):
        log.publish()
    assert log.checkpoint() == before


# ---------------------------------------------------------------- Damage


def _set_assigned(log: Log, count: int) -> None:
    log.dynamodb.call(
        "PutItem",
        {
            "TableName": log.name,
            "Item": {"pk": {"S": "log"}, "sk": {"S": "state"}, "assigned": {"N": str(count)}},
        },
    )


def set_back(log: Log) -> None:
    """Set the number of assigned entries back."""
    _set_assigned(log, 100)


def restore_table(log: Log) -> None:
    """Restore the table to an older state, and seal other records since."""
    for position in log.table.batches(1, 1000):
        sk = {"S": f"batch#{position.start:020}"}
        log.dynamodb.call(
            "DeleteItem", {"TableName": log.name, "Key": {"pk": {"S": "log"}, "sk": sk}}
        )
    _set_assigned(log, 1)
    log.seal(*inserted(range(2000, 2400)))
    log.seal(*inserted(range(2400, 2500)))


def put_foreign_tile(log: Log) -> None:
    """Write a tile of another log where the next full tile belongs."""
    log.seal(*inserted(range(1000, 1400)))
    log.s3.put_object(Bucket=log.name, Key="tile/0/001", Body=bytes(8192))


def change_batch(log: Log) -> None:
    """Change a batch that is sealed and not yet published."""
    log.seal(*inserted(range(1000, 1010)))
    (position,) = log.table.batches(401, 402)
    log.bucket.write_batch(position.batch.name, bytes(650))


def remove_batch(log: Log) -> None:
    """Remove a batch that is sealed and not yet published."""
    log.seal(*inserted(range(1000, 1010)))
    (position,) = log.table.batches(401, 402)
    log.s3.delete_object(Bucket=log.name, Key=f"work/batches/{position.batch.name}")


def change_edge(log: Log) -> None:
    """Change the unfinished tile of the published log."""
    log.seal(*inserted([1000]))
    log.s3.put_object(Bucket=log.name, Key="tile/0/001.p/147", Body=bytes(147 * 32))


def forge_checkpoint(log: Log) -> None:
    """Replace the checkpoint by one that the log's key has not signed."""
    log.seal(*inserted([1000]))
    stored = log.bucket.checkpoint()
    assert stored is not None
    forged = stored.content.replace(b"\n403\n", b"\n402\n")
    log.s3.put_object(Bucket=log.name, Key="checkpoint", Body=forged)


@pytest.mark.parametrize(
    "damage",
    [
        set_back,
        restore_table,
        put_foreign_tile,
        change_batch,
        remove_batch,
        change_edge,
        forge_checkpoint,
    ],
)
def test_damaged_log_halts_and_signs_nothing(log: Log, damage: Callable[[Log], None]) -> None:
    log.seal(*inserted(range(400)))
    log.publish()
    assert log.checkpoint().size == 403
    damage(log)
    before, signed = log.bucket.checkpoint(), []

    class Key:
        public_key = log.key.public_key

        def sign(self, message: bytes) -> bytes:
            signed.append(message)
            return log.key.sign(message)

    publisher = Publisher(log.publisher().origin, log.table, log.bucket, Key())
    for _ in range(2):
        with pytest.raises(LogHalted):
            [*publisher.publish(lambda: True)]
    assert signed == []
    assert log.bucket.checkpoint() == before


def test_batch_of_the_same_entries_has_the_same_name() -> None:
    entries = [bytes(65), bytes([1] * 65)]

    assert Batch.of(entries) == Batch.of(entries) != Batch.of(entries[::-1])
    assert item(1) == item(1)
