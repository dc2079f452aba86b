"""A dropped file: what its key says of it, and where its import keeps things."""

import re
from dataclasses import dataclass
from hashlib import sha256

from consents.domain.record import Wire

_KEY = re.compile(r"drops/([^/#]+)/(attested|bulk-consents)/.+\.(jsonl|csv)(\.gz)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Drop:
    """One version of an object that is imported: a later version is another import."""

    bucket: str
    key: str
    version: str
    org_id: str
    wire: Wire
    is_csv: bool
    is_gzip: bool

    @property
    def import_id(self) -> str:
        """The name of the import: 32 hex digits that stand for bucket, key and version."""
        return sha256("\n".join((self.bucket, self.key, self.version)).encode()).hexdigest()[:32]

    def part_key(self, part: int) -> str:
        """Return the key of a part's rows, where they are not a range of the object itself."""
        return f"work/{self.import_id}/rows/{part:08}"

    def rejected_key(self, part: int) -> str:
        """Return the key of a part's refused rows."""
        return f"work/{self.import_id}/rejected/{part:08}.jsonl"

    def report_key(self, name: str) -> str:
        """Return the key of a report."""
        return f"reports/{self.org_id}/{self.import_id}/{name}"


def drop_of(bucket: str, key: str, version: str) -> Drop | None:
    """Return the drop that an object is, or None if its key is not one of a drop."""
    named = _KEY.fullmatch(key)
    if named is None:
        return None
    org_id, wire, form, gzip = named.groups()
    return Drop(bucket, key, version, org_id, Wire(wire), form == "csv", gzip is not None)
