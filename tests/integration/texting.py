"""Challenges that tests open, texts that are sent, and what contacts text back."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import consents.opt_in.inbound  # noqa: F401 - before the engine names the service: one logger
from consents.accounts.directory import number_key, sender_key
from consents.aws.dynamodb import encode_item
from consents.opt_in import provider_wiring

from tests.integration.conftest import Invoke, Tenant
from tests.integration.invocation import Invocation, Response, event_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

AGREEMENT = "I agree to get appointment reminders from Northside Dental by text."
NUMBERS, PREFIXES = count(1_000_000), count(200_000)


def with_own_number(dynamodb: "DynamoDBClient", tenant: Tenant) -> Tenant:
    """Return a tenant whose sender has a number that no other tenant has."""
    number = f"+1555{next(NUMBERS)}"
    named = {"phone_number_id": tenant.phone_number_id, "phone_number": number}
    for item in (
        sender_key(tenant.org_id, tenant.phone_number_id) | named,
        number_key(number) | {"org_id": tenant.org_id, "phone_number_id": tenant.phone_number_id},
    ):
        dynamodb.put_item(TableName="DirectoryTable", Item=encode_item(item))
    return replace(tenant, phone_number=number)


def new_contact() -> str:
    """Return a contact in a prefix that no other test uses."""
    return f"+1{next(PREFIXES)}2671"


class Texting:
    """An organization that asks contacts, and the contacts."""

    def __init__(self, invoke: Invoke, tenant: Tenant) -> None:
        self._invoke = invoke
        self.tenant = tenant

    def ask(self, contact: str, **fields: Any) -> Response:
        """Ask a contact."""
        sent = {
            "phone_number_id": self.tenant.phone_number_id,
            "contact_number": contact,
            "agreement_text": AGREEMENT,
        }
        body = json.dumps(sent | fields)
        return self._invoke("open_challenge.new", self.tenant.bearer, body=body)

    def state(self, challenge_id: str) -> Any:
        """Return a challenge as the API shows it."""
        path = {"consent_pending_id": challenge_id}
        return self._invoke("show_challenge.unknown", self.tenant.bearer, pathParameters=path).json

    def texts(self, contact: str) -> list[str]:
        """Return the texts that a contact, or the numbers of a prefix, got, oldest first."""
        outbox: Any = provider_wiring.provider()
        kept = outbox.newest(1000)
        return [each.text.body for each in reversed(kept) if each.text.contact.startswith(contact)]

    def reply(self, contact: str, text: str, **fields: Any) -> dict[str, Any]:
        """Let a contact text back, and return the message of the queue."""
        message = inbound(contact, self.tenant.phone_number, text, **fields)
        run("receive_message", message)
        return message


def inbound(
    contact: str,
    sender: str,
    text: str,
    *,
    message_id: str = "",
    at: datetime | None = None,
) -> dict[str, Any]:
    """Return the message that SNS sends for a text of a contact."""
    event = event_of("receive_message.stop")
    envelope = json.loads(event["Records"][0]["body"])
    payload = json.loads(envelope["Message"]) | {
        "originationNumber": contact,
        "destinationNumber": sender,
        "messageBody": text,
        "inboundMessageId": message_id or str(uuid4()),
    }
    sent_at = (at or datetime.now(UTC)).astimezone(UTC)
    envelope |= {
        "Message": json.dumps(payload),
        "Timestamp": sent_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    event["Records"][0]["body"] = json.dumps(envelope)
    return event


def run(function: str, event: dict[str, Any]) -> list[Any]:
    """Run a handler of a queue, and return the messages that failed."""
    handler = import_module(f"functions.{function}.app").handler
    failed: list[Any] = handler(event, Invocation(29_000))["batchItemFailures"]
    return failed


def deliver() -> None:
    """Send all texts that wait in the queue."""
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="OutboundQueue")["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            event = event_of("send_message.unknown")
            event["Records"][0]["body"] = message["Body"]
            run("send_message", event)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def in_the_past(dynamodb: "DynamoDBClient", challenge_id: str) -> None:
    """Set that a challenge expired a minute ago."""
    at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="microseconds")
    dynamodb.update_item(
        TableName="FormsTable",
        Key={"pk": {"S": f"CHALLENGE#{challenge_id}"}, "sk": {"S": "CHALLENGE"}},
        UpdateExpression="SET expires_at = :at",
        ExpressionAttributeValues={":at": {"S": at.replace("+00:00", "Z")}},
    )
