"""Reads of the ledger for decisions: all that it holds of a contact, strongly consistent."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from consents.aws.dynamodb import Item, Table, attempts, decode_item
from consents.aws.errors import CallError
from consents.capture.ledger_items import contact_key, record_id, sender_in, stored_record
from consents.domain.errors import Unavailable
from consents.domain.record import Status, StoredRecord

_BRIEF = ("sk", "status", "effective_at", "received_at")
_TRIES = 4
"""Each is one of the lean client and one of boto3, which has its own retries."""


class BriefRecord(NamedTuple):
    """What a decision needs to know of a record."""

    sender: str
    status: Status
    effective_at: str
    received_at: str
    record_id: str


class ContactReader:
    """Reads whole partitions: a decision is never made upon a part of one."""

    def __init__(self, table: Table, *, max_call_seconds: float = 0) -> None:
        """`max_call_seconds` bounds a call with the wait before it: none begins with less left."""
        self._table = table
        self._max_call_seconds = max_call_seconds

    def statements(
        self, org_id: str, contacts: Iterable[str], time_left: Callable[[], float]
    ) -> dict[str, list[BriefRecord]]:
        """Return what each contact has stated; one that could not be read in time is absent.

        Raises:
            Unavailable: there are contacts, and none could be read.
        """
        found = self._read(org_id, contacts, time_left, _BRIEF)
        return {contact: list(map(_brief, items)) for contact, items in found.items()}

    def records(
        self, org_id: str, contact: str, time_left: Callable[[], float]
    ) -> list[StoredRecord]:
        """Return all records of a contact, in any order.

        Raises:
            Unavailable: they could not be read in time.
        """
        items = self.items(org_id, contact, time_left)
        return [stored_record(decode_item(item)) for item in items]

    def items(self, org_id: str, contact: str, time_left: Callable[[], float]) -> list[Item]:
        """Return all items of a contact as they are stored, in any order.

        Raises:
            Unavailable: they could not be read in time.
        """
        (items,) = self._read(org_id, [contact], time_left).values()
        return items

    def _read(
        self,
        org_id: str,
        contacts: Iterable[str],
        time_left: Callable[[], float],
        names: Sequence[str] = (),
    ) -> dict[str, list[Item]]:
        """Return the items of each contact that was read to the last page."""
        keys = {contact_key(org_id, contact): contact for contact in contacts}
        items: dict[str, list[Item]] = {key: [] for key in keys}
        pending: Mapping[str, Item | None] = dict.fromkeys(keys)

        def has_time() -> bool:
            return time_left() >= self._max_call_seconds

        for _ in attempts(self._table.sleep, _TRIES, may_go_on=has_time):
            pending = self._read_pages(pending, items, has_time, names)
            if not pending:
                break
        if pending and len(pending) == len(keys):
            raise Unavailable
        return {keys[key]: found for key, found in items.items() if key not in pending}

    def _read_pages(
        self,
        pending: Mapping[str, Item | None],
        items: dict[str, list[Item]],
        has_time: Callable[[], bool],
        names: Sequence[str],
    ) -> dict[str, Item | None]:
        """Add pages to `items`, and return where to go on in those not read to the last page."""
        failed: dict[str, Item | None] = {}
        while pending and has_time():
            following: dict[str, Item | None] = {}
            pages = self._table.query_each(pending, has_time, names)
            for (key, start), page in zip(pending.items(), pages, strict=True):
                if isinstance(page, CallError):
                    failed[key] = start
                    continue
                items[key] += page.items
                if page.following:
                    following[key] = page.following
            pending = following
        return failed | dict(pending)


def _brief(item: Item) -> BriefRecord:
    sk = item["sk"]["S"]
    return BriefRecord(
        sender_in(sk),
        Status(item["status"]["S"]),
        item["effective_at"]["S"],
        item["received_at"]["S"],
        record_id(sk),
    )
