"""Seal changes of the ledger: assign each a position in the transparency log."""

from datetime import UTC, datetime
from typing import Any

from consents import wiring  # noqa: F401 - first: it prepares the process
from consents.aws.invocations import failure_logged
from consents.http.request import Context
from consents.proof import wiring as proof_wiring
from consents.proof.stream import parse_changes

sealer = proof_wiring.sealer()


def handler(event: dict[str, Any], _context: Context) -> None:
    """Seal all changes of a batch; where that fails, the stream delivers it again."""
    with failure_logged("batch.seal_failed"):
        sealer.seal(parse_changes(event), datetime.now(UTC))
