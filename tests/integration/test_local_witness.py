"""The witness of the local stack: a process that cosigns for the log's client, over HTTP."""

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from consents.proof import notes
from consents.proof.anchor import Anchored, Anchorer
from consents.proof.witness_policy import Witness, parse_witness_policy
from consents.proof.witnesses import ask_witnesses
from consents_cli import local_witness, locks
from consents_cli.local_files import LocalFiles
from consents_cli.witness import MAX_BODY

from tests.integration.transparency import Log, inserted
from tests.integration.watched import Watched


@pytest.fixture
def log(tables: Watched, template: dict[str, Any]) -> Log:
    """A log without entries."""
    return Log(tables, template["Resources"]["LogTable"]["Properties"])


class Running(NamedTuple):
    """A local stack: its files, and the lock that MiniStack holds while it runs."""

    files: LocalFiles
    lock: int


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A local stack of which nothing else runs."""
    files = LocalFiles(tmp_path)
    files.scratch.mkdir()
    lock = locks.take(files.engine_lock)
    assert lock is not None
    yield Running(files, lock)
    os.close(lock)


@pytest.fixture
def process(running: Running) -> Iterator[subprocess.Popen[str]]:
    """A witness without a log yet."""
    with local_witness.start(running.files, os.getpgrp()) as process:
        yield process
        process.kill()


@pytest.fixture
def witness(process: subprocess.Popen[str], log: Log) -> Witness:
    """The witness as the log's policy has it."""
    log.bucket.write_witness_policy(local_witness.policy(process))
    local_witness.watch(process, str(log.verifier))
    (witness,) = parse_witness_policy(log.bucket.witness_policy()).witnesses.values()
    return witness


def grow(log: Log, numbers: range) -> int:
    """Publish some records, and return the size of the log."""
    log.seal(*inserted(numbers))
    log.publish()
    return log.checkpoint().size


def test_log_that_grows_is_anchored_with_its_cosignature(log: Log, witness: Witness) -> None:
    for numbers in (range(1), range(1, 300), range(300, 1000)):
        size = grow(log, numbers)

        assert Anchorer(log.bucket, ask_witnesses).anchor() == Anchored(
            size, {"local"}, is_met=True
        )
        anchored = notes.parse_note(log.bucket.read_anchor(size).checkpoint)
        assert witness.key.has_signed(anchored)


def test_publishers_at_once_all_get_its_cosignature(log: Log, witness: Witness) -> None:
    size = grow(log, range(10))
    with ThreadPoolExecutor(4) as threads:
        anchorers = [Anchorer(log.bucket, ask_witnesses) for _ in range(4)]
        found = [*threads.map(Anchorer.anchor, anchorers)]

    assert found == [Anchored(size, {witness.name}, is_met=True)] * 4


def status(witness: Witness, method: str, path: str, length: str) -> int:
    """Return the status of a request without a body."""
    connection = HTTPConnection(urlsplit(witness.url).netloc, timeout=10)
    connection.putrequest(method, path)
    connection.putheader("Content-Length", length)
    connection.endheaders()
    response = connection.getresponse()
    connection.close()
    return response.status


def test_other_requests_are_rejected(witness: Witness) -> None:
    post = partial(status, witness, "POST", "/add-checkpoint")

    assert {post(one) for one in ("0", "", "-1", "²", "9" * 5000, f"{MAX_BODY + 1}")} == {400}
    assert status(witness, "POST", "/sign-subtree", "0") == 404
    assert status(witness, "GET", "/add-checkpoint", "0") == 501


def test_only_this_machine_can_reach_it(witness: Witness) -> None:
    port = urlsplit(witness.url).port
    with socket.socket() as client:
        # Another loopback address than the one it listens on.
        assert client.connect_ex(("127.0.0.2", port)) != 0


def test_it_ends_when_the_engine_does(
    running: Running, process: subprocess.Popen[str], witness: Witness
) -> None:
    assert status(witness, "POST", "/add-checkpoint", "0") == 400

    fcntl.flock(running.lock, fcntl.LOCK_UN)
    assert process.wait(10) == 0


def test_witness_that_did_not_start_has_no_policy(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(10)

    assert local_witness.policy(process) == ""


def test_witness_of_something_else_says_why_it_ends(running: Running) -> None:
    with local_witness.start(running.files, os.getpgrp()) as process:
        assert local_witness.policy(process)
        local_witness.watch(process, "nonsense")

    assert "vkey" in running.files.witness_log.read_text()


def test_witness_answers_what_was_asked_before_it_had_a_log(
    process: subprocess.Popen[str], log: Log
) -> None:
    (witness,) = parse_witness_policy(local_witness.policy(process)).witnesses.values()
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(status, witness, "POST", "/add-checkpoint", "0")
        local_witness.watch(process, str(log.verifier))
        assert asked.result() == 400


def test_it_starts_without_the_aws_sdk() -> None:
    program = "import consents_cli.local_witness, sys; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert {"botocore", "consents", "typer"}.isdisjoint(ran.stdout.split())
