"""POST /v1/consent/check as a plain route: a Query per contact with boto3, on 40 threads."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.utilities.typing import LambdaContext
from boto3.dynamodb.conditions import Key
from botocore.config import Config
from pydantic import BaseModel, Field

from bench.idiom import tables

THREADS = 40

logger = Logger(service="idiom")
app = APIGatewayRestResolver(enable_validation=True)
resource = boto3.resource("dynamodb", config=Config(max_pool_connections=THREADS))
ledger = resource.Table(os.environ["LEDGER_TABLE"])


class Question(BaseModel):
    """The body."""

    sender_id: str
    contact_numbers: Annotated[list[str], Field(min_length=1, max_length=1000)]


@app.post("/v1/consent/check")
def check_consents(question: Question) -> dict[str, Any]:
    """Decide for each contact by its latest record."""
    organization = tables.authenticate(app.current_event.headers.get("Authorization", ""))
    org_id = organization["org_id"]
    contacts = question.contact_numbers
    tables.spend(org_id, len(contacts), int(organization["records_per_minute"]))
    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(lambda contact: read(org_id, contact), contacts))
    results = [result(*each) for each in zip(contacts, found, strict=True)]
    allowed = sum(each["allowed"] for each in results)
    logger.info("checked", allowed=allowed)
    return {"allowed": allowed, "results": results}


def read(org_id: str, contact: str) -> list[dict[str, Any]]:
    """Return the records of a contact."""
    found = ledger.query(
        KeyConditionExpression=Key("pk").eq(f"{org_id}#{contact}"),
        ConsistentRead=True,
        ProjectionExpression="sk, #s, effective_at, received_at",
        ExpressionAttributeNames={"#s": "status"},
    )
    items: list[dict[str, Any]] = found["Items"]
    return items


def result(contact: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the decision of a contact."""
    latest = max(records, key=lambda each: (each["effective_at"], each["status"]), default=None)
    allowed = latest is not None and latest["status"] == "opt-in"
    return {"contact_number": contact, "allowed": allowed, "record": latest}


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an API Gateway event."""
    return app.resolve(event, context)
