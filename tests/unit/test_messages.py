"""Messages of imports: parsed once, and grouped by organization."""

import json
from typing import Any, cast

import orjson
import pytest
from consents.aws.sqs import MESSAGES_PER_CALL, Queue
from consents.imports.import_state import Place
from consents.imports.messages import (
    PartMessage,
    PlanMessage,
    Queues,
    S3Event,
    parse,
    part_message,
)
from consents.imports.parts import Part
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import BUCKET, ORG_ID, drop

NUMBERS = st.integers(0, 2**53)
PARTS = st.builds(
    Part,
    st.builds(Place, part=NUMBERS, offset=NUMBERS, row=NUMBERS),
    NUMBERS,
    NUMBERS,
    too_long=st.booleans(),
)


@given(PARTS)
def test_a_part_is_parsed_as_it_was_sent(part: Part) -> None:
    assert parse(part_message(drop(), part)) == PartMessage(drop().import_id, part)


def test_a_part_message_holds_no_content_of_the_file() -> None:
    message = part_message(drop(), Part(Place(), 9, 1, content=b"+41790000000"))

    assert b"+4179" not in message
    assert len(message) < 200


def test_a_part_message_of_an_earlier_release_is_parsed() -> None:
    body = b'{"import_id": "a", "place": {"part": 2, "offset": 3, "row": 4}, "end": 9, "rows": 5}'

    assert parse(body) == PartMessage("a", Part(Place(2, 3, 4), 9, 5))


def test_an_import_id_is_a_message_to_the_planner() -> None:
    assert parse(b'{"import_id": "a"}') == PlanMessage("a")


def record(key: str, **changed: Any) -> dict[str, Any]:
    created = {"key": key, "versionId": "1"} | changed
    return {"s3": {"bucket": {"name": BUCKET}, "object": created}}


def event(*records: dict[str, Any]) -> bytes:
    return json.dumps({"Records": records}).encode()


KEY = "drops/org_1/bulk-consents/may.jsonl"


def test_an_s3_event_has_a_message_and_a_drop_per_object() -> None:
    first, second = record(KEY), record("drops/org_1/attested/a+b%2B%C3%BC.csv")
    parsed = parse(event(first, second))

    assert isinstance(parsed, S3Event)
    assert [json.loads(message) for message in parsed.messages] == [
        {"Records": [first]},
        {"Records": [second]},
    ]
    assert parsed.drops == [drop(), drop("attested/a b+\u00fc.csv")]


def test_an_object_that_is_no_drop_is_left_out() -> None:
    parsed = parse(event(record("reports/org_1/x/summary.json"), record(KEY)))

    assert isinstance(parsed, S3Event)
    assert parsed.drops == [drop()]


def test_an_object_without_a_version_has_the_version_null() -> None:
    unversioned = record(KEY)
    del unversioned["s3"]["object"]["versionId"]
    parsed = parse(event(unversioned))

    assert isinstance(parsed, S3Event)
    assert parsed.drops == [drop(version="null")]


@pytest.mark.parametrize(
    "body",
    [
        b'{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}',
        b'{"Records": []}',
        b'{"import_id": 1}',
        b"{}",
        b"[]",
        b"null",
    ],
)
def test_an_unknown_message_is_an_event_without_objects(body: bytes) -> None:
    assert parse(body) == S3Event([], [])


@pytest.mark.parametrize("body", [b"", b"{", b"x"])
def test_a_message_that_is_not_json_is_an_error(body: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        parse(body)


# ---------------------------------------------------------------- Sending


class FakeSqs:
    """Keeps the entries that are sent, and rejects one in a call if asked to."""

    def __init__(self, *, rejects: bool = False) -> None:
        self.sent: list[tuple[str, list[dict[str, Any]]]] = []
        self._rejects = rejects

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803
        self.sent.append((QueueUrl, Entries))
        return {"Failed": [{"Id": "0"}]} if self._rejects else {}

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [entry for _, entries in self.sent for entry in entries]


def queues() -> tuple[Queues, FakeSqs]:
    sqs = FakeSqs()
    return Queues(Queue(cast(Any, sqs), "plans"), Queue(cast(Any, sqs), "parts")), sqs


def test_parts_are_sent_in_the_group_of_their_organization() -> None:
    sender, sqs = queues()
    sender.send_parts(drop(org_id="org_7"), [Part(Place(n), 9, 1) for n in range(1, 4)])

    assert [url for url, _ in sqs.sent] == ["parts"]
    assert {entry["MessageGroupId"] for entry in sqs.entries} == {"org_7"}
    assert [json.loads(entry["MessageBody"])["place"]["part"] for entry in sqs.entries] == [1, 2, 3]


def test_ten_messages_are_sent_at_a_time() -> None:
    sender, sqs = queues()
    sender.send_parts(drop(), [Part(Place(n), 9, 1) for n in range(23)])

    assert [len(entries) for _, entries in sqs.sent] == [MESSAGES_PER_CALL, MESSAGES_PER_CALL, 3]
    assert all(len({entry["Id"] for entry in entries}) == len(entries) for _, entries in sqs.sent)


def test_a_plan_message_has_a_delay_and_its_organization() -> None:
    sender, sqs = queues()
    sender.plan(ORG_ID, "a", delay=7)

    assert [url for url, _ in sqs.sent] == ["plans"]
    assert sqs.entries == [
        {
            "Id": "0",
            "MessageBody": '{"import_id":"a"}',
            "MessageGroupId": ORG_ID,
            "DelaySeconds": 7,
        }
    ]


def test_a_plan_message_without_a_delay_names_none() -> None:
    sender, sqs = queues()
    sender.plan(ORG_ID, "a")

    assert "DelaySeconds" not in sqs.entries[0]


def test_each_object_of_an_event_is_planned_by_itself() -> None:
    sender, sqs = queues()
    parsed = parse(event(record(KEY), record(KEY)))
    assert isinstance(parsed, S3Event)
    sender.plan_each(parsed)

    assert [url for url, _ in sqs.sent] == ["plans"]
    assert [parse(entry["MessageBody"].encode()) for entry in sqs.entries] == [
        S3Event([message], [drop()]) for message in parsed.messages
    ]


def test_a_message_that_sqs_rejects_is_an_error() -> None:
    queue = Queue(cast(Any, FakeSqs(rejects=True)), "plans")

    with pytest.raises(RuntimeError, match="SQS rejected messages"):
        queue.send([b"{}"])


def test_nothing_to_send_makes_no_call() -> None:
    sqs = FakeSqs()
    Queue(cast(Any, sqs), "plans").send([])

    assert sqs.sent == []
