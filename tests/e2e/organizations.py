"""Organizations of the local stack, which tests create without a process per command."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import requests
from consents.accounts.directory import number_key
from consents.aws.dynamodb import encode_item
from consents_cli import credentials, organizations, senders
from consents_cli.stack import Stack, connect_local

from tests.e2e.local_stack import LocalStack


def create(
    stack: LocalStack,
    plan: str = "payg",
    records_per_minute: int = 60_000,
    scope: str = credentials.CAPTURE,
    sender: tuple[str, str | None] = ("+15550002222", None),
) -> dict[str, Any]:
    """Create an organization, a credential per API and a sender; return all of them."""
    local = connect_local(stack.state["aws_endpoint_url"])
    # Tests share numbers, one after the other; an organization owns one.
    local.dynamodb.delete_item(**_owner(local, sender[0]))
    org_id = organizations.add(local, "E2E", plan, records_per_minute).org_id
    return {
        "org_id": org_id,
        "api_key": credentials.add_api_key(local, org_id, [scope])["api_key"],
        **credentials.add_account(local, org_id),
        "sender": asdict(senders.add(local, org_id, *sender)),
    }


@contextmanager
def lent(stack: LocalStack, number: str) -> Iterator[None]:
    """Take a number from its owner, and give it back at the end."""
    local = connect_local(stack.state["aws_endpoint_url"])
    owner = _owner(local, number)
    item = local.dynamodb.delete_item(**owner, ReturnValues="ALL_OLD")["Attributes"]
    yield
    local.dynamodb.put_item(TableName=owner["TableName"], Item=item)


def opt_in(stack: LocalStack, contact: str) -> None:
    """Capture an opt-in of a contact for the number of the demo organization."""
    demo = stack.organization
    record = {
        "phone_number_id": demo["senders"][0]["phone_number_id"],
        "contact_number": contact,
        "opted_in": True,
        "evidence": {
            "captured_at": "2026-04-26T12:00:00Z",
            "agreement_text": "Yes.",
            "consent_method": "verbal",
        },
    }
    response = requests.post(
        f"{stack.api_url}/v1/consent",
        json=record,
        headers={"Authorization": f"Bearer {demo['api_key']}"},
        timeout=60,
    )
    response.raise_for_status()


def _owner(stack: Stack, number: str) -> Any:
    return {"TableName": stack.tables["directory"], "Key": encode_item(number_key(number))}
