"""What planner, worker and reporter need of S3, DynamoDB and SQS."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from consents.domain.organization import Credential, Organization
from consents.imports.drop import Drop
from consents.imports.import_state import Counts, Import
from consents.imports.parts import Part


class Files(Protocol):
    """The objects of an import."""

    def stream(self, drop: Drop, offset: int) -> Iterator[bytes]:
        """Read the decompressed file from an offset, in pieces; may raise `UnreadableFile`."""

    def read_part(self, drop: Drop, part: Part) -> bytes:
        """Read the rows of a part; `UnreadableFile` if the object is gone."""

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""

    def join(self, keys: Iterable[str], key: str, *, small: bool) -> None:
        """Write one object that joins several; small ones are read into memory one by one."""


class Imports(Protocol):
    """The progress of imports."""

    def begin(self, drop: Drop, now: datetime) -> Import:
        """Return the import of a drop, which begins now if it has not yet."""

    def get(self, import_id: str) -> Import:
        """Return an import that has begun; LookupError for an unknown one."""

    def start(self, import_id: str) -> None:
        """Set that an import is no longer queued."""

    def checkpoint(self, progress: Import, parts: Sequence[Part]) -> None:
        """Store cut parts and the place after them, unless the file is cut further already."""

    def cut_parts(self, import_id: str, first: int, last: int) -> list[Part]:
        """Return cut parts by number, both ends included."""

    def finish_cutting(self, import_id: str, parts: int) -> None:
        """Set the number of parts."""

    def release(self, import_id: str, released: int) -> None:
        """Set how many parts were handed to the workers, unless more were already."""

    def pause(self, import_id: str, until: datetime) -> None:
        """Set until when the daily bound stops an import."""

    def is_done(self, import_id: str, part: int) -> bool:
        """Return whether a part's counts are added."""

    def add(self, import_id: str, part: int, counts: Counts) -> bool:
        """Mark a part as done and add its counts, both or neither; return whether it was done.

        It is done once, and not after the outcome is set.
        """

    def rejected_parts(self, import_id: str) -> Iterable[int]:
        """Return which of the done parts had rejected rows, in order."""

    def end(self, import_id: str, outcome: str, reason: str | None, now: datetime) -> Import:
        """Set the outcome, unless there is one, and return the import: its counts are final."""

    def keep_joined(self, import_id: str, chunks: int) -> None:
        """Set how many chunks of the report are joined, unless more are already."""

    def keep_reported(self, import_id: str) -> None:
        """Set that the reports are written."""


class Limits(Protocol):
    """The limits of each organization's imports."""

    def close_upload(self, org_id: str, import_id: str) -> None:
        """Count an announced upload as open no longer."""

    def start(self, org_id: str, import_id: str, begun_at: datetime) -> int:
        """Return how many imports run, this one included, or 0 if this one has to wait."""

    def end(self, org_id: str, import_id: str, begun_at: datetime) -> list[str]:
        """Free the place of an import, and return the waiting imports that may start."""

    def take_parts(self, org_id: str, parts: int, per_day: int, now: datetime) -> int:
        """Take parts of the daily bound, and return how many there were."""


class Directory(Protocol):
    """Organizations and credentials as they are now."""

    def organization(self, org_id: str) -> Organization | None:
        """Return an organization, or None."""

    def credential(self, org_id: str, key_id: str) -> Credential | None:
        """Return a credential, or None."""


class Queues(Protocol):
    """The messages that imports send."""

    def send_parts(self, drop: Drop, parts: Sequence[Part]) -> None:
        """Hand parts to the workers; a part that is sent twice is imported once."""

    def plan(self, org_id: str, import_id: str, *, delay: int = 0) -> None:
        """Let a planner look at an import, after `delay` seconds."""
