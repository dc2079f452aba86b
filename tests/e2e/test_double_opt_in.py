"""Double opt-in on a deployed stack: asked by the API, answered by the outbox command."""

from typing import Any
from uuid import uuid4

import pytest
import requests
from consents_cli.stack import Stack
from twilio.request_validator import RequestValidator

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


def post_as_twilio(stack: LocalStack, contact: str, text: str, **headers: str) -> Any:
    """Post a text of a contact with the signature of Twilio's SDK, or with other headers."""
    url = f"{stack.api_url}/inbound/twilio"
    fields = {
        "AccountSid": stack.state["twilio"]["account_sid"],
        "MessageSid": f"SM{uuid4().hex}",
        "From": contact,
        "To": stack.organization["senders"][0]["phone_number"],
        "Body": text,
        "ToCity": "",
    }
    validator = RequestValidator(stack.state["twilio"]["auth_token"])
    signed = {"X-Twilio-Signature": validator.compute_signature(url, fields)}
    return requests.post(url, data=fields, headers=signed | headers, timeout=60)


def test_a_contact_confirms_and_stops_through_twilio(
    stack: LocalStack, call: Any, deployed: Stack
) -> None:
    contact = "+14155553004"
    ask(stack, call, contact)
    assert eventually(lambda: len(texts(deployed, contact)) == 1)

    taken = post_as_twilio(stack, contact, "S\u00ed")
    assert (taken.status_code, taken.text) == (200, "<Response/>")
    assert taken.headers["Content-Type"] == "text/xml"
    assert eventually(lambda: is_allowed(stack, call, contact))

    assert post_as_twilio(stack, contact, "STOP").status_code == 200
    assert eventually(lambda: not is_allowed(stack, call, contact))


def test_a_text_that_twilio_did_not_sign_is_rejected(stack: LocalStack) -> None:
    forged = {"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}
    answer = post_as_twilio(stack, "+14155553005", "STOP", **forged)

    assert (answer.status_code, answer.content) == (403, b"")
    history = stack.ask(
        "history", "--org", stack.organization["org_id"], "--contact", "+14155553005"
    )
    assert not history
