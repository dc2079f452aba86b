"""An organization's long file delays no other organization's short one."""

import gzip
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from consents.imports.drop import Drop
from consents.imports.import_state import COMPLETED, FAILED, Import
from consents_cli.stack import Stack

from tests.busy import busy
from tests.e2e import organizations
from tests.e2e.files import BULK, bulk_row, dropped_as, jsonl
from tests.e2e.local_stack import LocalStack, eventually

PARTS, ROWS_PER_PART = 2_000, 1_000
"""Of the long file: its rows are rejected, so the workers have the most reports to write."""

TIMES = 10


def put_file(stack: LocalStack, deployed: Stack, org_id: str, name: str, content: bytes) -> Drop:
    key = f"drops/{org_id}/{BULK}/{name}"
    deployed.s3().put_object(Bucket=stack.state["drops_bucket"], Key=key, Body=content)
    return dropped_as(stack, key)


def found(deployed: Stack, dropped: Drop) -> Import | None:
    """Return an import that has begun, or None."""
    import_ = deployed.imports.find_any(dropped.import_id)
    return import_ if isinstance(import_, Import) else None


def seconds_to_complete(stack: LocalStack, deployed: Stack, org_id: str, number: int) -> float:
    """Return the seconds from the upload of a one-row STOP file to its completed import."""
    stop = bulk_row(number, f"+1555557{number:04}", status="opt-out", source="opt-out-message")
    started = time.monotonic()
    dropped = put_file(stack, deployed, org_id, f"stop-{number}.jsonl", jsonl(stop))

    def has_ended() -> bool:
        import_ = found(deployed, dropped)
        return import_ is not None and import_.is_reported

    assert eventually(has_ended)
    seconds = time.monotonic() - started
    import_ = found(deployed, dropped)
    assert import_ is not None
    assert (import_.outcome, import_.counts.accepted) == (COMPLETED, 1)
    return seconds


@pytest.fixture
def seconds_allowed(stack: LocalStack, deployed: Stack) -> float:
    """Five, more on a busy machine; on a slow one ten times what it takes without the long one."""
    org_id = stack.organization["org_id"]
    cold, warm = (seconds_to_complete(stack, deployed, org_id, TIMES + run) for run in (1, 2))
    return max(5 * busy(), 10 * min(cold, warm))


@pytest.fixture
def long_import(stack: LocalStack, deployed: Stack) -> Iterator[Drop]:
    """The import of a file of 2,000 parts, which has begun and ends with the test."""
    org_id = organizations.create(stack)["org_id"]
    content = gzip.compress(b"1\n" * PARTS * ROWS_PER_PART)
    dropped = put_file(stack, deployed, org_id, "long.jsonl.gz", content)

    def has_begun() -> bool:
        import_ = found(deployed, dropped)
        return import_ is not None and import_.parts_done > 0

    assert eventually(has_begun)
    yield dropped
    deployed.imports.end(dropped.import_id, FAILED, "the test has ended", datetime.now(UTC))


def test_stop_file_completes_soon_beside_a_long_file(
    stack: LocalStack,
    deployed: Stack,
    seconds_allowed: float,  # first: it measures without the long file
    long_import: Drop,
    capsys: pytest.CaptureFixture[str],
) -> None:
    org_id = stack.organization["org_id"]
    seconds_to_complete(stack, deployed, org_id, TIMES)  # starts the functions that do not run yet
    seconds = [seconds_to_complete(stack, deployed, org_id, number) for number in range(TIMES)]

    with capsys.disabled():
        sys.stderr.write(f"\nseconds to complete: {[round(each, 2) for each in seconds]}\n")
    still = found(deployed, long_import)
    assert still is not None
    assert still.outcome is None
    assert max(seconds) < seconds_allowed
