"""Publish the transparency log: its tiles, and a signed checkpoint, about once a minute."""

from typing import Any

from consents import wiring  # noqa: F401 - first: it prepares the process
from consents.aws.invocations import failure_logged
from consents.http.request import Context
from consents.proof import wiring as proof_wiring
from consents.proof.publish import publish

MIN_SECONDS = 60
"""A publisher that has less left leaves the rest to the next run."""

publisher = proof_wiring.publisher()


def handler(_event: dict[str, Any], context: Context) -> None:
    """Publish what is assigned."""

    def has_time() -> bool:
        return context.get_remaining_time_in_millis() > MIN_SECONDS * 1000

    with failure_logged("log.publish_failed"):
        publish(publisher, has_time)
