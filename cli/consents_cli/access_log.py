"""Who looked: an entry per contact that an operator looks at, inserted before it is shown.

Keys: `day`, and `entry`, which is the instant and a ULID. The indexes `ByPerson` and `ByContact`
have the same entries by `who` and by `contact`. A contact is a keyed hash of its number: one who
knows the number finds its entries, and nobody reads it from them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import batched, islice

from consents.aws.client import Boto3Client
from consents.aws.dynamodb import STATEMENTS_PER_CALL, Item, Table, Values, encode_item
from consents.aws.errors import CallError
from consents.domain.record import timestamp
from consents.domain.ulid import new_ulid

from consents_cli.errors import Failed
from consents_cli.stack import Stack

_STORED = {"", "DuplicateItem"}
"""A duplicate is this call's own entry: the response to its first try was lost."""

_FIRST, _LAST = "0", "~"
"""Before and after every instant."""


class Action(StrEnum):
    """What an operator did."""

    CONTACT_VIEWED = "contact.viewed"
    RECORD_VIEWED = "record.viewed"
    CONTACT_EXPORTED = "contact.exported"
    CONTACT_CHECKED = "contact.checked"
    PROOF_MADE = "proof.made"
    CONSENT_REVOKED = "consent.revoked"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what, when. `contact` is a keyed hash, or empty; `reason` may be empty."""

    at: str
    who: str
    action: str
    org_id: str
    contact: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """The entries to find: of a contact's hash or a person, else of a day; all that are named."""

    day: str = ""
    who: str = ""
    contact: str = ""


class AccessLog:
    """Inserts entries, and finds them. Nothing changes or removes one."""

    def __init__(
        self, table: Table, keyed_hash: Callable[[str], str], who: Callable[[], str]
    ) -> None:
        """`keyed_hash` returns the HMAC of a text in hex, `who` the ARN of the caller."""
        self._table = table
        self._hash = keyed_hash
        self._who = who

    def insert(
        self, action: Action, org_id: str, contacts: Sequence[str] = (), reason: str = ""
    ) -> None:
        """Insert an entry for each contact, or one about none of them.

        Raises:
            Failed: some entry is not stored. The caller must show nothing.
        """
        hashes = [self.hash(one) for one in contacts] or [""]
        now = datetime.now(UTC)
        items = [self._item(now, action, org_id, one, reason) for one in hashes]
        batches = [*batched(items, STATEMENTS_PER_CALL, strict=False)]
        for result in self._table.insert_all(batches, lambda: True):
            failed = result.code if isinstance(result, CallError) else _first_failure(result)
            if failed:
                raise Failed(f"nothing is shown: the access log took no entry ({failed})")

    def hash(self, contact: str) -> str:
        """Return the hash under which a contact is found."""
        return self._hash(f"access_log:{contact}")

    def find(self, search: Search, limit: int, newest: str = "") -> tuple[list[Entry], str | None]:
        """Return entries, newest first from a position on, and the position of the next page.

        Read from an index, unless by day: it shows a new entry a moment later.
        """
        found = [*islice(self._query(search, newest, limit + 1), limit + 1)]
        following = found[limit]["entry"] if len(found) > limit else None
        return [_entry(item) for item in found[:limit]], following

    def _query(self, search: Search, newest: str, page: int) -> Iterator[Values]:
        index, key = _index(search)
        filtered = "who = :who" if index == "ByContact" and search.who else ""
        values = {"first": search.day or _FIRST, "last": newest or f"{search.day}{_LAST}"} | key
        return self._table.query(
            f"#{min(key)} = :{min(key)} AND entry BETWEEN :first AND :last",
            filtered=filtered,
            index=index,
            newest_first=True,
            page=page,
            **values | ({"who": search.who} if filtered else {}),
        )

    def _item(self, now: datetime, action: Action, org_id: str, contact: str, reason: str) -> Item:
        at = timestamp(now)
        item = {
            "day": at[:10],
            "entry": f"{at} {new_ulid(now)}",
            "who": self._who(),
            "action": action,
            "org_id": org_id,
            "contact": contact or None,  # an index takes no empty key
            "reason": reason or None,
        }
        return encode_item(item)


def open_access_log(stack: Stack) -> AccessLog:
    """Return the access log of a stack.

    Raises:
        Failed: the stack is of a release without one.
    """
    table = Table(Boto3Client(lambda: stack.dynamodb), stack.output("AccessLogTable"))
    return AccessLog(table, stack.directory.hash, stack.caller)


def _index(search: Search) -> tuple[str | None, dict[str, str]]:
    """Return the index to query, None for the table, and the key in it."""
    if search.contact:
        return "ByContact", {"contact": search.contact}
    if search.who:
        return "ByPerson", {"who": search.who}
    return None, {"day": search.day}


def _first_failure(codes: Sequence[str]) -> str:
    return next((code for code in codes if code not in _STORED), "")


def _entry(item: Values) -> Entry:
    return Entry(
        item["entry"].partition(" ")[0],
        item["who"],
        item["action"],
        item["org_id"],
        item.get("contact", ""),
        item.get("reason", ""),
    )
