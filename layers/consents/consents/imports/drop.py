"""A dropped file: what its key says, and the keys of what its import writes."""

import re
from dataclasses import dataclass
from hashlib import sha256

from consents.domain.record import Wire

_KEY = re.compile(
    r"drops/([^/#]+)/(attested|bulk-consents)/.+\.(?ai:(jsonl|csv)(\.gz)?)", re.DOTALL
)
_UPLOAD_KEY = re.compile(r"drops/[^/]+/[^/]+/uploads/[0-9A-HJKMNP-TV-Z]{26}\.[a-z.]+")


@dataclass(frozen=True, slots=True)
class Drop:
    """One version of an object to import: a later version is another import."""

    bucket: str
    key: str
    version: str
    org_id: str
    wire: Wire
    is_csv: bool
    is_gzip: bool

    @property
    def import_id(self) -> str:
        """The id of the import: 32 hex digits of the SHA-256 of bucket, key and version.

        The key of an announced upload is used once, and its id is returned before there is a
        version: there the version does not count.
        """
        version = "" if _UPLOAD_KEY.fullmatch(self.key) else self.version
        return sha256("\n".join((self.bucket, self.key, version)).encode()).hexdigest()[:32]

    def part_key(self, part: int) -> str:
        """Return the key of a part's rows, where they are not a range of the object itself."""
        return f"work/{self.import_id}/rows/{part:08}"

    def rejected_key(self, part: int) -> str:
        """Return the key of a part's rejected rows."""
        return f"work/{self.import_id}/rejected/{part:08}.jsonl"

    def chunk_key(self, number: int) -> str:
        """Return the key of the rejected rows of many parts."""
        return f"work/{self.import_id}/report/{number:08}.jsonl"

    def report_key(self, name: str) -> str:
        """Return the key of a report."""
        return f"reports/{self.org_id}/{self.import_id}/{name}"


def parse_key(bucket: str, key: str, version: str) -> Drop | None:
    """Return the drop that an object is, or None if its key is not that of a drop."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    org_id, wire, form, gzip = match.groups()
    return Drop(bucket, key, version, org_id, Wire(wire), form.lower() == "csv", gzip is not None)


def upload_key(org_id: str, wire: Wire, file_format: str, name: str) -> str:
    """Return the key of an announced upload; `name` is a ULID."""
    return f"drops/{org_id}/{wire}/uploads/{name}.{file_format}"
