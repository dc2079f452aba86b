"""Organizations of the local stack, which tests create without a process per command."""

from dataclasses import asdict
from typing import Any

from consents_cli import credentials, organizations, senders
from consents_cli.stack import connect_local

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
    org_id = organizations.add(local, "E2E", plan, records_per_minute).org_id
    return {
        "org_id": org_id,
        "api_key": credentials.add_api_key(local, org_id, [scope])["api_key"],
        **credentials.add_account(local, org_id),
        "sender": asdict(senders.add(local, org_id, *sender)),
    }
