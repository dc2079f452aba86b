"""DynamoDB access of both routes: callers, senders, token buckets, records."""

import hashlib
import hmac
import os
import time
from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools.event_handler.exceptions import (
    ForbiddenError,
    ServiceError,
    UnauthorizedError,
)
from aws_lambda_powertools.utilities import parameters
from cachetools import TTLCache, cached

WINDOW_SECONDS = 60

dynamodb = boto3.resource("dynamodb")
directory = dynamodb.Table(os.environ["DIRECTORY_TABLE"])
ledger = dynamodb.Table(os.environ["LEDGER_TABLE"])
buckets = dynamodb.Table(os.environ["RATE_LIMITS_TABLE"])


@cache
def pepper() -> bytes:
    """Return the HMAC key (pepper)."""
    secret: str = parameters.get_secret(os.environ["PEPPER_SECRET"])
    return secret.encode()


def authenticate(authorization: str) -> dict[str, Any]:
    """Return the organization of a credential that may capture consent."""
    secret_hash = hmac.new(pepper(), authorization.encode(), hashlib.sha256).hexdigest()
    credential, organization = read_caller(secret_hash)
    if credential is None or organization is None:
        raise UnauthorizedError("authentication failed")
    if "consent:write" not in credential["scopes"] or organization["plan"] == "starter":
        raise ForbiddenError("missing required scope")
    return organization


@cached(TTLCache(4096, 30))
def read_caller(secret_hash: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the items of a credential and its organization."""
    key = {"pk": f"CREDENTIAL#{secret_hash}", "sk": "CREDENTIAL"}
    credential: dict[str, Any] | None = directory.get_item(Key=key).get("Item")
    if credential is None:
        return None, None
    key = {"pk": f"ORG#{credential['org_id']}", "sk": "ORGANIZATION"}
    return credential, directory.get_item(Key=key).get("Item")


@cached(TTLCache(4096, 30))
def read_sender(org_id: str, phone_number_id: str) -> str | None:
    """Return the number of an organization's sender."""
    key = {"pk": f"ORG#{org_id}", "sk": f"SENDER#{phone_number_id}"}
    item: dict[str, Any] | None = directory.get_item(Key=key).get("Item")
    return item["phone_number"] if item else None


def spend(org_id: str, records: int, per_minute: int) -> None:
    """Spend records of a token bucket: read it, refill it, write it back."""
    now = time.time()
    bucket: dict[str, Any] | None = buckets.get_item(Key={"org_id": org_id}).get("Item")
    left = float(per_minute)
    if bucket is not None:
        refilled = (now - float(bucket["updated_at"])) * per_minute / WINDOW_SECONDS
        left = min(left, float(bucket["tokens"]) + refilled)
    if left < records:
        raise ServiceError(429, "Too Many Requests")
    buckets.put_item(
        Item={
            "org_id": org_id,
            "tokens": Decimal(str(left - records)),
            "updated_at": Decimal(str(now)),
        }
    )


def store(items: Iterable[dict[str, Any]]) -> None:
    """Write records, 25 per call."""
    with ledger.batch_writer(overwrite_by_pkeys=["pk", "sk"]) as batch:
        for item in items:
            batch.put_item(Item=item)
