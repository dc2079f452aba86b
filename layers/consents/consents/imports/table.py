"""The imports table: one item per import, per checkpoint of cut parts, and per done part.

The index `ByOrganization` has the imports of an organization by the instant of their
announcement or drop.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

import orjson

from consents.aws.dynamodb import Table
from consents.domain.record import timestamp
from consents.imports.drop import Drop
from consents.imports.import_items import (
    PART,
    REJECTED,
    cut_item,
    describe_parts,
    import_key,
    import_of,
    listed_as,
    part_item,
    parts_of,
)
from consents.imports.import_state import Counts, Import, PendingUpload
from consents.imports.parts import Part

INDEX = "ByOrganization"

KEPT_UNUSED = timedelta(days=15)
"""How long an announcement is kept after its upload link expires: longer than a message of S3 waits
in its queue, since the announcement names the credential that the import depends on."""

MAX_PARTS_PER_ITEM = 100
"""More than a planner stores at a time."""


class ImportTable:
    """Stores the progress of imports."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def announce(self, pending: PendingUpload) -> None:
        """Store an announced upload, which expires if no file comes."""
        drop = pending.drop
        self._update(
            drop.import_id,
            "SET #org_id = :org_id, #bucket = :bucket, #key = :key, #listed_as = :listed_as, "
            "#key_id = :key_id, #announced_at = :now, #expires_at = :expires_at, "
            "#expiration = :expiration",
            "attribute_not_exists(#announced_at)",  # it is there: the first try's response was lost
            org_id=drop.org_id,
            bucket=drop.bucket,
            key=drop.key,
            key_id=pending.key_id,
            listed_as=listed_as(drop, pending.announced_at),
            now=timestamp(pending.announced_at),
            expires_at=timestamp(pending.expires_at),
            expiration=int((pending.expires_at + KEPT_UNUSED).timestamp()),
        )

    def begin(self, drop: Drop, now: datetime) -> Import:
        """Return the import of a drop, which begins now, queued, if it has not yet."""
        self._update(
            drop.import_id,
            "SET #org_id = :org_id, #bucket = :bucket, #key = :key, #version = :version, "
            "#listed_as = if_not_exists(#listed_as, :listed_as), #started_at = :now, "
            "#is_queued = :yes, #released = :zero, "
            "#parts_done = :zero, #accepted = :zero, #duplicates = :zero REMOVE #expiration",
            "attribute_not_exists(#started_at)",  # a second delivery finds the first one's import
            org_id=drop.org_id,
            bucket=drop.bucket,
            key=drop.key,
            version=drop.version,
            listed_as=listed_as(drop, now),
            now=timestamp(now),
            yes=1,
            zero=0,
        )
        return self.get(drop.import_id)

    def get(self, import_id: str) -> Import:
        """Return an import that has begun; LookupError for an unknown one."""
        found = self.find_any(import_id)
        if not isinstance(found, Import):
            raise LookupError("there is no such import")
        return found

    def find(self, org_id: str, import_id: str) -> PendingUpload | Import | None:
        """Return an import of an organization, or None if it has no such import."""
        found = self.find_any(import_id)
        return found if found and found.drop.org_id == org_id else None

    def find_any(self, import_id: str) -> PendingUpload | Import | None:
        """Return an import of any organization, for operators, or None."""
        item = self._table.get(import_key(import_id))
        return import_of(item) if item else None

    def of_organization(
        self, org_id: str, limit: int, after: str | None = None
    ) -> tuple[list[PendingUpload | Import], str | None]:
        """Return imports of an organization, newest first, and the position of the next page.

        Read from an index, which shows a change a moment later.
        """
        page = self._table.query(
            "org_id = :org_id" + (" AND listed_as < :after" if after else ""),
            index=INDEX,
            newest_first=True,
            page=limit + 1,
            **{"org_id": org_id} | ({"after": after} if after else {}),
        )
        items = list(islice(page, limit + 1))
        following = items[limit - 1]["listed_as"] if len(items) > limit else None
        return [import_of(item) for item in items[:limit]], following

    def start(self, import_id: str) -> None:
        """Set that an import is no longer queued."""
        self._update(import_id, "REMOVE #is_queued", "attribute_exists(#started_at)")

    def checkpoint(self, progress: Import, parts: Sequence[Part]) -> None:
        """Store cut parts and the place after them, unless the file is cut further already."""
        import_id = progress.drop.import_id
        if parts:
            self._table.update(
                import_key(import_id, cut_item(parts[0].place.part)),
                "SET cut = :cut",
                cut=describe_parts(parts),
            )
        self._update(
            import_id,
            "SET #place_part = :part, #place_offset = :offset, #place_row = :row, "
            "#csv_header = :header, "
            # Of an import that the release before began: it handed over what it had cut.
            "#released = if_not_exists(#released, :released)",
            "attribute_not_exists(#place_offset) OR #place_offset < :offset",
            part=progress.place.part,
            offset=progress.place.offset,
            row=progress.place.row,
            header=orjson.dumps(progress.header).decode(),
            released=progress.released,
        )

    def cut_parts(self, import_id: str, first: int, last: int) -> list[Part]:
        """Return cut parts by number, both ends included."""
        items = self._table.query(
            "import_id = :import_id AND #item BETWEEN :first AND :last",
            import_id=import_id,
            first=cut_item(max(1, first - MAX_PARTS_PER_ITEM)),
            last=cut_item(last),
        )
        parts = (part for item in items for part in parts_of(item["cut"]))
        return [part for part in parts if first <= part.place.part <= last]

    def finish_cutting(self, import_id: str, parts: int) -> None:
        """Set the number of parts."""
        self._update(import_id, "SET #parts = :parts", "attribute_not_exists(#parts)", parts=parts)

    def release(self, import_id: str, released: int) -> None:
        """Set how many parts were handed to the workers, unless more were already."""
        self._update(
            import_id,
            "SET #released = :released REMOVE #paused_until",
            "attribute_not_exists(#released) OR #released < :released",
            released=released,
        )

    def pause(self, import_id: str, until: datetime) -> None:
        """Set until when the daily bound stops an import."""
        self._update(
            import_id,
            "SET #paused_until = :until",
            "attribute_exists(#started_at)",
            until=timestamp(until),
        )

    def is_done(self, import_id: str, part: int) -> bool:
        """Return whether a part's counts are added."""
        return self._table.get(import_key(import_id, part_item(part))) is not None

    def add(self, import_id: str, part: int, counts: Counts) -> bool:
        """Mark a part as done and add its counts, both or neither; return whether it was done.

        It is done once, and not after the outcome is set.
        """
        rejected = sum(counts.rejected.values())
        sums = {
            "parts_done": 1,
            "accepted": counts.accepted,
            "duplicates": counts.duplicates,
            **{f"{REJECTED}{code}": count for code, count in counts.rejected.items()},
        }
        done = import_key(import_id, part_item(part)) | {"refused": rejected}
        failed = self._table.transact(
            # Of two that import the part, at once or one after the other, the first counts it.
            self._table.put_new(done, unless="import_id"),
            # The report of a failed import has what was counted by then.
            self._table.update_if(
                import_key(import_id),
                "ADD " + ", ".join(f"{name} :{name}" for name in sums),
                "attribute_not_exists(outcome)",
                **sums,
            ),
        )
        return failed is None

    def rejected_parts(self, import_id: str) -> Iterator[int]:
        """Return which of the done parts had rejected rows, in order."""
        found = self._table.query(
            "import_id = :import_id AND begins_with(#item, :part)",
            filtered="refused > :zero",
            import_id=import_id,
            part=PART,
            zero=0,
        )
        return (int(item["item"].removeprefix(PART)) for item in found)

    def end(self, import_id: str, outcome: str, reason: str | None, now: datetime) -> Import:
        """Set the outcome, unless there is one, and return the import: its counts are final."""
        values = {"outcome": outcome, "finished_at": timestamp(now)}
        values |= {"reason": reason} if reason else {}
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
        # Without the first, a message with an unknown import would create half of one.
        condition = "attribute_exists(#started_at) AND attribute_not_exists(#outcome)"
        self._update(import_id, expression, condition, **values)
        return self.get(import_id)

    def keep_joined(self, import_id: str, chunks: int) -> None:
        """Set how many chunks of the report are joined, unless more are already."""
        fewer = "attribute_not_exists(#pieces_joined) OR #pieces_joined < :chunks"
        self._update(import_id, "SET #pieces_joined = :chunks", fewer, chunks=chunks)

    def keep_reported(self, import_id: str) -> None:
        """Set that the reports are written."""
        self._update(import_id, "SET #is_reported = :yes", "attribute_exists(#outcome)", yes=1)

    def _update(self, import_id: str, expression: str, condition: str, **values: str | int) -> None:
        """Update an import where a condition holds; where it does not, another was first."""
        self._table.update(import_key(import_id), expression, condition, **values)
