"""Where packs wait for their download: under names that hold no number, for a day."""

from datetime import datetime, timedelta

from consents.aws.s3 import Objects
from consents.proof.proof_api import Link

LINK_LIFETIME = timedelta(hours=1)


class PackStore:
    """Stores packs in one bucket."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def keep(self, proof_id: str, content: bytes, now: datetime) -> Link:
        """Store a pack, and return its presigned URL."""
        key = f"proofs/{proof_id}.zip"
        self._objects.write(key, content)
        url = self._objects.presigned("get_object", key, LINK_LIFETIME, {})
        return Link(url, now + LINK_LIFETIME)
