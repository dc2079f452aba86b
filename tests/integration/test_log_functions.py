"""The functions of the transparency log, as Lambda calls them."""

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from io import StringIO
from typing import Any

import pytest
from consents.aws.invocations import InvocationFailed
from consents.proof import notes, wiring
from consents.proof.batches import Batch
from consents.proof.notes import Checkpoint

from tests.factories import NOW
from tests.integration.conftest import Metrics
from tests.integration.faults import BreakCall, breaker, error_response, no_connection
from tests.integration.invocation import Invocation, event_of

type Run = Callable[..., None]


@pytest.fixture
def run(engine: None) -> Run:  # noqa: ARG001 - it must be up
    """Run an event through its function."""

    def run(name: str, event: dict[str, Any] | None = None, milliseconds: int = 300_000) -> None:
        handler = import_module(f"functions.{name.partition('.')[0]}.app").handler
        assert handler(event or event_of(name), Invocation(milliseconds)) is None

    return run


@pytest.fixture
def break_log(engine: None) -> Iterator[BreakCall]:  # noqa: ARG001 - it must be up
    """Let a fault respond to the functions' calls of the log's bucket."""
    yield from breaker(wiring.bucket()._objects._client, "s3")


def checkpoint() -> Checkpoint:
    """Return the published checkpoint."""
    stored = wiring.bucket().checkpoint()
    assert stored is not None
    return notes.parse_checkpoint(notes.parse_note(stored.content).text)


def lines(logged: StringIO, event: str) -> list[dict[str, Any]]:
    """Return the log lines of an event."""
    parsed = map(json.loads, logged.getvalue().splitlines())
    return [line for line in parsed if line["message"] == event]


def inserted_by(org_id: str) -> dict[str, Any]:
    """Return the event of an insertion by an organization."""
    event = event_of("seal_records.insert")
    event["Records"][0]["dynamodb"]["NewImage"]["pk"]["S"] = f"{org_id}#+15554443333"
    return event


def test_delivered_changes_are_sealed_once_and_published(
    run: Run, logged: StringIO, metrics: Metrics
) -> None:
    run("publish_log.minute")
    sealed, size = wiring.table().count(), checkpoint().size
    run("seal_records.insert", inserted_by("org_new"))
    run("seal_records.insert", inserted_by("org_new"))
    metrics()
    run("publish_log.minute")
    run("publish_log.minute")

    _, again = lines(logged, "batch.sealed")
    assert not again["is_new"]
    assert wiring.table().count() == sealed + 2  # the organization and the record
    assert checkpoint().size == size + 2
    *_, published = lines(logged, "log.published")
    assert (published["size"], published["entries"]) == (size + 2, 2)
    assert [one["LogEntriesPublished"] for one in metrics()] == [[2.0], [0.0]]


def test_published_log_is_anchored_each_hour(run: Run, logged: StringIO, metrics: Metrics) -> None:
    run("publish_log.minute")
    assert lines(logged, "log.anchored") == []
    metrics()
    run("publish_log.hour")

    (anchored,) = lines(logged, "log.anchored")
    assert (anchored["size"], anchored["is_met"]) == (checkpoint().size, True)
    assert checkpoint().size in wiring.bucket().anchor_sizes()
    assert [0.0] in [one.get("LogAnchorsWithoutQuorum") for one in metrics()]


def test_policy_of_the_hour_is_that_of_the_log(
    run: Run, logged: StringIO, metrics: Metrics
) -> None:
    run("publish_log.hour", {"anchor": True, "witness_policy": "quorum none"})
    assert wiring.bucket().witness_policy() == "quorum none\n"
    metrics()
    run("publish_log.hour", {"anchor": True, "witness_policy": "quorum one"})

    (invalid,) = lines(logged, "witness.policy_invalid")
    assert invalid["reason"].startswith("line 1: ")
    assert wiring.bucket().witness_policy() == "quorum none\n"
    assert [1.0] in [one.get("LogAnchorsWithoutQuorum") for one in metrics()]
    run("publish_log.hour", {"anchor": True, "witness_policy": ""})
    assert wiring.bucket().witness_policy() == ""


def test_anchor_of_a_day_is_timestamped_or_the_metric_says_not(
    run: Run, logged: StringIO, metrics: Metrics
) -> None:
    run("publish_log.minute")
    run("publish_log.hour")
    assert lines(logged, "timestamp.failed") == []
    metrics()
    run("publish_log.day")

    (failed,) = lines(logged, "timestamp.failed")
    assert (failed["size"], failed["reason"]) == (checkpoint().size, "ConnectionRefusedError")
    assert checkpoint().size in wiring.bucket().anchor_sizes()
    assert [1.0] in [one.get("LogAnchorsWithoutTimestamp") for one in metrics()]


def test_failure_of_the_bucket_is_not_one_of_the_authority(
    run: Run, logged: StringIO, break_log: BreakCall
) -> None:
    run("publish_log.minute")
    unreachable = error_response(503, "SlowDown")
    break_log(
        "ListObjectsV2",
        lambda params, **_: unreachable() if "tsr" in str(params["query_string"]) else None,
    )
    with pytest.raises(InvocationFailed):
        run("publish_log.day")

    assert len(lines(logged, "log.anchored")) == 1
    (failed,) = lines(logged, "log.timestamp_failed")
    assert failed["error"] == "SlowDown"


def test_publisher_short_of_time_leaves_the_rest_to_the_next_run(run: Run) -> None:
    run("publish_log.minute")
    size = checkpoint().size
    batch = Batch.of([bytes([1] * 65)])
    wiring.bucket().write_batch(batch.name, bytes([1] * 65))
    wiring.table().assign(batch, NOW)

    run("publish_log.minute", milliseconds=60_000)
    assert checkpoint().size == size
    run("publish_log.minute")
    assert checkpoint().size == size + 1


def test_halted_log_is_a_metric_and_a_reason(
    run: Run, logged: StringIO, metrics: Metrics, break_log: BreakCall
) -> None:
    run("publish_log.minute")
    metrics()
    break_log("GetObject", lambda params, **_: _gone(params))
    run("publish_log.minute")

    (halted,) = lines(logged, "log.halted")
    assert halted["reason"] == "an object is gone"
    assert [one["LogHalted"] for one in metrics()] == [[1.0]]


def test_halted_log_is_not_anchored(run: Run, logged: StringIO, break_log: BreakCall) -> None:
    run("publish_log.minute")
    break_log("GetObject", lambda params, **_: _gone(params))
    run("publish_log.hour")

    assert len(lines(logged, "log.halted")) == 1
    assert lines(logged, "log.anchored") == []


def _gone(params: dict[str, Any]) -> Any:
    is_tile = "/tile/" in params["url_path"]
    return error_response(404, "NoSuchKey")() if is_tile else None


@pytest.mark.parametrize(
    ("event", "call", "line"),
    [
        ("seal_records.insert", "PutObject", "batch.seal_failed"),
        ("publish_log.minute", "GetObject", "log.publish_failed"),
        ("publish_log.hour", "ListObjectsV2", "log.anchor_failed"),
    ],
)
def test_failed_function_raises_and_logs_nothing_that_was_sent(
    run: Run, logged: StringIO, break_log: BreakCall, event: str, call: str, line: str
) -> None:
    break_log(call, no_connection)
    with pytest.raises(InvocationFailed) as raised:
        run(event)

    (failed,) = lines(logged, line)
    assert failed["error"] == "ConnectTimeoutError"
    assert failed["frames"]
    assert (str(raised.value), raised.value.__cause__, raised.value.__suppress_context__) == (
        "",
        None,
        True,
    )
    assert "+15554443333" not in logged.getvalue()
