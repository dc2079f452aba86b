"""Anchors on S3, with witnesses over HTTP: twice, beside each other, crashed, unwitnessed."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import StringIO
from typing import Any

import pytest
from consents.proof import notes
from consents.proof.anchor import Anchored, Anchorer, anchor
from consents.proof.anchors import TIMESTAMP, anchor_name
from consents.proof.notes import Note
from consents.proof.tiles import NotStored
from consents.proof.witnesses import ask_witnesses

from tests.integration.faults import BreakCall, breaker, killed
from tests.integration.transparency import Log, inserted
from tests.integration.watched import Watched
from tests.integration.witness_server import serving
from tests.unit.witness_model import WitnessModel


@pytest.fixture
def log(tables: Watched, template: dict[str, Any]) -> Log:
    """A log without entries."""
    return Log(tables, template["Resources"]["LogTable"]["Properties"])


@pytest.fixture
def break_bucket(log: Log) -> Iterator[BreakCall]:
    """Let a fault respond to calls of the log's bucket."""
    yield from breaker(log.s3, "s3")


@pytest.fixture
def witness(log: Log) -> Iterator[WitnessModel]:
    """A witness that suffices."""
    made = WitnessModel("w1.example", log.verifier)
    with serving(made) as url:
        log.bucket.write_witness_policy(f"witness w1 {made.verifier} {url}\nquorum w1\n")
        yield made


def anchorer(log: Log) -> Anchorer:
    """Return what anchors a log, as a new process has it."""
    return Anchorer(log.bucket, partial(ask_witnesses, seconds=5))


def grow(log: Log, numbers: range) -> int:
    """Publish some records, and return the size of the log."""
    log.seal(*inserted(numbers))
    log.publish()
    return log.checkpoint().size


def anchored(log: Log, size: int) -> Note:
    """Return the anchor of a size."""
    return notes.parse_note(log.bucket.read_anchor(size).checkpoint)


def test_published_log_is_anchored_with_a_cosignature(log: Log, witness: WitnessModel) -> None:
    sizes = [grow(log, range(number * 200, number * 200 + 200)) for number in range(3)]
    assert [anchorer(log).anchor() for _ in range(2)] == [
        Anchored(sizes[-1], {"w1"}, is_met=True)
    ] * 2
    sizes.append(grow(log, range(1000, 1400)))
    anchorer(log).anchor()

    assert [*log.bucket.anchor_sizes()] == sizes[-2:]
    for size in sizes[-2:]:
        assert log.verifier.has_signed(anchored(log, size))
        assert witness.verifier.has_signed(anchored(log, size))
    snapshot = log.bucket.snapshot()
    assert snapshot is not None
    assert snapshot.note == bytes(anchored(log, sizes[-1]))


def test_publishers_at_the_hour_leave_one_anchor(log: Log, witness: WitnessModel) -> None:
    size = grow(log, range(10))

    with ThreadPoolExecutor(4) as threads:
        found = [*threads.map(lambda _: anchorer(log).anchor(), range(4))]
    assert found == [Anchored(size, {"w1"}, is_met=True)] * 4
    assert len(anchored(log, size).signatures) == 2
    assert witness.verifier.has_signed(anchored(log, size))


def test_run_that_is_killed_before_its_anchor_is_repeated(
    log: Log, witness: WitnessModel, break_bucket: BreakCall
) -> None:
    size = grow(log, range(10))
    left = iter([True])
    break_bucket("PutObject", lambda **call: killed(**call) if next(left, False) else None)
    with pytest.raises(KeyboardInterrupt):
        anchorer(log).anchor()
    with pytest.raises(NotStored):
        log.bucket.read_anchor(size)

    assert anchorer(log).anchor() == Anchored(size, {"w1"}, is_met=True)
    assert witness.verifier.has_signed(anchored(log, size))


def test_publishers_at_the_hour_adopt_one_policy(log: Log) -> None:
    size, witness = grow(log, range(10)), WitnessModel("w1.example", log.verifier)
    with serving(witness) as url, ThreadPoolExecutor(4) as threads:
        policy = f"witness w1 {witness.verifier} {url}\nquorum w1"
        found = [*threads.map(lambda _: anchor(anchorer(log), policy), range(4))]

    assert found == [size] * 4
    assert log.bucket.witness_policy() == f"{policy}\n"
    assert witness.verifier.has_signed(anchored(log, size))


def test_run_that_is_killed_before_it_adopts_a_policy_is_repeated(
    log: Log, break_bucket: BreakCall
) -> None:
    size, left = grow(log, range(10)), iter([True])
    break_bucket("PutObject", lambda **call: killed(**call) if next(left, False) else None)
    with pytest.raises(KeyboardInterrupt):
        anchor(anchorer(log), "quorum none")
    assert log.bucket.witness_policy() == ""

    assert anchor(anchorer(log), "quorum none") == size
    assert log.bucket.witness_policy() == "quorum none\n"


def test_event_of_an_earlier_policy_that_comes_late_lasts_an_hour(log: Log) -> None:
    grow(log, range(10))
    for policy in ("quorum none", "", "quorum none"):
        anchor(anchorer(log), policy)

        assert log.bucket.witness_policy() == (policy and f"{policy}\n")


def test_witness_that_does_not_respond_stops_no_anchor(log: Log, logged: StringIO) -> None:
    up, hung, down = (WitnessModel(name, log.verifier) for name in ("up", "hung", "down"))
    size = grow(log, range(10))
    with serving(up) as url, serving(hung, hangs=True) as hung_url:
        urls = (url, hung_url, "http://127.0.0.1:9/log")
        models = zip((up, hung, down), urls, strict=True)
        lines = [f"witness {one.verifier.name} {one.verifier} {url}" for one, url in models]
        policy = "\n".join([*lines, "group two 2 up hung down", "quorum two"])
        log.bucket.write_witness_policy(policy)
        found = Anchorer(log.bucket, partial(ask_witnesses, seconds=1)).anchor()

    assert found == Anchored(size, {"up"}, is_met=False)
    failed = [json.loads(line) for line in logged.getvalue().splitlines()]
    reasons = {
        one["witness"]: one["reason"] for one in failed if one["message"] == "witness.failed"
    }
    assert reasons == {"hung": "timeout", "down": "ConnectionRefusedError"}


def test_cosignature_that_comes_later_is_beside_the_anchor(log: Log) -> None:
    size = grow(log, range(10))
    anchorer(log).anchor()
    written = log.bucket.read(anchor_name(size))
    auditor = WitnessModel("auditor.example", log.verifier)
    line = auditor.cosignature(anchored(log, size).text)
    (cosignature,) = notes.parse_note(f"-\n\n{line}".encode()).signatures
    log.bucket.add_cosignature(size, cosignature)
    log.bucket.add_cosignature(size, cosignature)

    assert auditor.verifier.has_signed(anchored(log, size))
    assert log.bucket.read(anchor_name(size)) == written
    assert [*log.bucket.anchor_sizes()] == [size]
    cosigned = bytes(anchored(log, size))
    for snapshot, note in (
        (log.bucket.snapshot(), written),
        (log.bucket.cosigned_snapshot(), cosigned),
        (log.bucket.anchored_snapshot(), cosigned),
    ):
        assert snapshot is not None
        assert snapshot.note == note


def test_timestamp_is_handed_out_with_exactly_the_bytes_that_it_covers(log: Log) -> None:
    size = grow(log, range(10))
    anchorer(log).anchor()
    written = log.bucket.read(anchor_name(size))
    auditor = WitnessModel("auditor.example", log.verifier)
    line = auditor.cosignature(anchored(log, size).text)
    (cosignature,) = notes.parse_note(f"-\n\n{line}".encode()).signatures
    log.bucket.add_cosignature(size, cosignature)
    log.s3.put_object(Bucket=log.name, Key=anchor_name(size) + TIMESTAMP, Body=b"response")

    assert log.bucket.read_anchor(size) == (written, b"response")
    assert [*log.bucket.anchor_sizes()] == [size]
