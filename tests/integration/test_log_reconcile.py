"""Records without a leaf, leaves without a record, and positions that are lost."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from consents.domain.record import timestamp
from consents.proof.batches import Batch
from consents.proof.entries import BYTES, Kind, size_with
from consents.proof.publish import LogHalted
from consents.proof.reconcile import (
    END_OF_BACKFILL,
    Found,
    IsBackfilled,
    MustBackfill,
    Reconciler,
)
from consents.proof.records import Item
from consents.proof.seal import Change

from tests.integration.faults import BreakCall, breaker, table_breaker
from tests.integration.transparency import Log, item
from tests.integration.watched import Watched

BEGAN = datetime(2026, 5, 1, tzinfo=UTC)
"""When the log was anchored first."""

NOW = BEGAN + timedelta(days=30)


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


def received(number: int, at: datetime = BEGAN + timedelta(days=1)) -> Item:
    """Return a record that was received at a time."""
    return {**item(number), "received_at": {"S": timestamp(at)}}


def old(number: int) -> Item:
    """Return a record that is older than the log, and has no salt."""
    made = received(number, BEGAN - timedelta(days=number + 1))
    return {name: value for name, value in made.items() if name != "salt"}


def seal(log: Log, items: Iterable[Item]) -> None:
    log.seal(*(Change(None, one) for one in items))


def reconciler(log: Log) -> Reconciler:
    snapshot = log.bucket.snapshot()
    assert snapshot is not None
    return Reconciler(snapshot, log.table, log.bucket.batches, log.sealer())


def reconcile(log: Log, items: Iterable[Item], since: datetime | None = None) -> Found:
    return reconciler(log).reconcile(items, BEGAN, since, NOW)


def kinds(log: Log) -> list[Kind]:
    """Return the kinds of the published entries that are not of the log itself."""
    return [Kind(one[0]) for one in log.leaves() if one[0] != Kind.LOG]


def bodies(log: Log) -> set[bytes]:
    return {one[33:] for one in log.leaves() if one[0] == Kind.RECORD}


# ---------------------------------------------------------------- records and leaves


def test_a_record_without_a_leaf_is_logged_and_a_repeat_logs_nothing(log: Log) -> None:
    items = [received(number) for number in range(5)]
    seal(log, items[:3])
    log.publish()

    assert reconcile(log, items) == Found(5, 2, 2, [])
    assert reconcile(log, items) == Found(5, 0, 0, [])  # they wait to be published
    log.publish()
    assert reconcile(log, items) == Found(5, 0, 0, [])
    assert kinds(log) == [Kind.ORGANIZATION] + [Kind.RECORD] * 5


def test_a_leaf_without_its_record_is_listed(log: Log) -> None:
    items = [received(number) for number in range(3)]
    seal(log, items)
    log.publish()
    changed = {**items[1], "status": {"S": "opt_out"}}

    # Leaf 0 is of the log, leaf 1 of the organization.
    assert reconcile(log, items[:2]) == Found(2, 0, 0, [4])
    assert reconcile(log, [items[0], changed]) == Found(2, 1, 1, [3, 4])


def test_new_records_wait_for_the_stream_and_texts_have_no_leaf(log: Log) -> None:
    log.publish()
    new, text = received(1, NOW), {**received(2), "sk": {"S": "text"}}

    assert reconcile(log, [new, text]) == Found(1, 0, 0, [])


def test_only_records_since_a_time_are_logged(log: Log) -> None:
    log.publish()
    items = [received(number, BEGAN + timedelta(days=number)) for number in range(1, 6)]

    assert reconcile(log, items, since=BEGAN + timedelta(days=4)) == Found(5, 5, 2, [])


def test_an_item_of_another_form_is_logged_too(log: Log) -> None:
    log.publish()
    log_before = log.checkpoint().size
    reconciler(log).backfill([], BEGAN, NOW)
    odd: Item = {"pk": {"S": "org_1#?"}, "sk": {"S": "1"}, "n": {"N": "7"}}

    assert reconcile(log, [odd]) == Found(1, 1, 1, [])
    log.publish()
    assert log.checkpoint().size == log_before + 3


# ---------------------------------------------------------------- records older than the log


def test_old_records_are_backfilled_once(log: Log) -> None:
    seal(log, [received(9)])
    log.publish()
    items = [*map(old, range(4)), received(9)]

    with pytest.raises(MustBackfill, match="4"):
        reconcile(log, items)
    assert reconciler(log).backfill(items, BEGAN, NOW) == Found(5, 4, 4, [])
    with pytest.raises(IsBackfilled):
        reconciler(log).backfill(items, BEGAN, NOW)
    log.publish()

    assert kinds(log) == [Kind.ORGANIZATION, Kind.RECORD] + [Kind.BACKFILLED] * 5
    assert log.leaves()[-1] == END_OF_BACKFILL
    assert reconcile(log, items) == Found(5, 0, 0, [])
    assert reconcile(log, [*items, old(7)]).logged == 1  # it comes late, and is no longer "old"
    log.publish()
    assert kinds(log)[-1] == Kind.RECORD


def test_an_interrupted_backfill_goes_on(log: Log) -> None:
    log.publish()
    items = [*map(old, range(6))]
    seal_some = log.sealer()
    seal_some.assign([seal_some.entry(Kind.BACKFILLED, one) for one in items[:3]], NOW)

    assert reconciler(log).backfill(items, BEGAN, NOW) == Found(6, 3, 3, [])
    log.publish()
    assert kinds(log).count(Kind.BACKFILLED) == 7


def test_two_backfills_at_once_leave_no_record_after_the_end(log: Log) -> None:
    log.publish()
    items = [*map(old, range(40))]
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(reconciler(log).backfill, items, BEGAN, NOW) for _ in range(2)]
        assert [type(run.exception()) in (type(None), IsBackfilled) for run in runs] == [True] * 2
    log.publish()

    leaves = log.leaves()
    logged = {one for one in leaves if one[0] == Kind.BACKFILLED}
    before_the_end = {*leaves[: leaves.index(END_OF_BACKFILL) + 1]}
    assert len(logged) == 41
    assert logged <= before_the_end


# ---------------------------------------------------------------- positions


def publish_all(log: Log, items: Iterable[Item]) -> None:
    """Publish, where it halted before; every item then has a leaf."""
    with pytest.raises(LogHalted):
        log.publish()
    before, all_items = log.checkpoint(), [*items]
    reconcile(log, all_items)
    log.publish()
    assert log.tree().consistency_proof(before.size) or before.size == log.checkpoint().size
    assert reconcile(log, all_items) == Found(len(all_items), 0, 0, [])
    seal(log, [received(9000)])
    log.publish()
    assert len(bodies(log)) == len(all_items) + 1


def half_published(log: Log) -> list[Item]:
    """Return 40 records: 20 are published, 20 more have positions, in four batches."""
    items = [received(number) for number in range(40)]
    seal(log, items[:20])
    log.publish()
    for start in range(20, 40, 5):
        seal(log, items[start : start + 5])
    return items


def test_a_batch_that_is_gone_makes_room_for_its_records(log: Log) -> None:
    items = half_published(log)
    lost = [*log.table.batches(21, 41)][1].batch
    for one in log.s3.list_object_versions(Bucket=log.name, Prefix="work/")["Versions"]:
        if lost.name in one["Key"]:
            log.s3.delete_object(
                Bucket=log.name,
                Key=one["Key"],
                VersionId=one["VersionId"],
                BypassGovernanceRetention=True,
            )

    publish_all(log, items)
    assert log.checkpoint().size == size_with(42)


def test_a_batch_that_was_changed_makes_room_for_its_records(log: Log) -> None:
    items = half_published(log)
    lost = [*log.table.batches(21, 41)][2].batch
    log.bucket.write_batch(lost.name, bytes(BYTES) * 5)

    publish_all(log, items)


def test_deleted_positions_make_room_for_their_records(log: Log) -> None:
    items = half_published(log)
    for start in (26, 36):
        log.delete_batch(start)

    publish_all(log, items)


def test_a_restored_table_goes_on_from_the_published_log(log: Log) -> None:
    items = half_published(log)[:20]
    log.publish()
    log.restore(positions=1)  # the organization alone
    more = [received(number) for number in range(50, 55)]
    seal(log, more)  # at positions that are published

    publish_all(log, [*items, *(received(number) for number in range(20, 40)), *more])


def test_a_lost_batch_without_missing_records_is_filled_with_repeats(log: Log) -> None:
    items = [received(number) for number in range(10)]
    seal(log, items)
    log.publish()
    seal(log, [received(0)])  # a repeat, with other borders
    (position,) = log.table.batches(11, 12)
    log.bucket.write_batch(position.batch.name, b"")

    publish_all(log, items)
    assert kinds(log).count(Kind.RECORD) == 12


def test_a_lost_batch_of_a_new_log_is_filled_too(log: Log) -> None:
    log.publish()
    seal(log, [received(0)])
    first, *_ = log.table.batches(0, 2)
    log.bucket.write_batch(first.batch.name, b"")

    with pytest.raises(LogHalted):
        log.publish()
    reconcile(log, [received(0)])
    log.publish()
    assert len(bodies(log)) == 1
    assert kinds(log) == [Kind.ORGANIZATION, Kind.RECORD]


@pytest.mark.parametrize("writes", range(7))
def test_a_run_killed_at_any_write_is_completed_by_the_next(
    log: Log, break_table: BreakCall, break_bucket: BreakCall, writes: int
) -> None:
    items = half_published(log)
    one, _, other, _ = log.table.batches(21, 41)
    for lost in (one, other):
        log.bucket.write_batch(lost.batch.name, b"")
    items += [received(60)]  # which the stream missed
    left = [writes]

    def count(**_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    for call in ("PutItem", "TransactWriteItems", "UpdateItem"):
        break_table(call, count)
    break_bucket("PutObject", count)
    with suppress(KeyboardInterrupt):
        reconcile(log, items)
    left[0] = 1 << 30

    reconcile(log, items)
    log.publish()
    assert reconcile(log, items) == Found(41, 0, 0, [])
    assert len(bodies(log)) == 41


def test_two_processes_do_not_repair_the_same_positions(log: Log) -> None:
    items = half_published(log)
    log.bucket.write_batch(next(iter(log.table.batches(21, 41))).batch.name, b"")
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(reconcile, log, items) for _ in range(2)]
        assert any(run.exception() is None for run in runs)

    log.publish()
    assert reconcile(log, items) == Found(40, 0, 0, [])


def test_records_that_come_meanwhile_are_logged_beside(log: Log) -> None:
    items = half_published(log)
    log.bucket.write_batch(next(iter(log.table.batches(21, 41))).batch.name, b"")
    news = [received(number) for number in range(100, 130)]
    with ThreadPoolExecutor(6) as threads:
        sealed = [threads.submit(seal, log, [one]) for one in news]
        reconcile(log, items)
        for one in sealed:
            one.result()

    log.publish()
    assert reconcile(log, [*items, *news]) == Found(70, 0, 0, [])


def test_an_untouched_log_is_not_repaired(log: Log) -> None:
    items = half_published(log)
    before = [*log.table.batches(0, 41)]

    assert reconcile(log, items) == Found(40, 0, 0, [])
    assert [*log.table.batches(0, 41)] == before
    assert Batch.of([*log.sealed()][-5:]) == before[-1].batch
