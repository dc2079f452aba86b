"""Imports that the release before this one has announced, begun or half cut: they complete."""

import gzip
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from consents.domain.record import timestamp
from consents.imports import parts, rows
from consents.imports import wiring as import_wiring
from consents.imports.drop import Drop
from consents.imports.import_state import Place
from consents.imports.messages import part_message
from consents.imports.parts import Part

from tests.factories import NOW, item_json, jsonl
from tests.integration.conftest import Invoke, Tenant
from tests.integration.drops import TOO_LONG, Drops, created, csv_of, run, sqs_event
from tests.integration.test_import_limits import items_of
from tests.integration.uploads import Api, uploaded

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROWS = 12
CONTENT = b"".join(jsonl(item_json(number)) + TOO_LONG for number in range(ROWS))
PARTS = 2 * ROWS

COMPLETED = ("completed", ROWS, 0, ROWS)


def cut(content: bytes) -> list[Part]:
    """Return all parts of a file of JSON lines, with their content."""
    return list(parts.cut(rows.split([content], quoted=False), Place()))


class Before:
    """The release before: it sent parts when they were cut, and stored the place after them."""

    def __init__(self, dynamodb: "DynamoDBClient", drops: Drops) -> None:
        self._dynamodb, self._drops = dynamodb, drops

    def begin(self, drop: Drop, cut_parts: Sequence[Part], **attributes: Any) -> None:
        """Store an import whose first parts are cut, and send these."""
        for part in cut_parts:
            if drop.is_gzip:
                import_wiring.bucket().write(drop.part_key(part.place.part), part.content)
            self._drops.send("PART_QUEUE", part_message(drop, part).decode())
        place = parts.place_after(cut_parts[-1]) if cut_parts else None
        texts = {
            "org_id": drop.org_id,
            "bucket": drop.bucket,
            "key": drop.key,
            "version": drop.version,
            "started_at": timestamp(NOW),
            "listed_as": f"{timestamp(NOW)} {drop.import_id}",
        }
        numbers = {"parts_done": 0, "accepted": 0, "duplicates": 0, **attributes}
        if place:
            texts["csv_header"] = "null"
            numbers |= {
                "place_part": place.part,
                "place_offset": place.offset,
                "place_row": place.row,
            }
        self._put(drop.import_id, texts, numbers)

    def announce(self, import_id: str, drop_key: str, org_id: str) -> None:
        """Store an announcement, which names no credential."""
        now = datetime.now(UTC)
        texts = {
            "org_id": org_id,
            "bucket": "drops",
            "key": drop_key,
            "listed_as": f"{timestamp(now)} {import_id}",
            "announced_at": timestamp(now),
            "expires_at": timestamp(now + timedelta(hours=1)),
        }
        self._put(import_id, texts, {"expiration": int(now.timestamp()) + 90_000})

    def _put(self, import_id: str, texts: dict[str, str], numbers: dict[str, int]) -> None:
        item = {"import_id": import_id, "item": "IMPORT"} | texts
        attributes: Any = {name: {"S": text} for name, text in item.items()}
        attributes |= {name: {"N": str(number)} for name, number in numbers.items()}
        self._dynamodb.put_item(TableName="ImportsTable", Item=attributes)


@pytest.fixture
def before(dynamodb: "DynamoDBClient", drops: Drops) -> Before:
    """The release before."""
    return Before(dynamodb, drops)


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
@pytest.mark.parametrize(("sent", "done"), [(0, 0), (10, 0), (10, 1), (20, 10)])
def test_an_import_begun_before_the_upgrade_completes(
    drops: Drops, tenant: Tenant, before: Before, ending: str, sent: int, done: int
) -> None:
    content = gzip.compress(CONTENT, 1) if ending == "jsonl.gz" else CONTENT
    drop = drops.put(tenant.org_id, f"bulk-consents/a.{ending}", content)
    before.begin(drop, cut(CONTENT)[:sent])
    for part in (in_flight := drops.parts())[:done]:
        assert run("import_part", sqs_event(part)) == []
    for part in in_flight[done:]:
        drops.send("PART_QUEUE", part)

    drops.finish()
    assert drops.totals(drop) == COMPLETED
    assert [one["row"] for one in drops.rejected(drop)] == list(range(2, PARTS + 1, 2))


def test_an_import_cut_before_the_upgrade_completes_by_its_parts(
    drops: Drops, tenant: Tenant, before: Before
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", CONTENT)
    list(drops.receive("PLAN_QUEUE"))  # it was planned
    before.begin(drop, cut(CONTENT), parts=PARTS)

    drops.finish()
    assert drops.totals(drop) == COMPLETED


def test_a_csv_file_begun_before_the_upgrade_completes(
    drops: Drops, tenant: Tenant, before: Before
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.csv", csv_of([item_json(1), item_json(2)]))
    before.begin(drop, [])

    drops.finish()
    assert drops.totals(drop) == ("completed", 2, 0, 0)


@pytest.mark.parametrize("function", ["plan_import", "fail_import"])
def test_an_import_that_failed_before_the_upgrade_is_reported(
    drops: Drops, tenant: Tenant, before: Before, dynamodb: "DynamoDBClient", function: str
) -> None:
    drop = drops.put(tenant.org_id, "bulk-consents/a.jsonl", CONTENT)
    (planned,) = drops.receive("PLAN_QUEUE")
    before.begin(drop, [])
    import_wiring.imports().end(drop.import_id, "failed", "must be gzip", NOW)

    assert run(function, sqs_event(planned)) == []
    assert drops.reason(drop) == "must be gzip"
    assert set(items_of(dynamodb, tenant.org_id)) == set()


def test_imports_begun_before_the_upgrade_take_turns(
    drops: Drops, tenant: Tenant, before: Before
) -> None:
    files = [
        drops.put(tenant.org_id, f"bulk-consents/{number}.jsonl", CONTENT) for number in range(5)
    ]
    for file in files:
        before.begin(file, cut(CONTENT)[:10])

    drops.finish()
    assert [drops.summary(file)["state"] for file in files] == ["completed"] * 5
    assert sum(drops.summary(file)["accepted"] for file in files) == ROWS


def test_an_upload_announced_before_the_upgrade_is_imported(
    drops: Drops, tenant: Tenant, before: Before, invoke: Invoke, dynamodb: "DynamoDBClient"
) -> None:
    api = Api(invoke, tenant)
    announced = api.announce()
    drop = uploaded(announced)
    before.announce(announced["import_id"], drop.key, tenant.org_id)
    dynamodb.update_item(  # no credential is asked for
        TableName="DirectoryTable",
        Key={"pk": {"S": f"ORG#{tenant.org_id}"}, "sk": {"S": f"CREDENTIAL#{tenant.key_id}"}},
        UpdateExpression="SET revoked_at = :now",
        ExpressionAttributeValues={":now": {"S": timestamp(NOW)}},
    )
    assert api.shown(announced["import_id"])["state"] == "awaiting_upload"

    drops.send("PLAN_QUEUE", created(drop))
    drops.finish()
    assert api.shown(announced["import_id"])["state"] == "completed"
