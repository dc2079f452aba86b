"""The demo organization of a local stack, and commands that use it."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from consents.domain.organization import Scope
from consents.domain.record import Wire
from consents.forms.api import parse_order
from consents.forms.keys import FormKeys
from consents.forms.orders import make_form

from consents_cli import credentials, organizations, output, senders
from consents_cli.stack import Stack

NAME, PLAN, RECORDS_PER_MINUTE = "Demo", "payg", 60_000
PHONE_NUMBER_ID, PHONE_NUMBER = "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e", "+15550001111"
CONTACT = "+15554443333"
"""The contact whose record `calls` captures through the Attested Consent API."""

_KEY_IN_EVENTS = "am_live_demo0000_LocalStackDemoKeyNotASecret00000"
_ACCOUNT_IN_EVENTS = "AC00000000000000000000000000000001", "0123456789abcdef0123456789abcdef"

_AGREEMENT = "By signing up you agree to receive appointment reminders. Reply STOP to opt out."
_SECOND_OF_CAPTURE_AND_ADDRESS = {CONTACT: (0, "203.0.113.42"), "+15554443334": (1, "")}
_PROFILE = {
    "brand": "Northside Dental",
    "legal_name": "Northside Dental Group, Inc.",
    "program": "Appointment reminders and changes to your bookings",
    "frequency": "About 4 messages a month",
    "terms_url": "https://example.com/terms",
    "privacy_url": "https://example.com/privacy",
}
_FORM = {
    "phone_number_id": PHONE_NUMBER_ID,
    "confirm": "sms",
    "headline": "Get appointment reminders by text",
    "agreement_text": (
        "I agree to receive automated appointment reminders by text message from Northside Dental "
        "at the mobile number above. Message frequency varies, about 4 a month. Message and data "
        "rates may apply. Reply STOP to opt out, HELP for help. Consent is not a condition of "
        "purchase."
    ),
}
_ITEMS = (
    {
        "contact_id": "+19999999999",
        "correlation_id": "ad388b5a46b33b874b0d41f7226db2ef",
        "sender_id": "MG00000000000000000000000000000001",
        "date_of_consent": "2025-02-28T10:05:27Z",
        "status": "opt-out",
        "source": "website",
    },
    {
        "contact_id": "+19",
        "correlation_id": "02520cfa6c432f0e3ec3a38c122d428d",
        "sender_id": "123456",
        "date_of_consent": "2025-03-25",
        "status": "opt-in",
        "source": "opt-in-message",
    },
)


def create(stack: Stack) -> dict[str, Any]:
    """Create an organization, a credential per API and a sender; return all of them."""
    organization = organizations.add(stack, NAME, PLAN, RECORDS_PER_MINUTE)
    key = credentials.add_api_key(stack, organization.org_id, list(Scope))
    account = credentials.add_account(stack, organization.org_id)
    sender = senders.add(stack, organization.org_id, PHONE_NUMBER, PHONE_NUMBER_ID)
    return {
        "org_id": organization.org_id,
        "name": organization.name,
        "plan": organization.plan,
        "records_per_minute": organization.records_per_minute,
        "api_key": key["api_key"],
        "account_sid": account["account_sid"],
        "auth_token": account["auth_token"],
        "senders": [asdict(sender)],
    }


def create_form(stack: Stack, api_url: str, org_id: str) -> str:
    """Set the sender's profile, create an open form, and return its link."""
    stack.entries.change_profile(org_id, PHONE_NUMBER_ID, _PROFILE)
    organization = stack.entries.entry(org_id).organization
    profile = stack.directory.profile(organization, PHONE_NUMBER_ID)
    order = parse_order(_FORM, {PHONE_NUMBER_ID: PHONE_NUMBER}, can_send=True)
    hashed = FormKeys(stack.directory.hash).secret_hash
    form, token = make_form(order, org_id, profile, hashed, datetime.now(UTC))
    stack.forms.add(form)
    return f"{api_url}/f/{token}"


def calls(api_url: str, organization: Mapping[str, Any]) -> dict[str, str]:
    """Return a shell command per API: it sends two records, of which one is rejected."""
    items = (json.dumps(item, separators=(",", ":")) for item in _ITEMS)
    return {
        output.API_NAMES[Wire.ATTESTED]: _command(
            f"curl '{api_url}/v1/consent/bulk'",
            f"-H 'Authorization: Bearer {organization['api_key']}'",
            "-H 'Content-Type: application/json'",
            f"-d '{json.dumps(_attested_body(), indent=2)}'",
        ),
        output.API_NAMES[Wire.BULK_CONSENTS]: _command(
            f"curl '{api_url}/v1/Consents/Bulk'",
            f"-u '{organization['account_sid']}:{organization['auth_token']}'",
            *(f"--data-urlencode 'Items={item}'" for item in items),
        ),
    }


def question(api_url: str, organization: Mapping[str, Any]) -> str:
    """Return a shell command that checks whether the contacts of `calls` may be messaged."""
    body = {"sender_id": PHONE_NUMBER, "contact_numbers": [*_SECOND_OF_CAPTURE_AND_ADDRESS]}
    return _command(
        f"curl '{api_url}/v1/consent/check'",
        f"-H 'Authorization: Bearer {organization['api_key']}'",
        "-H 'Content-Type: application/json'",
        f"-d '{json.dumps(body)}'",
    )


def with_demo_credentials(event: str, organization: Mapping[str, Any]) -> str:
    """Return an event of `events/` with the credentials of an organization."""
    account = _basic(organization["account_sid"], organization["auth_token"])
    return event.replace(_KEY_IN_EVENTS, organization["api_key"]).replace(
        _basic(*_ACCOUNT_IN_EVENTS), account
    )


def _basic(sid: str, token: str) -> str:
    return b64encode(f"{sid}:{token}".encode()).decode()


def _command(*parts: str) -> str:
    return " \\\n  ".join(parts)


def _attested_body() -> dict[str, Any]:
    records = [
        {
            "phone_number_id": PHONE_NUMBER_ID,
            "contact_number": contact,
            "opted_in": True,
            "evidence": {
                "captured_at": f"2026-04-26T12:00:0{second}Z",
                "ip_address": address,
                "user_agent": "Mozilla/5.0",
                "agreement_text": _AGREEMENT,
                "form_url": "https://example.com/signup",
                "consent_method": "checkbox",
            },
        }
        for contact, (second, address) in _SECOND_OF_CAPTURE_AND_ADDRESS.items()
    ]
    return {"records": records}
