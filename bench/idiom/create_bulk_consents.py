"""POST /v1/Consents/Bulk as the public templates write a route: the plain idiom."""

import json
import os
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import BadRequestError
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from bench.idiom import tables
from bench.idiom.fields import PhoneNumber

logger = Logger(service="idiom")
metrics = Metrics(namespace="Idiom", service="idiom")
app = APIGatewayRestResolver(cors=CORSConfig())
kept = DynamoDBPersistenceLayer(os.environ["IDEMPOTENCY_TABLE"])
once = IdempotencyConfig(
    event_key_jmespath='headers."Idempotency-Key"',
    payload_validation_jmespath="body",
    expires_after_seconds=24 * 60 * 60,
)

TOKENS = {
    "correlation_id": "INVALID_CORRELATION_ID",
    "sender_id": "INVALID_SENDER_ID",
    "contact_id": "INVALID_CONTACT_ID",
    "status": "INVALID_STATUS",
    "source": "INVALID_SOURCE",
    "date_of_consent": "INVALID_DATE_OF_CONSENT",
}


class Item(BaseModel):
    """One opt-in or opt-out."""

    correlation_id: Annotated[str, Field(pattern="^[0-9a-fA-F]{32}$")]
    sender_id: Annotated[str, Field(pattern=r"^(MG[0-9a-fA-F]{32}|\+[1-9][0-9]{1,14}|[0-9]{3,8})$")]
    contact_id: PhoneNumber
    status: Literal["opt-in", "opt-out"]
    source: Literal["website", "offline", "opt-in-message", "opt-out-message", "others"]
    date_of_consent: AwareDatetime | None = None


@app.post("/v1/Consents/Bulk")
def create_bulk_consents() -> Response[str]:
    """Capture each item separately."""
    event = app.current_event
    organization = tables.authenticate(event.headers.get("Authorization", ""))
    sent = items_of(event.decoded_body or "")
    if not 1 <= len(sent) <= 1000:
        raise BadRequestError("Items must hold 1..1000")
    tables.spend(organization["org_id"], len(sent), int(organization["records_per_minute"]))
    results, good = read(sent)
    tables.store(item(organization["org_id"], record) for record in good)
    metrics.add_metric(name="Accepted", unit=MetricUnit.Count, value=len(good))
    logger.info("recorded", accepted=len(good), rejected=len(sent) - len(good))
    return Response(
        status_code=201, content_type="application/json", body=json.dumps({"items": results})
    )


def items_of(body: str) -> list[Any]:
    """Return the items of a form body; invalid JSON becomes an empty item."""
    return [parsed(text) for text in parse_qs(body).get("Items", [])]


def parsed(text: str) -> Any:
    """Return an item."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


def read(sent: list[Any]) -> tuple[list[dict[str, Any]], list[Item]]:
    """Return the result of each item, and the valid items."""
    results, good, seen = [], [], set[str]()
    for one in sent:
        tokens = []
        try:
            record = Item.model_validate(one)
        except ValidationError as error:
            named = {fault["loc"][0] for fault in error.errors() if fault["loc"]}
            tokens = [token for field, token in TOKENS.items() if field in named]
        else:
            if record.correlation_id in seen:
                tokens = ["INVALID_CORRELATION_ID"]
            else:
                good.append(record)
            seen.add(record.correlation_id)
        results.append(
            {
                "correlation_id": one.get("correlation_id") if isinstance(one, dict) else None,
                "error_code": 30646 if tokens else 0,
                "error_messages": tokens,
            }
        )
    return results, good


def item(org_id: str, record: Item) -> dict[str, Any]:
    """Return the DynamoDB item of a consent."""
    now = datetime.now(UTC).isoformat()
    date = record.date_of_consent
    effective_at = date.astimezone(UTC).isoformat() if date else now
    return {
        "pk": f"{org_id}#{record.contact_id}",
        "sk": f"{record.sender_id}#{effective_at}#{record.status}",
        "wire": "bulk-consents",
        "status": record.status,
        "effective_at": effective_at,
        "received_at": now,
        "request_id": app.lambda_context.aws_request_id,
        "correlation_id": record.correlation_id,
        "evidence": {"source": record.source, "date_of_consent": effective_at},
    }


@logger.inject_lambda_context
@metrics.log_metrics
@idempotent(config=once, persistence_store=kept)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an API Gateway event."""
    return app.resolve(event, context)
