"""Timestamps of the log on S3: an authority over HTTP that grants, fails, stalls, or is raced."""

import json
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from io import StringIO
from threading import Barrier, Event
from typing import Any

import pytest
from consents.proof import notes
from consents.proof.anchor import Anchored, Anchorer
from consents.proof.anchors import TIMESTAMP, anchor_name
from consents.proof.rfc3161 import timestamp_query
from consents.proof.timestamp import Timestamper, timestamp
from consents.proof.timestamp_authority import request_timestamp
from consents.proof.witnesses import ask_witnesses
from consents_timestamps import verified_time

from tests.integration.conftest import Metrics
from tests.integration.faults import BreakCall, breaker, killed
from tests.integration.transparency import Log, inserted
from tests.integration.watched import Watched
from tests.integration.witness_server import serving as serving_witness
from tests.timestamp_authority import Authority, Respond, new_authority, send, serving
from tests.unit.witness_model import WitnessModel


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A timestamp authority."""
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    """The URL of the authority, which was not asked yet."""
    authority.queries.clear()
    with serving(authority.respond) as url:
        yield url


@pytest.fixture
def log(tables: Watched, template: dict[str, Any]) -> Log:
    """A log of some entries."""
    made = Log(tables, template["Resources"]["LogTable"]["Properties"])
    grow(made, range(10))
    return made


@pytest.fixture
def break_bucket(log: Log) -> Iterator[BreakCall]:
    """Let a fault respond to calls of the log's bucket."""
    yield from breaker(log.s3, "s3")


def grow(log: Log, numbers: range) -> None:
    """Publish some records."""
    log.seal(*inserted(numbers))
    log.publish()


def anchor(log: Log) -> int:
    """Anchor the log, and return its size."""
    return cosigned_anchor(log).size


def cosigned_anchor(log: Log) -> Anchored:
    """Anchor the log, and return who cosigned it."""
    anchored = Anchorer(log.bucket, partial(ask_witnesses, seconds=5)).anchor()
    assert anchored is not None
    return anchored


def timestamper(log: Log, url: str, seconds: float = 10) -> Timestamper:
    """Return what timestamps a log, as a new process has it."""
    return Timestamper(log.bucket, partial(request_timestamp, url, seconds=seconds))


def is_verified(log: Log, size: int, authority: Authority) -> bool:
    """Return whether the timestamp of an anchor is one of exactly the anchor's bytes."""
    anchor, stamp = log.bucket.read_anchor(size)
    assert anchor == log.bucket.read(anchor_name(size))
    return verified_time(stamp, anchor, authority.roots) > 0


def test_anchor_is_timestamped_once(log: Log, authority: Authority, url: str) -> None:
    size = anchor(log)
    timestamper(log, url).timestamp(size)
    stamp = log.bucket.read_anchor(size).timestamp
    timestamper(log, url).timestamp(anchor(log))

    assert is_verified(log, size, authority)
    assert log.bucket.read_anchor(size).timestamp == stamp
    anchored = sha256(log.bucket.read(anchor_name(size))).digest()
    assert authority.queries == [timestamp_query(anchored)]


@pytest.mark.parametrize(
    ("path", "asked"), [("", "/"), ("/", "/"), ("/tsa/", "/tsa/"), ("/?policy=1", "/?policy=1")]
)
def test_path_of_the_url_is_that_of_the_query(
    log: Log, authority: Authority, path: str, asked: str
) -> None:
    def respond(request: BaseHTTPRequestHandler, query: bytes) -> None:
        assert request.path == asked
        authority.respond(request, query)

    size = anchor(log)
    with serving(respond) as url:
        timestamper(log, url + path).timestamp(size)
    assert log.bucket.has_timestamp(size)


def test_runs_at_once_leave_one_timestamp(log: Log, authority: Authority) -> None:
    size, all_ask = anchor(log), Barrier(4)

    def respond(request: BaseHTTPRequestHandler, query: bytes) -> None:
        all_ask.wait(10)
        authority.respond(request, query)

    with serving(respond) as url, ThreadPoolExecutor(4) as threads:
        assert [*threads.map(lambda _: timestamper(log, url).timestamp(size), range(4))] == [
            None
        ] * 4

    versions = log.s3.list_object_versions(Bucket=log.name, Prefix=anchor_name(size))["Versions"]
    names = [one["Key"] for one in versions]
    assert sorted(names) == [anchor_name(size), anchor_name(size) + TIMESTAMP]
    assert is_verified(log, size, authority)


def test_run_that_is_killed_before_it_writes_is_repeated(
    log: Log, authority: Authority, url: str, break_bucket: BreakCall
) -> None:
    size = anchor(log)
    left = iter([True])
    break_bucket("PutObject", lambda **call: killed(**call) if next(left, False) else None)
    with pytest.raises(KeyboardInterrupt):
        timestamper(log, url).timestamp(size)
    assert not log.bucket.has_timestamp(size)

    timestamper(log, url).timestamp(size)
    assert is_verified(log, size, authority)


def test_log_that_grows_meanwhile_keeps_the_timestamp_at_its_anchor(
    log: Log, authority: Authority
) -> None:
    size = anchor(log)

    def respond(request: BaseHTTPRequestHandler, query: bytes) -> None:
        grow(log, range(10, 400))
        anchor(log)
        authority.respond(request, query)

    with serving(respond) as url:
        timestamper(log, url, seconds=30).timestamp(size)

    assert anchor(log) > size
    assert [one for one in log.bucket.anchor_sizes() if log.bucket.has_timestamp(one)] == [size]
    assert is_verified(log, size, authority)


def test_timestamped_anchor_keeps_the_quorum_that_came_later(
    log: Log, authority: Authority, url: str
) -> None:
    witness = WitnessModel("w1.example", log.verifier)
    policy = f"witness w1 {witness.verifier} {{url}}\nquorum w1\n"
    log.bucket.write_witness_policy(policy.format(url="http://127.0.0.1:9"))
    assert not cosigned_anchor(log).is_met
    with serving_witness(witness) as witness_url:
        log.bucket.write_witness_policy(policy.format(url=witness_url))
        size, _, is_met = cosigned_anchor(log)
        assert is_met
        timestamper(log, url).timestamp(size)
        asked = len(witness.requests)

        assert cosigned_anchor(log).is_met
        assert len(witness.requests) == asked
    assert is_verified(log, size, authority)
    assert not witness.verifier.has_signed(
        notes.parse_note(log.bucket.read_anchor(size).checkpoint)
    )
    for snapshot in (log.bucket.cosigned_snapshot(), log.bucket.anchored_snapshot()):
        assert snapshot is not None
        assert witness.verifier.has_signed(notes.parse_note(snapshot.note))


# ---------------------------------------------------------------- Authorities that fail


def stall(request: BaseHTTPRequestHandler, _: bytes) -> None:
    """Send nothing until the client goes."""
    request.rfile.read()


def drip(request: BaseHTTPRequestHandler, _query: bytes) -> None:
    """Send byte after byte, each long before a limit between two bytes."""
    request.send_response(200)
    request.send_header("Content-Length", "100")
    request.end_headers()
    for _ in range(30):
        request.wfile.write(b"0")
        Event().wait(0.1)


def flood(request: BaseHTTPRequestHandler, _: bytes) -> None:
    """Send more than a client can want."""
    send(request, 200, bytes(1 << 26))


def reset(request: BaseHTTPRequestHandler, _: bytes) -> None:
    """Reset the connection."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()


def responding(status: int, content: bytes) -> Respond:
    """Return what responds with a status and a body."""
    return lambda request, _: send(request, status, content)


def cut(authority: Authority) -> Respond:
    """Return what sends half of each timestamp."""

    def respond(request: BaseHTTPRequestHandler, query: bytes) -> None:
        content = authority.reply(query)
        send(request, 200, content[: len(content) // 2])

    return respond


def lagging(authority: Authority) -> Respond:
    """Return what responds with the timestamp of something else."""
    return lambda request, _: send(request, 200, authority.stamp(b"something else"))


def reasons(logged: StringIO) -> list[str]:
    """Return why timestamps failed."""
    lines = map(json.loads, logged.getvalue().splitlines())
    return [line["reason"] for line in lines if line["message"] == "timestamp.failed"]


@pytest.mark.parametrize(
    ("respond_of", "reason"),
    [
        (lambda _: stall, "timeout"),
        (lambda _: drip, "timeout"),
        (lambda _: flood, "invalid response"),
        (lambda _: reset, "ConnectionResetError"),
        (lambda _: responding(503, b""), "status 503"),
        (lambda _: responding(302, b""), "status 302"),
        (lambda _: responding(200, b""), "invalid response"),
        (lambda _: responding(200, b"<html>"), "invalid response"),
        (cut, "invalid response"),
        (lagging, "a timestamp of another digest"),
    ],
)
def test_failed_timestamp_is_logged_and_counted_and_leaves_nothing(
    log: Log,
    authority: Authority,
    logged: StringIO,
    metrics: Metrics,
    respond_of: Callable[[Authority], Respond],
    reason: str,
) -> None:
    size = anchor(log)
    with serving(respond_of(authority)) as url:
        timestamp(timestamper(log, f"{url}/?token=hidden", seconds=1), size)

    assert reasons(logged) == [reason]
    assert "hidden" not in logged.getvalue()
    assert not log.bucket.has_timestamp(size)
    assert [one["LogAnchorsWithoutTimestamp"] for one in metrics()] == [[1.0]]

    with serving(authority.respond) as url:
        timestamp(timestamper(log, url), size)
    assert is_verified(log, size, authority)
    assert [one["LogAnchorsWithoutTimestamp"] for one in metrics()] == [[0.0]]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/hidden", "ConnectionRefusedError"),
        (f"http://{'a' * 64}/hidden", "UnicodeEncodeError"),
        ("https://127.0.0.1:9/hidden", "ConnectionRefusedError"),
        ("http://[/hidden", "ValueError"),
    ],
)
def test_url_that_leads_nowhere_is_logged_without_the_url(
    log: Log, logged: StringIO, url: str, reason: str
) -> None:
    timestamp(timestamper(log, url), anchor(log))

    assert reasons(logged) == [reason]
    assert "hidden" not in logged.getvalue()
