"""Messages of imports: S3 events, imports to plan, parts to import. Each is parsed once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import unquote_plus

import orjson

from consents.aws.sqs import Queue
from consents.imports.drop import Drop, parse_key
from consents.imports.import_state import Place
from consents.imports.parts import Part


@dataclass(frozen=True, slots=True)
class S3Event:
    """Objects that were created: one message per object, and those that are drops."""

    messages: list[bytes]
    drops: list[Drop]


@dataclass(frozen=True, slots=True)
class PlanMessage:
    """An import to plan further."""

    import_id: str


@dataclass(frozen=True, slots=True)
class PartMessage:
    """A part to import."""

    import_id: str
    part: Part


type Message = S3Event | PlanMessage | PartMessage


def parse(body: bytes) -> Message:
    """Return a message; an unknown one, such as S3's test event, is an event of no objects."""
    content: Any = orjson.loads(body)
    match content:
        case {"import_id": str(import_id), "place": place, "end": end, "rows": rows, **rest}:
            return PartMessage(
                import_id, Part(Place(**place), end, rows, bool(rest.get("too_long")))
            )
        case {"import_id": str(import_id)}:
            return PlanMessage(import_id)
        case {"Records": [*records]}:
            drops = (_drop(record) for record in records)
            messages = [orjson.dumps({"Records": [record]}) for record in records]
            return S3Event(messages, [drop for drop in drops if drop is not None])
        case _:
            return S3Event([], [])


def _drop(record: dict[str, Any]) -> Drop | None:
    created = record["s3"]["object"]
    bucket, key = record["s3"]["bucket"]["name"], unquote_plus(created["key"])
    return parse_key(bucket, key, created.get("versionId", "null"))


class Queues:
    """Sends the messages of imports, grouped by organization (SQS fair queues)."""

    def __init__(self, plans: Queue, parts: Queue) -> None:
        self._plans = plans
        self._parts = parts

    def send_parts(self, drop: Drop, parts: Sequence[Part]) -> None:
        """Hand parts to the workers; a part that is sent twice is imported once."""
        self._parts.send([part_message(drop, part) for part in parts], group=drop.org_id)

    def plan(self, org_id: str, import_id: str, *, delay: int = 0) -> None:
        """Let a planner look at an import, after `delay` seconds."""
        self._plans.send([orjson.dumps({"import_id": import_id})], group=org_id, delay=delay)

    def plan_each(self, event: S3Event) -> None:
        """Let a planner look at each object of an event by itself."""
        self._plans.send(event.messages)


def part_message(drop: Drop, part: Part) -> bytes:
    """Return the message that hands a part to a worker; its content is in the file."""
    described = asdict(part) | {"import_id": drop.import_id}
    del described["content"]
    return orjson.dumps(described)
