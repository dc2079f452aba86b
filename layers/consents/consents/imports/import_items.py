"""Imports as items of their table.

Keys: `import_id` and `item`, which is `IMPORT`, `CUT#{first part}` or `PART#{number}`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from datetime import datetime

import orjson

from consents.aws.dynamodb import Values
from consents.domain.record import timestamp
from consents.imports.drop import Drop, parse_key
from consents.imports.import_state import Counts, Import, PendingUpload, Place
from consents.imports.parts import Part

REJECTED = "rejected_"
"""Prefix of the attributes that count rejected rows, by code."""

PART = "PART#"

_PLACE = ("place_part", "place_offset", "place_row")


def import_key(import_id: str, item: str = "IMPORT") -> Values:
    """Return the key of an item of an import."""
    return {"import_id": import_id, "item": item}


def listed_as(drop: Drop, at: datetime) -> str:
    """Return the position of an import in its organization's list: its instant and its id."""
    return f"{timestamp(at)} {drop.import_id}"


def part_item(number: int) -> str:
    """Return the sort key of a done part."""
    return f"{PART}{number:08}"


def cut_item(number: int) -> str:
    """Return the sort key of the cut parts that begin with this number."""
    return f"CUT#{number:08}"


def import_of(item: Values) -> PendingUpload | Import:
    """Return the import that an item holds."""
    if "started_at" in item:
        return _import(item)
    return PendingUpload(
        _drop(item["bucket"], item["key"], ""),
        datetime.fromisoformat(item["announced_at"]),
        datetime.fromisoformat(item["expires_at"]),
        item.get("key_id", ""),
    )


def _drop(bucket: str, key: str, version: str) -> Drop:
    drop = parse_key(bucket, key, version)
    if drop is None:
        raise ValueError("the table has an import whose key is not that of a drop")
    return drop


def _import(item: Values) -> Import:
    place = Place(*(item[name] for name in _PLACE if name in item))
    return Import(
        drop=_drop(item["bucket"], item["key"], item["version"]),
        started_at=datetime.fromisoformat(item["started_at"]),
        key_id=item.get("key_id", ""),
        is_queued="is_queued" in item,
        paused_until=_instant(item.get("paused_until")),
        header=_header(item),
        place=place,
        parts=item.get("parts"),
        # The release before handed each part to the workers when it was cut.
        released=item.get("released", place.part - 1),
        parts_done=item["parts_done"],
        counts=Counts(item["accepted"], item["duplicates"], _rejected(item)),
        outcome=item.get("outcome"),
        reason=item.get("reason"),
        finished_at=_instant(item.get("finished_at")),
        chunks_joined=item.get("pieces_joined", 0),
        is_reported="is_reported" in item,
    )


def _header(item: Values) -> tuple[str | None, ...] | None:
    header = orjson.loads(item.get("csv_header", "null"))
    return None if header is None else tuple(header)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _rejected(item: Values) -> dict[str, int]:
    return {
        name.removeprefix(REJECTED): count
        for name, count in item.items()
        if name.startswith(REJECTED)
    }


def describe_parts(parts: Sequence[Part]) -> str:
    """Return cut parts as the text of one attribute."""
    described = [(*astuple(part.place), part.end, part.rows, part.too_long) for part in parts]
    return orjson.dumps(described).decode()


def parts_of(described: str) -> Iterator[Part]:
    """Return the cut parts that an attribute describes."""
    for number, offset, row, end, rows, too_long in orjson.loads(described):
        yield Part(Place(number, offset, row), end, rows, too_long)
