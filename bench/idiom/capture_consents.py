"""POST /v1/consent/bulk as the public templates write a route: the plain idiom."""

import hashlib
import os
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, BaseModel, Field, HttpUrl, IPvAnyAddress, ValidationError

from bench.idiom import tables
from bench.idiom.fields import PhoneNumber

logger = Logger(service="idiom")
metrics = Metrics(namespace="Idiom", service="idiom")
app = APIGatewayRestResolver(enable_validation=True)
kept = DynamoDBPersistenceLayer(os.environ["IDEMPOTENCY_TABLE"])
once = IdempotencyConfig(
    event_key_jmespath='headers."Idempotency-Key"',
    payload_validation_jmespath="body",
    expires_after_seconds=24 * 60 * 60,
)


class Evidence(BaseModel):
    """The proof of a consent."""

    captured_at: AwareDatetime
    ip_address: IPvAnyAddress
    user_agent: Annotated[str, Field(min_length=1, max_length=1024)]
    agreement_text: Annotated[str, Field(min_length=1, max_length=10_000)]
    form_url: HttpUrl
    consent_method: Literal["checkbox", "sms_keyword", "written", "verbal", "attested"]


class Record(BaseModel):
    """One consent record."""

    phone_number_id: UUID
    contact_number: PhoneNumber
    opted_in: Annotated[bool, Field(strict=True)]
    evidence: Evidence


class Batch(BaseModel):
    """The body: each record is validated separately, so that a bad one does not reject the rest."""

    records: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1000)]


@app.post("/v1/consent/bulk")
def capture_consents(batch: Batch) -> dict[str, Any]:
    """Capture each record separately."""
    organization = tables.authenticate(app.current_event.headers.get("Authorization", ""))
    org_id = organization["org_id"]
    tables.spend(org_id, len(batch.records), int(organization["records_per_minute"]))
    good, rejected = read(batch.records)
    items = []
    for index, record in good:
        sender = tables.read_sender(org_id, str(record.phone_number_id))
        if sender is None:
            rejected.append(rejection(index, "NOT_FOUND", "phone_number_id: not found"))
        else:
            items.append(item(org_id, sender, record))
    tables.store(items)
    metrics.add_metric(name="Accepted", unit=MetricUnit.Count, value=len(items))
    metrics.add_metric(name="Rejected", unit=MetricUnit.Count, value=len(rejected))
    logger.info("captured", accepted=len(items), rejected=len(rejected))
    return {"accepted": len(items), "rejected": rejected}


def read(
    records: list[dict[str, Any]],
) -> tuple[list[tuple[int, Record]], list[dict[str, Any]]]:
    """Return the valid records with their indexes, and the rejections of the others."""
    good, rejected = [], []
    for index, sent in enumerate(records):
        try:
            good.append((index, Record.model_validate(sent)))
        except ValidationError as error:
            reason = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
            )
            rejected.append(rejection(index, "VALIDATION_FAILED", reason))
    return good, rejected


def rejection(index: int, code: str, reason: str) -> dict[str, Any]:
    """Return the rejection of a record."""
    return {"index": index, "code": code, "reason": reason}


def item(org_id: str, sender: str, record: Record) -> dict[str, Any]:
    """Return the item of a record."""
    captured_at = record.evidence.captured_at.astimezone(UTC).isoformat()
    status = "opt-in" if record.opted_in else "opt-out"
    evidence = record.evidence.model_dump(mode="json")
    text = evidence.pop("agreement_text")
    return {
        "pk": f"{org_id}#{record.contact_number}",
        "sk": f"{sender}#{captured_at}#{status}",
        "wire": "attested",
        "status": status,
        "effective_at": captured_at,
        "received_at": datetime.now(UTC).isoformat(),
        "request_id": app.lambda_context.aws_request_id,
        "phone_number_id": str(record.phone_number_id),
        "evidence": evidence | {"agreement_text_hash": hashlib.sha256(text.encode()).hexdigest()},
    }


@logger.inject_lambda_context
@metrics.log_metrics
@idempotent(config=once, persistence_store=kept)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle an API Gateway event."""
    return app.resolve(event, context)
