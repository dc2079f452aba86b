"""Forms that tests make, and visitors who open and submit them through the handlers."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from consents.forms import wiring as form_wiring
from consents.forms.form import Form
from consents.forms.pages import bare_page
from consents.pages import stamps
from consents.pages.page import page_hash

from tests.factories import COMPLETE_TEXT
from tests.integration.conftest import Invoke, Tenant
from tests.integration.invocation import Response, event_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONTACT = "+15554443333"
ORIGIN = "https://text.example.com"
"""Of the public URL of the tests."""


@dataclass(frozen=True)
class Link:
    """A form's link."""

    token: str
    form_id: str

    @property
    def form(self) -> Form:
        """The form as it is stored now."""
        form = form_wiring.forms().open(self.form_id)
        assert form is not None
        return form

    def stamp(self, seconds_ago: float = 5, lang: str = "en") -> str:
        """Return a stamp of the page, shown some seconds ago."""
        return next(self.stamps(seconds_ago, lang))

    def stamps(self, seconds_ago: float = 5, lang: str = "en") -> Iterator[str]:
        """Yield stamps of the page, shown some seconds ago."""
        shown_at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        shown = page_hash(bare_page(self.form, lang))
        while True:
            yield stamps.issue(form_wiring.keys().stamp, self.form_id, shown, shown_at)


def order(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """Return the body of a request for an open form without confirmation."""
    valid = {
        "phone_number_id": tenant.phone_number_id,
        "agreement_text": COMPLETE_TEXT,
        "confirm": "none",
        "headline": "Get appointment reminders by text",
        "program": "Appointment reminders",
        "frequency": "About 4 messages a month",
    }
    return valid | changes


def bound(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """Return the body of a request for a form for one contact."""
    return order(tenant, contact_number=CONTACT, **changes)


def make(invoke: Invoke, tenant: Tenant, sent: dict[str, Any]) -> Link:
    """Make a form, and return its link."""
    made = invoke("create_form.open", tenant.bearer, body=json.dumps(sent)).json
    return Link(made["token"], made["form_id"])


@dataclass(frozen=True)
class Visitor:
    """A browser at an address of its owner."""

    invoke: Invoke
    address: str = "203.0.113.7"

    def open(self, token: str, *, lang: str | None = None, **headers: str) -> Response:
        """Open a link."""
        query = {"lang": lang} if lang else None
        return self._call("serve_form.unknown", token, headers, queryStringParameters=query)

    def submit(self, link: Link, stamp: str, **fields: str) -> Response:
        """Submit a form with the box ticked; an empty field is sent empty."""
        sent = {"stamp": stamp, "lang": "en", "website": "", "agree": "yes"}
        if not link.form.contact:
            sent["number"] = "(555) 444-3333"
        return self.post(link.token, sent | fields)

    def post(self, token: str, sent: dict[str, str], **headers: str) -> Response:
        """Send fields, those that are not empty or that a browser always sends."""
        kept = {name: value for name, value in sent.items() if value or name != "agree"}
        headers = {"Origin": ORIGIN} | headers
        return self._call("submit_form.unknown", token, headers, body=urlencode(kept))

    def _call(self, event: str, token: str, headers: dict[str, str], **changes: Any) -> Response:
        context = event_of(event)["requestContext"]
        context["identity"] = context["identity"] | {"sourceIp": self.address}
        return self.invoke(
            event,
            headers,
            pathParameters={"token": token},
            path=f"/f/{token}",
            requestContext=context,
            **changes,
        )


def shown_stamp(page: Response) -> str:
    """Return the stamp that a page holds."""
    found = re.search(r'name="stamp" value="([^"]*)"', page.body)
    assert found is not None
    return found[1]


def title(page: Response) -> str:
    """Return the first heading of a page."""
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page.body)
    assert found is not None
    return unescape(found[1])


def hosted_records(dynamodb: "DynamoDBClient", tenant: Tenant, contact: str = CONTACT) -> list[Any]:
    """Return the items of a contact's records."""
    found = dynamodb.query(
        TableName="LedgerTable",
        KeyConditionExpression="pk = :contact",
        ExpressionAttributeValues={":contact": {"S": f"{tenant.org_id}#{contact}"}},
        ConsistentRead=True,
    )
    return [dict(item) for item in found["Items"]]
