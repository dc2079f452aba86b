"""The state of an import: announced, queued, running, ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from consents.imports.drop import Drop

COMPLETED, FAILED = "completed", "failed"


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """An announced file: a drop without a version yet. Its upload link expires.

    `key_id` is the credential that announced it; empty if an earlier release stored it.
    """

    drop: Drop
    announced_at: datetime
    expires_at: datetime
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part begins: its number, an offset in the decompressed file, and a row number."""

    part: int = 1
    offset: int = 0
    row: int = 1


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by result: `rows` is the sum of the other three."""

    accepted: int = 0
    duplicates: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """All rows that were read."""
        return self.accepted + self.duplicates + sum(self.rejected.values())


@dataclass(frozen=True, slots=True)
class Import:
    """The progress of an import. Its rows count as received at `started_at`.

    `place` is where the next part begins: all before it are cut. `parts` is their number once the
    whole file is cut; `released` of them were handed to the workers. `outcome` is None until the
    import is `completed` or `failed`; then neither it nor the counts change. It has ended for its
    readers once its reports are written, of which some chunks may be written before.
    """

    drop: Drop
    started_at: datetime
    key_id: str = ""
    is_queued: bool = False
    paused_until: datetime | None = None
    header: tuple[str | None, ...] | None = None
    place: Place = Place()
    parts: int | None = None
    released: int = 0
    parts_done: int = 0
    counts: Counts = Counts()
    outcome: str | None = None
    reason: str | None = None
    finished_at: datetime | None = None
    chunks_joined: int = 0
    is_reported: bool = False

    @property
    def parts_cut(self) -> int:
        """The number of parts that are cut so far."""
        return self.place.part - 1

    @property
    def is_released(self) -> bool:
        """Whether the whole file is cut and all its parts were handed to the workers."""
        return self.parts is not None and self.released >= self.parts


def overdue(found: Iterable[PendingUpload | Import], now: datetime) -> list[PendingUpload]:
    """Return the pending uploads whose link has expired: uploaded in time, or not at all."""
    return [one for one in found if isinstance(one, PendingUpload) and now >= one.expires_at]
