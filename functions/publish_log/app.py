"""Publish the transparency log: its tiles, and a signed checkpoint, about once a minute.

Once an hour, and for `consents log anchor`, also ask the witnesses; once a day, then also the
timestamp authority.
"""

from typing import Any

from consents import wiring  # noqa: F401 - first: it prepares the process
from consents.aws.invocations import failure_logged
from consents.http.request import Context
from consents.proof import wiring as proof_wiring
from consents.proof.anchor import anchor
from consents.proof.publish import publish
from consents.proof.timestamp import timestamp

MIN_SECONDS = 90
"""A publisher that has less left leaves the rest to the next run."""

publisher = proof_wiring.publisher()
anchorer = proof_wiring.anchorer()
timestamper = proof_wiring.timestamper()


def handler(event: dict[str, Any], context: Context) -> None:
    """Publish what is assigned; anchor and timestamp it if the event says so.

    `witness_policy` of the event is the parameter `WitnessPolicy`, line after line.
    """

    def has_time() -> bool:
        return context.get_remaining_time_in_millis() > MIN_SECONDS * 1000

    with failure_logged("log.publish_failed"):
        is_whole = publish(publisher, has_time)
    if not (is_whole and event.get("anchor")):
        return
    with failure_logged("log.anchor_failed"):
        size = anchor(anchorer, event.get("witness_policy"))
    if size and timestamper and event.get("timestamp"):
        with failure_logged("log.timestamp_failed"):
            timestamp(timestamper, size)
