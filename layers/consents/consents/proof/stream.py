"""The ledger's stream: the changes in an event of it."""

from collections.abc import Mapping
from typing import Any

from consents.proof.seal import Change


def parse_changes(event: Mapping[str, Any]) -> list[Change]:
    """Return the changes of an event, in order."""
    images = (record["dynamodb"] for record in event["Records"])
    return [Change(one.get("OldImage"), one.get("NewImage")) for one in images]
