"""Requests of callers, their responses, and what they leave in the tables."""

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from consents.domain import token_bucket

from tests.integration.conftest import Tenant
from tests.integration.invocation import Response

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BULK, SINGLE = "capture_consents.mixed", "capture_consent.accepted"
BULK_CONSENTS = "create_bulk_consents.two_items"
EVENTS = [BULK, SINGLE, BULK_CONSENTS]
COUNTED = {BULK: 2, SINGLE: 1, BULK_CONSENTS: 2}
"""How many records each event costs, valid or not."""

CONTACTS = ("+15554443333", "+15554443334", "+15554443335", "+19999999999")
"""Of all the events; the last record of either bulk event is not stored."""

DEMO_PHONE_NUMBER_ID = "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e"


def headers(tenant: Tenant, event: str, key: str | None = "one") -> dict[str, str]:
    credentials = tenant.basic if event == BULK_CONSENTS else tenant.bearer
    return credentials | ({"Idempotency-Key": key} if key else {})


def record(tenant: Tenant, number: int, **changes: Any) -> dict[str, Any]:
    return {
        "phone_number_id": tenant.phone_number_id,
        "contact_number": f"+1555000{number:04}",
        "opted_in": True,
        "evidence": {
            "captured_at": "2026-04-26T12:00:00Z",
            "agreement_text": "Agreed.",
            "consent_method": "verbal",
        },
        **changes,
    }


def item(tenant: Tenant, number: int, **changes: Any) -> dict[str, Any]:
    return {
        "contact_id": f"+1555000{number:04}",
        "correlation_id": f"{number:032x}",
        "sender_id": tenant.phone_number,
        "status": "opt-in",
        "source": "website",
        "date_of_consent": "2026-04-26T12:00:00Z",
        **changes,
    }


def body(event: str, tenant: Tenant, *numbers: int) -> str:
    """Return a body with a record for each contact's number; of the single twin, for the first."""
    if event == SINGLE:
        return json.dumps(record(tenant, numbers[0]))
    if event == BULK:
        return json.dumps({"records": [record(tenant, number) for number in numbers]})
    return urlencode([("Items", json.dumps(item(tenant, number))) for number in numbers])


def is_replay(answer: Response) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"


def is_final(answer: Response) -> bool:
    """Return whether a response is of work that was done, now or before."""
    return answer.status in {200, 201}


def code(answer: Response) -> str | int:
    shown: dict[str, str | int] = answer.json.get("error", answer.json)
    return shown["code"]


def must_wait(answer: Response, event: str) -> bool:
    """Return whether a response says, as it must, that the first request is still running."""
    running = 20409 if event == BULK_CONSENTS else "IDEMPOTENCY_IN_PROGRESS"
    shown = (answer.status, answer.headers.get("Retry-After"))
    return shown == (409, "1") and code(answer) == running


def until_final(call: Callable[[], Response], longest: float = 40) -> Response:
    """Repeat a request while the first one is still running, and return the response."""
    deadline = time.monotonic() + longest
    while (answer := call()).status == 409:
        assert time.monotonic() < deadline
    return answer


def stored(dynamodb: "DynamoDBClient", org_id: str) -> list[dict[str, Any]]:
    """Return the records of an organization whose calls were all as the events have them."""
    found = (
        dynamodb.query(
            TableName="LedgerTable",
            KeyConditionExpression="pk = :contact",
            ExpressionAttributeValues={":contact": {"S": f"{org_id}#{contact}"}},
            ConsistentRead=True,
        )
        for contact in CONTACTS
    )
    return [dict(item) for answer in found for item in answer["Items"]]


def ledger_items(dynamodb: "DynamoDBClient", org_id: str) -> list[dict[str, Any]]:
    """Return all items of an organization, agreement texts too; reads the whole table."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName="LedgerTable",
        FilterExpression="begins_with(pk, :org)",
        ExpressionAttributeValues={":org": {"S": f"{org_id}#"}},
        ConsistentRead=True,
    )
    return [dict(item) for page in pages for item in page["Items"]]


def all_stored(dynamodb: "DynamoDBClient", org_id: str) -> list[dict[str, Any]]:
    """Return all records of an organization; reads the whole table."""
    return [item for item in ledger_items(dynamodb, org_id) if "request_id" in item]


def contacts(items: list[dict[str, Any]]) -> list[str]:
    return sorted(item["pk"]["S"].split("#")[1] for item in items)


def full_at(dynamodb: "DynamoDBClient", org_id: str) -> int | None:
    """Return the instant at which a bucket is full, or None for one that was never drawn on."""
    found = dynamodb.get_item(
        TableName="RateLimitsTable", Key={"org_id": {"S": org_id}}, ConsistentRead=True
    )
    return int(found["Item"]["full_at"]["N"]) if "Item" in found else None


def was_drawn(full: int | None, by: list[dict[str, Any]], records: int, per_minute: int) -> bool:
    """Return whether exactly so many records were spent from a bucket since it was first drawn on.

    The first draw was that of a call which stored something, and the bucket was never full since.
    """
    assert full is not None
    first = full - token_bucket.cost(records, per_minute)
    receipts = {datetime.fromisoformat(item["received_at"]["S"]) for item in by}
    return first in {token_bucket.ticks(receipt) for receipt in receipts}


def let_time_pass(dynamodb: "DynamoDBClient", seconds: int) -> None:
    """Move the claims in progress back, as if so many seconds had gone by."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName="IdempotencyTable",
        FilterExpression="#status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": "INPROGRESS"}},
        ConsistentRead=True,
    )
    for item in (dict(item) for page in pages for item in page["Items"]):
        until = int(item["in_progress_expiration"]["N"]) - seconds * 1000
        dynamodb.update_item(
            TableName="IdempotencyTable",
            Key={"id": item["id"]},
            UpdateExpression="SET in_progress_expiration = :until",
            ExpressionAttributeValues={":until": {"N": str(until)}},
        )
