"""Publish the transparency log: its tiles, and a signed checkpoint, about once a minute.

Once an hour, and for `consents log anchor`, also ask the witnesses.
"""

from typing import Any

from consents import wiring  # noqa: F401 - first: it prepares the process
from consents.aws.invocations import failure_logged
from consents.http.request import Context
from consents.proof import wiring as proof_wiring
from consents.proof.anchor import anchor
from consents.proof.publish import publish

MIN_SECONDS = 60
"""A publisher that has less left leaves the rest to the next run."""

publisher = proof_wiring.publisher()
anchorer = proof_wiring.anchorer()


def handler(event: dict[str, Any], context: Context) -> None:
    """Publish what is assigned, and anchor it if the event says so."""

    def has_time() -> bool:
        return context.get_remaining_time_in_millis() > MIN_SECONDS * 1000

    with failure_logged("log.publish_failed"):
        is_whole = publish(publisher, has_time)
    if is_whole and event.get("anchor"):
        with failure_logged("log.anchor_failed"):
            anchor(anchorer)
