"""How far imports are: one item an import, and one for each part that is done.

Keys: `import_id` and `item`, which is `IMPORT` or `PART#{number}`. The index `ByOrganization` has
the imports of an organization by the instant at which each was announced or dropped.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from consents.aws.dynamodb import RANDOM, error_code, expression_values
from consents.domain.drop import Announced, Counts, Drop, Import, Place, drop_of
from consents.domain.errors import Unavailable
from consents.domain.record import timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "ByOrganization"

KEPT_UNUSED = timedelta(days=1)
"""How long an announced file is known after the last instant at which it could be uploaded."""

_REJECTED = "rejected_"
_PART = "PART#"
_PLACE = ("place_part", "place_offset", "place_row")
_TRIES = 10
_NOT_TO_WRITE = {"ConditionalCheckFailed", "ConditionalCheckFailedException"}
# DynamoDB refuses a write, in a transaction or not, of an item that another transaction is at.
_IN_THE_WAY = {"TransactionConflict", "TransactionConflictException", "ThrottlingError"}


class Progress:
    """Keeps how far imports are."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def announce(self, announced: Announced) -> None:
        """Keep an import whose file is to come; it is forgotten again if none does."""
        drop = announced.drop
        self._update(
            drop.import_id,
            "SET #org_id = :org_id, #bucket = :bucket, #key = :key, #listed_as = :listed_as, "
            "#announced_at = :now, #expires_at = :expires_at, #expiration = :expiration",
            "attribute_not_exists(#announced_at)",  # it is there: the first try's answer was lost
            org_id=drop.org_id,
            bucket=drop.bucket,
            key=drop.key,
            listed_as=_listed_as(drop, announced.announced_at),
            now=timestamp(announced.announced_at),
            expires_at=timestamp(announced.expires_at),
            expiration=int((announced.expires_at + KEPT_UNUSED).timestamp()),
        )

    def begin(self, drop: Drop, now: datetime) -> Import:
        """Return the import of a drop, which begins now if it has not yet."""
        self._update(
            drop.import_id,
            "SET #org_id = :org_id, #bucket = :bucket, #key = :key, #version = :version, "
            "#listed_as = if_not_exists(#listed_as, :listed_as), "
            "#started_at = :now, #parts_done = :zero, #accepted = :zero, #duplicates = :zero "
            "REMOVE #expiration",
            "attribute_not_exists(#started_at)",  # a second delivery finds the first one's import
            org_id=drop.org_id,
            bucket=drop.bucket,
            key=drop.key,
            version=drop.version,
            listed_as=_listed_as(drop, now),
            now=timestamp(now),
            zero=0,
        )
        return self.get(drop.import_id)

    def get(self, import_id: str) -> Import:
        """Return an import that has begun, as it is."""
        found = self.find(import_id)
        if not isinstance(found, Import):
            raise LookupError("there is no such import")
        return found

    def find(self, import_id: str) -> Announced | Import | None:
        """Return an import as it is, or None if nobody announced or began it."""
        key = _key(import_id, "IMPORT")
        answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return _found(answer["Item"]) if "Item" in answer else None

    def of_organization(
        self, org_id: str, limit: int, after: str | None = None
    ) -> tuple[list[Announced | Import], str | None]:
        """Return some imports of an organization, newest first, and where a next call goes on.

        Read from an index, which knows of a change a moment later.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=INDEX,
            KeyConditionExpression="org_id = :org_id"
            + (" AND listed_as < :after" if after else ""),
            ExpressionAttributeValues=expression_values(
                {"org_id": org_id} | ({"after": after} if after else {})
            ),
            PaginationConfig={"PageSize": limit + 1},
            ScanIndexForward=False,
        )
        found = list(islice((item for page in pages for item in page["Items"]), limit + 1))
        following = found[limit - 1]["listed_as"]["S"] if len(found) > limit else None
        return [_found(item) for item in found[:limit]], following

    def is_done(self, import_id: str, part: int) -> bool:
        """Tell whether a part's counts are added."""
        key = _key(import_id, _part(part))
        return "Item" in self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)

    def checkpoint(self, progress: Import) -> None:
        """Keep the place up to which the file is cut, unless it is cut further already."""
        self._update(
            progress.drop.import_id,
            "SET #place_part = :part, #place_offset = :offset, #place_row = :row, "
            "#csv_header = :header",
            "attribute_not_exists(#place_offset) OR #place_offset < :offset",
            part=progress.place.part,
            offset=progress.place.offset,
            row=progress.place.row,
            header=json.dumps(progress.header),
        )

    def cut(self, import_id: str, parts: int) -> None:
        """Keep how many parts there are."""
        self._update(import_id, "SET #parts = :parts", "attribute_not_exists(#parts)", parts=parts)

    def add(self, import_id: str, part: int, counts: Counts) -> bool:
        """Mark a part as done and add its counts, both or neither, and tell whether that was done.

        It is done once, and not after the outcome is set.
        """
        refused = sum(counts.rejected.values())
        sums = {
            "parts_done": 1,
            "accepted": counts.accepted,
            "duplicates": counts.duplicates,
            **{f"{_REJECTED}{code}": count for code, count in counts.rejected.items()},
        }
        marked = {
            "TableName": self._table,
            "Item": _key(import_id, _part(part)) | {"refused": {"N": str(refused)}},
            # Of two that import the part at once, or one after the other, the first counts it.
            "ConditionExpression": "attribute_not_exists(import_id)",
        }
        summed = {
            "TableName": self._table,
            "Key": _key(import_id, "IMPORT"),
            "UpdateExpression": "ADD " + ", ".join(f"{name} :{name}" for name in sums),
            "ExpressionAttributeValues": expression_values(sums),
            # What is reported of an import that failed is what was counted by then.
            "ConditionExpression": "attribute_not_exists(outcome)",
        }
        items: Any = [{"Put": marked}, {"Update": summed}]
        return self._write(lambda: self._client.transact_write_items(TransactItems=items))

    def refused_parts(self, import_id: str) -> Iterator[int]:
        """Return which of the parts that are done had rows refused, in order."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#import_id = :import_id AND begins_with(#item, :part)",
            FilterExpression="#refused > :zero",
            ExpressionAttributeNames={
                f"#{name}": name for name in ("import_id", "item", "refused")
            },
            ExpressionAttributeValues=expression_values(
                {"import_id": import_id, "part": _PART, "zero": 0}
            ),
            ConsistentRead=True,
        )
        found = (item["item"]["S"] for page in pages for item in page["Items"])
        return (int(name.removeprefix(_PART)) for name in found)

    def end(self, import_id: str, outcome: str, reason: str | None, now: datetime) -> Import:
        """Set the outcome, unless there is one, and return the import: its counts are final."""
        told = {"outcome": outcome, "finished_at": timestamp(now)}
        told |= {"reason": reason} if reason else {}
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in told)
        # Without the first, a message that names no import of ours would make half of one.
        begun_only = "attribute_exists(#started_at) AND attribute_not_exists(#outcome)"
        self._update(import_id, update, begun_only, **told)
        return self.get(import_id)

    def keep_joined(self, import_id: str, pieces: int) -> None:
        """Keep how many pieces of the report are joined, unless more are already."""
        fewer = "attribute_not_exists(#pieces_joined) OR #pieces_joined < :pieces"
        self._update(import_id, "SET #pieces_joined = :pieces", fewer, pieces=pieces)

    def keep_reported(self, import_id: str) -> None:
        """Keep that the reports are written."""
        self._update(import_id, "SET #is_reported = :yes", "attribute_exists(#outcome)", yes=1)

    def _update(self, import_id: str, update: str, condition: str, **values: str | int) -> None:
        """Update an import where a condition holds; where it does not, another was before us."""
        names = re.findall(r"#(\w+)", f"{update} {condition}")
        self._write(
            lambda: self._client.update_item(
                TableName=self._table,
                Key=_key(import_id, "IMPORT"),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in names},
                ExpressionAttributeValues=expression_values(values),
            )
        )

    def _write(self, write: Callable[[], object]) -> bool:
        """Make a conditional write, again while other parts of the file are being counted.

        Returns whether the condition held.
        """
        for attempt in range(_TRIES):
            try:
                write()
            except ClientError as error:
                codes = _codes(error)
                if codes & _NOT_TO_WRITE:
                    return False
                if not codes & _IN_THE_WAY:
                    raise
                self._sleep(0.02 * 2**attempt * RANDOM.uniform(0.5, 1.5))
            else:
                return True
        raise Unavailable


def _codes(error: ClientError) -> set[str]:
    """Return the code of an error, and those of a transaction's parts."""
    reasons: Any = error.response.get("CancellationReasons", [])
    return {error_code(error), *(reason.get("Code", "") for reason in reasons)}


def _key(import_id: str, item: str) -> dict[str, Any]:
    return {"import_id": {"S": import_id}, "item": {"S": item}}


def _listed_as(drop: Drop, at: datetime) -> str:
    """Return the place of an import among its organization's: its instant, and a tie-breaker."""
    return f"{timestamp(at)} {drop.import_id}"


def _part(number: int) -> str:
    return f"{_PART}{number:08}"


def _found(item: Mapping[str, Any]) -> Announced | Import:
    if "started_at" in item:
        return _import(item)
    announced_at, expires_at = (item[name]["S"] for name in ("announced_at", "expires_at"))
    drop = _drop(item["bucket"]["S"], item["key"]["S"], "")
    return Announced(drop, datetime.fromisoformat(announced_at), datetime.fromisoformat(expires_at))


def _drop(bucket: str, key: str, version: str) -> Drop:
    drop = drop_of(bucket, key, version)
    if drop is None:
        raise ValueError("the table holds an import of what is no drop")
    return drop


def _import(item: Mapping[str, Any]) -> Import:
    texts = {name: value["S"] for name, value in item.items() if "S" in value}
    numbers = {name: int(value["N"]) for name, value in item.items() if "N" in value}
    header = json.loads(texts.get("csv_header", "null"))
    place = [numbers[name] for name in _PLACE if name in numbers]
    finished_at = texts.get("finished_at")
    return Import(
        drop=_drop(texts["bucket"], texts["key"], texts["version"]),
        started_at=datetime.fromisoformat(texts["started_at"]),
        header=None if header is None else tuple(header),
        place=Place(*place),
        parts=numbers.get("parts"),
        parts_done=numbers["parts_done"],
        counts=Counts(numbers["accepted"], numbers["duplicates"], _rejected(numbers)),
        outcome=texts.get("outcome"),
        reason=texts.get("reason"),
        finished_at=datetime.fromisoformat(finished_at) if finished_at else None,
        pieces_joined=numbers.get("pieces_joined", 0),
        is_reported="is_reported" in numbers,
    )


def _rejected(numbers: Mapping[str, int]) -> dict[str, int]:
    return {
        name.removeprefix(_REJECTED): count
        for name, count in numbers.items()
        if name.startswith(_REJECTED)
    }
