"""Double opt-in on a deployed stack: asked by the API, answered by the outbox command."""

from typing import Any

import pytest
import requests
from consents_cli.stack import Stack

from tests.e2e.local_stack import LocalStack, eventually


@pytest.fixture
def call(stack: LocalStack) -> Any:
    """Call the API as the demo organization."""

    def call(method: str, route: str, **sent: Any) -> Any:
        headers = {"Authorization": f"Bearer {stack.organization['api_key']}"}
        url = stack.api_url + route
        return requests.request(method, url, headers=headers, timeout=60, **sent)

    return call


def ask(stack: LocalStack, call: Any, contact: str) -> dict[str, Any]:
    order = {
        "phone_number_id": stack.organization["senders"][0]["phone_number_id"],
        "contact_number": contact,
        "agreement_text": "I agree to get appointment reminders by text.",
    }
    asked = call("POST", "/v1/consent/double-opt-in", json=order)
    assert asked.status_code == 202
    opened: dict[str, Any] = asked.json()
    return opened


def is_allowed(stack: LocalStack, call: Any, contact: str) -> bool:
    question = {
        "phone_number_id": stack.organization["senders"][0]["phone_number_id"],
        "contact_numbers": [contact],
    }
    (result,) = call("POST", "/v1/consent/check", json=question).json()["results"]
    return bool(result["allowed"])


def test_a_contact_confirms_then_stops(stack: LocalStack, call: Any, deployed: Stack) -> None:
    contact = "+14155553001"
    asked = ask(stack, call, contact)
    assert eventually(lambda: len(texts(deployed, contact)) == 1)
    assert not is_allowed(stack, call, contact)

    stack.ask("outbox", "reply", contact, "YES")
    assert eventually(lambda: is_allowed(stack, call, contact))
    assert eventually(lambda: len(texts(deployed, contact)) == 2)
    state = f"/v1/consent/double-opt-in/{asked['consent_pending_id']}"
    assert call("GET", state).json()["state"] == "confirmed"

    stack.ask("outbox", "reply", contact, "Stop")
    assert eventually(lambda: not is_allowed(stack, call, contact))


def texts(deployed: Stack, contact: str) -> list[str]:
    return [each.text.body for each in deployed.outbox.newest(100) if each.text.contact == contact]


def test_a_text_is_listed_and_shown(stack: LocalStack, call: Any, deployed: Stack) -> None:
    contact = "+14155553002"
    asked = ask(stack, call, contact)
    assert eventually(lambda: len(texts(deployed, contact)) == 1)
    listed = stack.ask("outbox", "list")
    shown = stack.ask("outbox", "show", asked["confirmation_message_id"])

    assert shown in listed
    assert shown["body"].startswith("Northside Dental: Reply YES")
    assert contact in stack.run("outbox", "list").stdout


def test_a_reply_needs_a_text_or_a_sender(stack: LocalStack) -> None:
    refused = stack.run("outbox", "reply", "+14155553003", "STOP")

    assert refused.returncode == 1
    assert "--sender" in refused.stderr
