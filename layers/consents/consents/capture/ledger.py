"""The append-only ledger: one table, written only with PartiQL inserts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import batched

from aws_lambda_powertools import Logger
from cachetools import LRUCache

from consents.aws.dynamodb import (
    STATEMENTS_PER_CALL,
    Item,
    Table,
    Values,
    attempts,
)
from consents.aws.errors import TRANSIENT_CODES, CallError
from consents.capture.ledger_items import (
    Key,
    contact_key,
    hash_in_key,
    page_item,
    page_key,
    record_item,
    record_key,
    salts,
    stored_record,
    text_item,
    text_key,
)
from consents.domain import record as domain
from consents.domain.outcome import InsertResult
from consents.domain.record import EVERY_SENDER, ConsentRecord, Receipt, StoredRecord

type Codes = dict[Key, str]
"""The error code that DynamoDB returned per key; `_INSERTED` where it returned none."""

_CACHED_TEXTS = 4096
_INSERTED, _DUPLICATE, _UNTRIED = "", "DuplicateItem", "-"
_STORED = (_INSERTED, _DUPLICATE)
_RESULTS = {_INSERTED: InsertResult.NEW, _DUPLICATE: InsertResult.DUPLICATE}

log = Logger(child=True)


class Ledger:
    """Appends consent records, and reads them back."""

    def __init__(self, table: Table, *, max_call_seconds: float = 0) -> None:
        """`max_call_seconds` bounds a call with the wait before it: none begins with less left."""
        self._table = table
        self._max_call_seconds = max_call_seconds
        self._known_texts: LRUCache[Key, None] = LRUCache(_CACHED_TEXTS)

    def append(
        self,
        org_id: str,
        records: Sequence[ConsentRecord],
        receipt: Receipt,
        time_left: Callable[[], float],
    ) -> list[bool]:
        """Insert records and return, per record, whether the ledger now holds it.

        An agreement text goes before the records that name it: no record is without its text.
        """
        receipts = [receipt] * len(records)
        keys, codes = self._insert_records(org_id, records, receipts, time_left)
        return [codes.get(key) in _STORED for key in keys]

    def insert(
        self,
        org_id: str,
        records: Sequence[ConsentRecord],
        receipt: Receipt,
        time_left: Callable[[], float],
    ) -> list[InsertResult]:
        """Insert records and return, per record, whether it is new.

        A `DUPLICATE` may be this call's own, if the response to its first try was lost.
        """
        keys, codes = self._insert_records(org_id, records, [receipt] * len(records), time_left)
        return [_RESULTS.get(codes.get(key, _UNTRIED), InsertResult.LOST) for key in keys]

    def append_rows(
        self,
        org_id: str,
        records: Sequence[ConsentRecord],
        receipts: Sequence[Receipt],
        time_left: Callable[[], float],
    ) -> list[InsertResult]:
        """Insert records, each with its own receipt, and return the result of each.

        A record is `NEW` if the ledger holds it under its own receipt, also from an earlier run; of
        records with the same content only the first is.
        """
        keys, codes = self._insert_records(org_id, records, receipts, time_left)
        writers = dict(zip(reversed(keys), reversed(receipts), strict=True))  # the first of a key
        holders = {key: writers[key].request_id for key in keys if codes.get(key) == _INSERTED}
        holders |= self._holders([key for key, code in codes.items() if code == _DUPLICATE])
        return [
            InsertResult.of(holders.get(key), receipt.request_id)
            for key, receipt in zip(keys, receipts, strict=True)
        ]

    def history(self, org_id: str, contact: str, sender: str | None = None) -> list[StoredRecord]:
        """Return a contact's records, of one sender or of all, newest first."""
        items = self._query(org_id, contact, f"{sender}#" if sender else "")
        return domain.newest_first(map(stored_record, items))

    def current(self, org_id: str, sender: str, contact: str) -> StoredRecord | None:
        """Return the record that counts now, of the sender or of every sender, or None."""
        records = self.history(org_id, contact)
        return domain.current(one for one in records if one.sender in {sender, EVERY_SENDER})

    def agreement_text(self, org_id: str, text_hash: str) -> str:
        """Return an agreement text that a record of the organization names by its hash."""
        item = self._table.get(_plain(text_key(org_id, text_hash)))
        if item is None:
            raise LookupError("the ledger has no such agreement text")
        return str(item["text"])

    def agreement_texts(self, org_id: str, text_hashes: Iterable[str]) -> dict[str, str]:
        """Return agreement texts that records of the organization name, by their hashes."""
        keys = [_plain(text_key(org_id, one)) for one in sorted({*text_hashes})]
        found = self._table.batch_get(keys)
        return {hash_in_key((item["pk"], item["sk"])): item["text"] for item in found}

    def keep_page(
        self, org_id: str, page_hash: str, page: str, time_left: Callable[[], float]
    ) -> bool:
        """Store a page that people agree on, once, and return whether the ledger holds it."""
        key = page_key(org_id, page_hash)
        return self._keep(key, page_item(key, page), time_left)

    def keep_text(self, org_id: str, text: str, time_left: Callable[[], float]) -> bool:
        """Store a text that evidence names by its hash, and return whether the ledger holds it."""
        key = text_key(org_id, domain.text_hash(text))
        return self._keep(key, text_item(key, text), time_left)

    def page(self, org_id: str, page_hash: str) -> str:
        """Return a page that a record of the organization names by its hash."""
        item = self._table.get(_plain(page_key(org_id, page_hash)))
        if item is None:
            raise LookupError("the ledger has no such page")
        return str(item["page"])

    def _keep(self, key: Key, item: Item, time_left: Callable[[], float]) -> bool:
        """Insert an item once a process, and return whether the ledger holds it."""
        if key not in self._known_texts:
            codes = self._insert({key: item}, time_left)
            if codes.get(key) not in _STORED:
                return False
            self._known_texts[key] = None
        return True

    def _query(self, org_id: str, contact: str, prefix: str) -> Iterator[Values]:
        pk = contact_key(org_id, contact)
        if not prefix:
            return self._table.query("pk = :pk", pk=pk, newest_first=True)
        condition = "pk = :pk AND begins_with(sk, :prefix)"
        return self._table.query(condition, pk=pk, prefix=prefix, newest_first=True)

    def _insert_records(
        self,
        org_id: str,
        records: Sequence[ConsentRecord],
        receipts: Sequence[Receipt],
        time_left: Callable[[], float],
    ) -> tuple[list[Key], Codes]:
        """Return each record's key, and the code of each key that was tried."""
        not_stored = self._insert_texts(org_id, records, time_left)
        keys = [record_key(org_id, record) for record in records]
        items: dict[Key, Item] = {}
        each = zip(keys, records, receipts, salts(len(records)), strict=True)
        for key, record, receipt, salt in each:
            if key not in items and record.agreement_text not in not_stored:
                items[key] = record_item(key, record, receipt, salt)
        return keys, self._insert(items, time_left)

    def _holders(self, keys: Sequence[Key]) -> dict[Key, str]:
        """Return the request id under which the ledger holds each of these keys.

        Raises:
            Unavailable: the table keeps throttling some of them.
        """
        found = self._table.batch_get(map(_plain, keys), "pk", "sk", "request_id")
        return {(item["pk"], item["sk"]): item["request_id"] for item in found}

    def _insert_texts(
        self,
        org_id: str,
        records: Sequence[ConsentRecord],
        time_left: Callable[[], float],
    ) -> set[str | None]:
        """Store the texts that this process has not stored; return those that failed."""
        texts = {record.agreement_text for record in records if record.agreement_text is not None}
        keys = {text_key(org_id, domain.text_hash(text)): text for text in texts}
        new = {key: text for key, text in keys.items() if key not in self._known_texts}
        codes = self._insert({key: text_item(key, text) for key, text in new.items()}, time_left)
        stored = {key for key, code in codes.items() if code in _STORED}
        self._known_texts.update(dict.fromkeys(stored))
        return {text for key, text in new.items() if key not in stored}

    def _insert(self, items: Mapping[Key, Item], time_left: Callable[[], float]) -> Codes:
        """Insert items, several calls at a time, again while throttled and there is time.

        No call begins that might take longer than the caller waits: a table that does not answer
        costs records, never the response that names them.
        """
        codes: Codes = {}
        pending = dict(items)

        def has_time() -> bool:
            return time_left() >= self._max_call_seconds

        for _ in attempts(self._table.sleep, may_go_on=has_time):
            result = self._insert_once(pending, has_time)
            codes |= result
            pending = {key: pending[key] for key, code in result.items() if code in TRANSIENT_CODES}
            if not pending:
                break
        return codes

    def _insert_once(self, items: Mapping[Key, Item], has_time: Callable[[], bool]) -> Codes:
        """Make one call per batch and return the code of each item: of its error, or `_INSERTED`.

        A `DuplicateItem` is success: the item is there, from a repeat or from our own first try
        whose response was lost.
        """
        keys = list(batched(items, STATEMENTS_PER_CALL, strict=False))
        batches = list(batched(items.values(), STATEMENTS_PER_CALL, strict=False))
        codes: Codes = {}
        for each, result in zip(keys, self._table.insert_all(batches, has_time), strict=True):
            codes |= _codes(each, result)
        return codes


def _codes(keys: Sequence[Key], result: list[str] | CallError) -> Codes:
    if isinstance(result, CallError):
        log.warning("ledger.call_failed", code=result.code, records=len(keys))
        return dict.fromkeys(keys, "ServiceUnavailable" if result.is_transient else result.code)
    failed = [code for code in result if code not in _STORED]
    if failed:
        log.warning("ledger.records_failed", codes=sorted(set(failed)), records=len(failed))
    return dict(zip(keys, result, strict=True))


def _plain(key: Key) -> Values:
    return {"pk": key[0], "sk": key[1]}
