"""A dropped file: what its key says of it, where its import keeps things, and how far that is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from consents.domain.record import Wire

COMPLETED, FAILED = "completed", "failed"

_KEY = re.compile(
    r"drops/([^/#]+)/(attested|bulk-consents)/.+\.(?ai:(jsonl|csv)(\.gz)?)", re.DOTALL
)
_UPLOAD_KEY = re.compile(r"drops/[^/]+/[^/]+/uploads/[0-9A-HJKMNP-TV-Z]{26}\.[a-z.]+")


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
        """The name of the import: 32 hex digits that stand for bucket, key and version.

        The key of an upload that was announced is used once: it alone names the import, which is
        told before there is a version.
        """
        version = "" if _UPLOAD_KEY.fullmatch(self.key) else self.version
        return sha256("\n".join((self.bucket, self.key, version)).encode()).hexdigest()[:32]

    def part_key(self, part: int) -> str:
        """Return the key of a part's rows, where they are not a range of the object itself."""
        return f"work/{self.import_id}/rows/{part:08}"

    def rejected_key(self, part: int) -> str:
        """Return the key of a part's refused rows."""
        return f"work/{self.import_id}/rejected/{part:08}.jsonl"

    def piece_key(self, number: int) -> str:
        """Return the key of the refused rows of many parts."""
        return f"work/{self.import_id}/report/{number:08}.jsonl"

    def report_key(self, name: str) -> str:
        """Return the key of a report."""
        return f"reports/{self.org_id}/{self.import_id}/{name}"


def drop_of(bucket: str, key: str, version: str) -> Drop | None:
    """Return the drop that an object is, or None if its key is not one of a drop."""
    named = _KEY.fullmatch(key)
    if named is None:
        return None
    org_id, wire, form, gzip = named.groups()
    return Drop(bucket, key, version, org_id, Wire(wire), form.lower() == "csv", gzip is not None)


def upload_key(org_id: str, wire: Wire, file_format: str, name: str) -> str:
    """Return the key of an announced upload, whose name is a ULID."""
    return f"drops/{org_id}/{wire}/uploads/{name}.{file_format}"


@dataclass(frozen=True, slots=True)
class Announced:
    """A file that is to be uploaded until it expires: a drop that has no version yet."""

    drop: Drop
    announced_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part begins: its number, an offset in the decompressed file, and a row number."""

    part: int = 1
    offset: int = 0
    row: int = 1


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of rows: `rows` is the sum of the other three."""

    accepted: int = 0
    duplicates: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """All rows that were read."""
        return self.accepted + self.duplicates + sum(self.rejected.values())


@dataclass(frozen=True, slots=True)
class Import:
    """How far an import is. `parts` is known once the whole file is cut.

    `outcome` is None until the import is `completed` or `failed`; then neither it nor the counts
    ever change. The import is at its end when its reports are written, of which some pieces may be
    joined before.
    """

    drop: Drop
    started_at: datetime
    header: tuple[str | None, ...] | None = None
    place: Place = Place()
    parts: int | None = None
    parts_done: int = 0
    counts: Counts = Counts()
    outcome: str | None = None
    reason: str | None = None
    finished_at: datetime | None = None
    pieces_joined: int = 0
    is_reported: bool = False
