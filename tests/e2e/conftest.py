"""A local stack per worker, and builds that all workers of a session share."""

import fcntl
import json
import os
import platform
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from consents.imports.drop import Drop
from consents_cli import sam
from consents_cli.local_files import LocalFiles
from consents_cli.stack import Stack, connect_local

from tests.e2e import browser as browsers
from tests.e2e.files import Put, Queues, Summary, dropped_as
from tests.e2e.local_stack import LocalStack, eventually, running_stack

type Build = Callable[[str], LocalFiles]


@pytest.fixture(scope="session")
def build_for(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a build for an architecture, which is made once for all workers of a session."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def build_for(architecture: str) -> LocalFiles:
        files = LocalFiles(shared / f"built-{architecture}")
        files.folder.mkdir(exist_ok=True)
        with (files.folder / "build.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (files.folder / "is-built").exists():
                sam.build(files, architecture)
                (files.folder / "is-built").touch()
        return files

    return build_for


@pytest.fixture(scope="session")
def build(build_for: Build) -> LocalFiles:
    """The build that AWS would run on this architecture; without glibc, one for this machine."""
    return build_for(sam.architecture() if platform.libc_ver()[0] == "glibc" else "host")


@pytest.fixture(scope="session")
def stack(build: LocalFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The local stack of this worker. Nothing is sealed there before a test needs the log.

    Sealing takes the processor from tests that are about something else.
    """
    with running_stack(build, tmp_path_factory.mktemp("local")) as running:
        functions = connect_local(running.state["aws_endpoint_url"]).functions()
        functions.update_event_source_mapping(UUID=_sealing(functions)["UUID"], Enabled=False)
        yield running


@pytest.fixture(scope="module")
def sealing(stack: LocalStack) -> Iterator[None]:
    """Let the stack seal what is captured while the tests of a file run.

    What was captured before is of other organizations: the key table of each takes a second.
    """
    functions = connect_local(stack.state["aws_endpoint_url"]).functions()
    disabled = _sealing(functions)
    mapping = functions.create_event_source_mapping(
        EventSourceArn=disabled["EventSourceArn"],
        FunctionName=disabled["FunctionArn"],
        BatchSize=disabled["BatchSize"],
        StartingPosition="LATEST",
    )
    yield
    functions.delete_event_source_mapping(UUID=mapping["UUID"])


def _sealing(functions: Any) -> dict[str, Any]:
    """Return the one mapping of the ledger's stream to the function that seals."""
    mappings = functions.list_event_source_mappings()["EventSourceMappings"]
    (found,) = [one for one in mappings if "SealRecords" in one["FunctionArn"]]
    return dict(found)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium, started once for a file."""
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture
def deployed(stack: LocalStack) -> Stack:
    """The clients of the local stack."""
    return connect_local(stack.state["aws_endpoint_url"])


@pytest.fixture
def queues(stack: LocalStack) -> Queues:
    """The queues of the local stack."""
    return Queues(stack)


@pytest.fixture
def put(stack: LocalStack, deployed: Stack) -> Put:
    """Put an object into the bucket as a file of the demo organization."""

    def put(name: str, content: bytes) -> Drop:
        key = f"drops/{stack.organization['org_id']}/{name}"
        deployed.s3().put_object(Bucket=stack.state["drops_bucket"], Key=key, Body=content)
        return dropped_as(stack, key)

    return put


@pytest.fixture
def summary(deployed: Stack) -> Summary:
    """Return the summary of an import once it is written."""
    s3: Any = deployed.s3()

    def summary(dropped: Drop, at_each_look: Callable[[], None] = lambda: None) -> dict[str, Any]:
        found = {"Bucket": dropped.bucket, "Key": dropped.report_key("summary.json")}

        def is_written() -> bool:
            at_each_look()
            try:
                s3.head_object(**found)
            except s3.exceptions.ClientError:
                return False
            return True

        assert eventually(is_written, seconds=240)
        return dict(json.loads(s3.get_object(**found)["Body"].read()))

    return summary
