"""Plan an import: wait for its turn, cut the file into parts, release them to the workers.

Any step may run twice, half, late or concurrently. A part has a number and holds the same rows each
time. Parts are cut ahead and stored; at most `window` parts of an organization are released and not
done, so that no organization's file delays another's. A planner runs a short time, then sends the
import back to the queue.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from itertools import batched

from aws_lambda_powertools import Logger

from consents.aws.sqs import MAX_DELAY_SECONDS
from consents.domain.organization import Organization
from consents.imports import parts, rows
from consents.imports.drop import Drop
from consents.imports.import_state import Import, Place
from consents.imports.parts import Part
from consents.imports.reporter import Reporter
from consents.imports.row_formats import ROW_FORMATS
from consents.imports.rows import UnreadableFile
from consents.imports.stores import Directory, Files, Imports, Limits, Queues

PARTS_PER_CHECKPOINT = 10

SLICE = timedelta(seconds=20)
"""How long a planner cuts one file while others wait. A longer file needs several slices, and each
reads a gzip file from its beginning: a slice cuts at least as long as it took to reach its place.
"""

POLL_SECONDS = 1
"""Until the next look at an import whose parts are not all released."""

log = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans imports.

    `window` is how many parts of an organization are out at once, `checkpoint` how many parts are
    stored at a time.
    """

    files: Files
    imports: Imports
    limits: Limits
    directory: Directory
    queues: Queues
    reporter: Reporter
    window: int
    checkpoint: int = PARTS_PER_CHECKPOINT

    def plan(self, drop: Drop, clock: Callable[[], datetime], has_time: Callable[[], bool]) -> None:
        """Bring an import as far as one slice goes, and send what is left back to the queue.

        Args:
            clock: returns the current instant.
            has_time: returns whether the invocation has time for some more parts.
        """
        found = self.imports.begin(drop, clock())
        if found.key_id:
            self.limits.close_upload(drop.org_id, drop.import_id)
        if found.outcome is None and not found.is_released:
            running = self.limits.start(drop.org_id, drop.import_id, found.started_at)
            if not running:
                log.info("import.queued", import_id=drop.import_id)
                return  # the import that frees a place sends this one to the queue again
            try:
                self._advance(found, self.window // running or 1, clock, has_time)
            except UnreadableFile as unreadable:
                self.reporter.fail(drop.import_id, str(unreadable), clock())
                return
        self.reporter.finish(drop.import_id, clock())

    def _advance(
        self,
        found: Import,
        window: int,
        clock: Callable[[], datetime],
        has_time: Callable[[], bool],
    ) -> None:
        """Cut and release; send the import back to the queue unless all is released."""
        drop = found.drop
        organization = self._checked(found)
        if found.is_queued:
            self.imports.start(drop.import_id)

        def release() -> int:
            return self._release(drop, organization, window, clock())

        if found.parts is None:
            last = self._cut(found, release, clock, has_time)
            if last is not None:
                self.imports.finish_cutting(drop.import_id, last.part - 1)
                log.info("import.planned", import_id=drop.import_id, parts=last.part - 1)
        delay = release()
        if not self.imports.get(drop.import_id).is_released:
            self.queues.plan(drop.org_id, drop.import_id, delay=delay)

    def _checked(self, found: Import) -> Organization:
        """Return the organization of an import that may run, or raise `UnreadableFile`."""
        drop = found.drop
        organization = self.directory.organization(drop.org_id)
        if organization is None:
            raise UnreadableFile("there is no such organization")
        if not organization.has_capture:
            raise UnreadableFile("the plan does not include consent capture")
        if found.key_id and found.place == Place():
            credential = self.directory.credential(drop.org_id, found.key_id)
            if credential is None or not credential.is_live(found.started_at):
                raise UnreadableFile("the key that announced the upload is revoked or expired")
        return organization

    def _cut(
        self,
        found: Import,
        release: Callable[[], int],
        clock: Callable[[], datetime],
        has_time: Callable[[], bool],
    ) -> Place | None:
        """Cut the file from its place; return the place after the last part, or None if not yet."""
        drop, place, header = found.drop, found.place, found.header
        began = clock()
        found_rows = rows.split(self.files.stream(drop, place.offset), quoted=drop.is_csv)
        if drop.is_csv and header is None:
            first = next(found_rows, rows.Row(b"", 0))
            header = rows.header(first.content, ROW_FORMATS[drop.wire].columns)
            place = Place(offset=first.size, row=2)
            # Before any part is released: a worker may be faster than the next line.
            self.imports.checkpoint(replace(found, place=place, header=header), [])
        slice_ends = None
        for cut in batched(parts.cut(found_rows, place), self.checkpoint, strict=False):
            slice_ends = slice_ends or clock() + max(SLICE, clock() - began)
            if place == Place():  # never of a CSV, whose header was checked
                rows.check_encoding(part.content for part in cut if not part.too_long)
            place = parts.place_after(cut[-1])
            parts.check_length(place)
            self._store(replace(found, place=place, header=header), cut)
            release()
            if clock() > slice_ends or not has_time():
                return None
        return place

    def _store(self, progress: Import, cut: Sequence[Part]) -> None:
        """Store the parts that are not blank, and the place after all of them."""
        drop, stored = progress.drop, [part for part in cut if not part.is_blank]
        if drop.is_gzip:
            for part in stored:
                self.files.write(drop.part_key(part.place.part), part.content)
        self.imports.checkpoint(progress, stored)

    def _release(self, drop: Drop, organization: Organization, window: int, now: datetime) -> int:
        """Hand stored parts to the workers while the window has room.

        Returns:
            Seconds until there may be more to release.
        """
        found = self.imports.get(drop.import_id)
        room = window - (found.released - found.parts_done)
        wanted = min(found.parts_cut - found.released, room)
        if wanted <= 0 or found.outcome is not None:
            return POLL_SECONDS
        # The bound is taken before parts are sent: a crash between costs allowance, never exceeds.
        taken = self.limits.take_parts(drop.org_id, wanted, organization.parts_per_day, now)
        if taken:
            last = found.released + taken
            self.queues.send_parts(
                drop, self.imports.cut_parts(drop.import_id, found.released + 1, last)
            )
            # After they are sent: a crash between sends them twice, and they are imported once.
            self.imports.release(drop.import_id, last)
            return POLL_SECONDS
        tomorrow = datetime.combine(now + timedelta(days=1), time(), now.tzinfo)
        self.imports.pause(drop.import_id, tomorrow)
        log.info("import.paused", import_id=drop.import_id)
        return min(MAX_DELAY_SECONDS, int((tomorrow - now).total_seconds()) + 1)
