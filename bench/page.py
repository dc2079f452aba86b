"""A hosted form in the stub's table, and the requests that open it and submit it again."""

import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
from consents.aws.dynamodb import encode_item
from consents.domain.sender_profile import SenderProfile
from consents.forms.form import Confirm, Form
from consents.forms.form_items import form_item, submission_item
from consents.forms.keys import FormKeys
from consents.forms.submission import Submission
from consents.pages import stamps

from bench.bodies import PHONE_NUMBER_ID
from bench.cases import ORG
from bench.directory import PHONE_NUMBER
from bench.stub import SECRET

_FORM_ID = "benchbenchbench2"
_CONTACT = "+15554443333"
_NOW = datetime.now(UTC)
_EVENTS = Path(__file__).parents[1] / "events"
_KEYS = FormKeys(lambda text: hmac.new(SECRET.encode(), text.encode(), sha256).hexdigest())
_STAMP = stamps.issue(_KEYS.stamp, _FORM_ID, "0" * 64, _NOW)


def store(endpoint: str, table: str) -> None:
    """Write the form and its submission to a table."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )
    for item in (form_item(_form()), submission_item(_submission())):
        client.put_item(TableName=table, Item=encode_item(item))


def opened() -> str:
    """Return the event that opens the form, in JSON."""
    return json.dumps(_event("serve_form.unknown"))


def submitted() -> str:
    """Return the event that submits the form again, which no limit of visitors counts."""
    fields = {"stamp": _STAMP, "number": _CONTACT, "agree": "yes", "lang": "en"}
    return json.dumps(_event("submit_form.unknown") | {"body": urlencode(fields)})


def _event(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((_EVENTS / f"{name}.json").read_text())
    return event | {"path": f"/f/{_FORM_ID}", "pathParameters": {"token": _FORM_ID}}


def _form() -> Form:
    program, frequency = "Appointment reminders", "About 4 messages a month"
    return Form(
        _FORM_ID,
        ORG,
        PHONE_NUMBER_ID,
        PHONE_NUMBER,
        contact="",
        agreement_text="I agree to get appointment reminders by text.",
        confirm=Confirm.NONE,
        profile=SenderProfile("Bench", "Bench, Inc.", program, frequency),
        created_at=_NOW,
        expires_at=_NOW + timedelta(days=1),
        program=program,
        frequency=frequency,
    )


def _submission() -> Submission:
    nonce = stamps.nonce_of(_STAMP)
    assert nonce is not None
    return Submission(_FORM_ID, nonce, _CONTACT, _NOW, _NOW, "-", "-", "-", "0" * 64, "en")
