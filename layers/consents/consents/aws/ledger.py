"""The append-only ledger: one table, written with PartiQL inserts alone.

Keys: `pk` is `{org_id}#{contact}`; `sk` is `{sender}#{date}#{status}#{digest}`, or
`{sender}#~#{digest}` where the record has no date. A key is made of nothing but the record's
content, so a repeat meets the item it repeats, and the first receipt stands. An agreement text is
an item of its own, under `{org_id}#text#{hash}`, written before the records that name it.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import batched, count
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from cachetools import LRUCache

from consents.aws.dynamodb import (
    CALLS_AT_A_TIME,
    TRANSIENT_CODES,
    Item,
    error_code,
    is_transient,
    read_all,
    send_as_given,
    wait,
)
from consents.domain import record as domain
from consents.domain.outcome import Arrival
from consents.domain.record import ConsentRecord, Receipt, Status, StoredRecord, Wire, timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Key = tuple[str, str]
type Codes = dict[Key, str]
"""What DynamoDB said of each key; `_INSERTED` where it had nothing to say."""

STATEMENTS_PER_CALL = 25
"""The most that one BatchExecuteStatement takes."""

UNDATED = "~"
"""Stands for the date in the key of a record without one; sorts after every digit."""

_KNOWN_TEXTS = 4096
_INSERTED, _DUPLICATE = "", "DuplicateItem"
_STORED = (_INSERTED, _DUPLICATE)

log = Logger(child=True)


class Ledger:
    """Appends consent records, and reads them back."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        longest_call: float = 0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`longest_call` is how many seconds a call may take until it gives up, wait included."""
        self._client = client
        self._table = table
        self._longest_call = longest_call
        self._sleep = sleep
        self._threads = ThreadPoolExecutor(CALLS_AT_A_TIME, thread_name_prefix="ledger")
        self._known_texts: LRUCache[Key, None] = LRUCache(_KNOWN_TEXTS)
        send_as_given(client)

    def append(
        self,
        organization_id: str,
        records: Sequence[ConsentRecord],
        receipt: Receipt,
        time_left: Callable[[], float],
    ) -> list[bool]:
        """Insert the records and tell of each whether it is in the ledger, now or from before.

        An agreement text goes before the records that name it: no record is ever without its text.
        """
        receipts = [receipt] * len(records)
        keys, codes = self._insert_records(organization_id, records, receipts, time_left)
        return [codes.get(key) in _STORED for key in keys]

    def append_rows(
        self,
        organization_id: str,
        records: Sequence[ConsentRecord],
        receipts: Sequence[Receipt],
        time_left: Callable[[], float],
    ) -> list[Arrival]:
        """Insert the records, each under a receipt of its own, and tell what became of each.

        A record is `NEW` if the ledger holds it under its own receipt, also from an earlier run; of
        records with the same content the first is.
        """
        keys, codes = self._insert_records(organization_id, records, receipts, time_left)
        writers = dict(zip(reversed(keys), reversed(receipts), strict=True))  # the first of a key
        holders = {key: writers[key].request_id for key in keys if codes.get(key) == _INSERTED}
        holders |= self._holders([key for key, code in codes.items() if code == _DUPLICATE])
        return [
            Arrival.of(holders.get(key), receipt.request_id)
            for key, receipt in zip(keys, receipts, strict=True)
        ]

    def _insert_records(
        self,
        organization_id: str,
        records: Sequence[ConsentRecord],
        receipts: Sequence[Receipt],
        time_left: Callable[[], float],
    ) -> tuple[list[Key], Codes]:
        """Return each record's key, and the code of each key that was written or tried."""
        textless = self._insert_texts(organization_id, records, time_left)
        keys = [record_key(organization_id, record) for record in records]
        items: dict[Key, Item] = {}
        for key, record, receipt in zip(keys, records, receipts, strict=True):
            if key not in items and record.agreement_text_hash not in textless:
                items[key] = _record_item(key, record, receipt)
        return keys, self._insert(items, time_left)

    def _holders(self, keys: Sequence[Key]) -> dict[Key, str]:
        """Return the request id of the receipt under which the ledger holds each of these keys.

        Raises:
            Unavailable: the table hands them back unread, again and again.
        """
        wanted = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys]
        found = read_all(
            self._client,
            self._table,
            wanted,
            self._sleep,
            ProjectionExpression="pk, sk, request_id",
        )
        return {(item["pk"]["S"], item["sk"]["S"]): item["request_id"]["S"] for item in found}

    def history(
        self, organization_id: str, contact: str, sender: str | None = None
    ) -> list[StoredRecord]:
        """Return a contact's records, of one sender or of all, newest first."""
        items = self._query(organization_id, contact, f"{sender}#" if sender else "")
        return domain.newest_first(_stored_record(item) for item in items)

    def current(self, organization_id: str, sender: str, contact: str) -> StoredRecord | None:
        """Return the record that counts now, or None.

        Reads newest first: the undated ones, then those whose date was ahead of their receipt, down
        to the first that counts from its own date. None below it can be later.
        """
        candidates = []
        for item in self._query(organization_id, contact, f"{sender}#"):
            candidates.append(_stored_record(item))
            if _date_in_key(item) == item["effective_at"]["S"]:
                break
        return domain.current(candidates)

    def agreement_text(self, organization_id: str, text_hash: str) -> str:
        """Return an agreement text that a record of the organization names by its hash."""
        pk, sk = text_key(organization_id, text_hash)
        answer = self._client.get_item(
            TableName=self._table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
        )
        return answer["Item"]["text"]["S"]

    def _query(self, organization_id: str, contact: str, prefix: str) -> Iterator[Item]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk" + (" AND begins_with(sk, :prefix)" if prefix else ""),
            ExpressionAttributeValues={":pk": {"S": contact_key(organization_id, contact)}}
            | ({":prefix": {"S": prefix}} if prefix else {}),
            ConsistentRead=True,
            ScanIndexForward=False,
        )
        return (item for page in pages for item in page["Items"])

    def _insert_texts(
        self,
        organization_id: str,
        records: Sequence[ConsentRecord],
        time_left: Callable[[], float],
    ) -> set[str | None]:
        """Store the texts that this process has not stored yet; return the hashes that are lost."""
        texts = {
            text_key(organization_id, record.agreement_text_hash): record.agreement_text
            for record in records
            if record.agreement_text is not None and record.agreement_text_hash is not None
        }
        new = {
            key: {"pk": {"S": key[0]}, "sk": {"S": key[1]}, "text": {"S": text}}
            for key, text in texts.items()
            if key not in self._known_texts
        }
        codes = self._insert(new, time_left)
        stored = {key for key, code in codes.items() if code in _STORED}
        self._known_texts.update(dict.fromkeys(stored))
        return {_hash_in_key(key) for key in new.keys() - stored}

    def _insert(self, items: Mapping[Key, Item], time_left: Callable[[], float]) -> Codes:
        """Insert items, several calls at a time, and return the code of each that was tried."""
        calls = [dict(call) for call in batched(items.items(), STATEMENTS_PER_CALL, strict=False)]
        if len(calls) <= 1:
            return self._insert_until(calls[0], time_left) if calls else {}
        codes: Codes = {}
        for told in self._threads.map(lambda call: self._insert_until(call, time_left), calls):
            codes |= told
        return codes

    def _insert_until(self, items: Mapping[Key, Item], time_left: Callable[[], float]) -> Codes:
        """Insert one call's items, again while throttled and there is time.

        No call begins that might outlast the caller: a table that does not answer costs records,
        never the answer that tells which.
        """
        codes: Codes = {}
        pending = dict(items)
        for attempt in count():
            if not pending or time_left() < self._longest_call:
                break
            if attempt:
                self._sleep(wait(attempt))
            told = self._insert_once(pending)
            codes |= told
            pending = {key: pending[key] for key, code in told.items() if code in TRANSIENT_CODES}
        return codes

    def _insert_once(self, items: Mapping[Key, Item]) -> Codes:
        """Make one call and return the code of each item: of its error, or `_INSERTED`.

        A `DuplicateItem` is success: the item is there, from a repeat or from our own first try
        whose answer was lost.
        """
        statements: list[Any] = [
            {
                "Statement": _insert_statement(self._table, tuple(item)),
                "Parameters": [*item.values()],
            }
            for item in items.values()
        ]
        try:
            answers = self._client.batch_execute_statement(Statements=statements)["Responses"]
        except (BotoCoreError, ClientError) as error:
            code = error_code(error)
            log.warning("ledger call failed", code=code, records=len(items))
            return dict.fromkeys(items, "ServiceUnavailable" if is_transient(error) else code)
        codes = {
            key: answer.get("Error", {}).get("Code", _INSERTED)
            for key, answer in zip(items, answers, strict=True)
        }
        failed = [code for code in codes.values() if code not in _STORED]
        if failed:
            log.warning("ledger records failed", codes=sorted(set(failed)), records=len(failed))
        return codes


def contact_key(organization_id: str, contact: str) -> str:
    """Return the partition key of all that one organization holds of one contact."""
    return f"{organization_id}#{contact}"


def record_key(organization_id: str, record: ConsentRecord) -> Key:
    """Return a record's key, which holds its content and nothing of its receipt."""
    when = f"{timestamp(record.dated_at)}#{record.status}" if record.dated_at else UNDATED
    return contact_key(organization_id, record.contact), f"{record.sender}#{when}#{record.digest()}"


def text_key(organization_id: str, text_hash: str) -> Key:
    """Return the key of an agreement text, in a partition of its own."""
    return f"{organization_id}#text#{text_hash}", "text"


def _hash_in_key(key: Key) -> str:
    return key[0].rpartition("#")[2]


def _date_in_key(item: Item) -> str:
    return str(item["sk"]["S"]).split("#")[1]


@cache
def _insert_statement(table: str, names: tuple[str, ...]) -> str:
    values = ", ".join(f"'{name}': ?" for name in names)
    return f'INSERT INTO "{table}" VALUE {{{values}}}'


def _record_item(key: Key, record: ConsentRecord, receipt: Receipt) -> Item:
    item: Item = {
        "pk": {"S": key[0]},
        "sk": {"S": key[1]},
        "wire": {"S": record.wire},
        "status": {"S": record.status},
        "effective_at": {"S": timestamp(domain.effective_at(record.dated_at, receipt.received_at))},
        "received_at": {"S": timestamp(receipt.received_at)},
        "request_id": {"S": receipt.request_id},
        "evidence": {"M": {name: {"S": value} for name, value in record.evidence.items()}},
    }
    if record.phone_number_id:
        item["phone_number_id"] = {"S": record.phone_number_id}
    if record.correlation_id:
        item["correlation_id"] = {"S": record.correlation_id}
    return item


def _stored_record(item: Item) -> StoredRecord:
    texts = {name: value["S"] for name, value in item.items() if "S" in value}
    return StoredRecord(
        wire=Wire(texts["wire"]),
        sender=texts["sk"].split("#")[0],
        contact=texts["pk"].split("#")[1],
        status=Status(texts["status"]),
        effective_at=texts["effective_at"],
        received_at=texts["received_at"],
        request_id=texts["request_id"],
        evidence={name: value["S"] for name, value in item["evidence"]["M"].items()},
        phone_number_id=texts.get("phone_number_id"),
        correlation_id=texts.get("correlation_id"),
    )
