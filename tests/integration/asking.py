"""An organization that captures, checks and revokes, as its clients do."""

import json
from typing import Any
from urllib.parse import urlencode

from tests.integration.callers import item, record
from tests.integration.conftest import Invoke, Tenant
from tests.integration.invocation import Response

REVOKE, DELETE = "revoke_consents.all_senders", "revoke_consent.unknown"
CHECK, GET = "check_consents.three_contacts", "get_consent.unknown"
SINGLE, BATCH = "capture_consent.accepted", "capture_consents.mixed"
BULK = "create_bulk_consents.two_items"


class Caller:
    """An organization that captures, checks and revokes."""

    def __init__(self, invoke: Invoke, tenant: Tenant) -> None:
        self._invoke, self.tenant = invoke, tenant

    def opt_in(self, number: int = 1, date: str = "2026-04-26T12:00:00Z") -> str:
        """Capture an opt-in, and return the consent id."""
        sent = record(self.tenant, number)
        sent["evidence"] |= {"captured_at": date}
        answer = self._invoke(SINGLE, self.tenant.bearer, body=json.dumps(sent))
        return str(answer.json["consent_id"])

    def stop(self, number: int, date: str) -> Response:
        """Send an opt-out by the Bulk Consents API."""
        sent = item(self.tenant, number, status="opt-out", date_of_consent=date)
        form = urlencode({"Items": json.dumps(sent)})
        return self._invoke(BULK, self.tenant.basic, body=form)

    def revoke(
        self,
        *contacts: Any,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        revoked_at: str | None = None,
        **sender: Any,
    ) -> Response:
        """Revoke by contact, for the organization's number unless another is named."""
        named = sender or {"phone_number_id": self.tenant.phone_number_id}
        dated = {"revoked_at": revoked_at} if revoked_at else {}
        evidence = {"method": "sms_keyword", "text": "STOP", **dated}
        return self._invoke(
            REVOKE,
            self.tenant.bearer | (headers or {}),
            body=json.dumps({"contact_numbers": contacts, "evidence": evidence} | named),
            queryStringParameters=query,
        )

    def delete(self, consent_id: str, headers: dict[str, str] | None = None) -> Response:
        """Revoke one consent by its id."""
        path = {"consent_id": consent_id}
        return self._invoke(DELETE, self.tenant.bearer | (headers or {}), pathParameters=path)

    def get(self, consent_id: str) -> Response:
        """Get one consent."""
        return self._invoke(GET, self.tenant.bearer, pathParameters={"consent_id": consent_id})

    def reasons(self, *contacts: str, sender_id: str | None = None) -> list[str]:
        """Return the reason of the decision for each contact."""
        sent = {"contact_numbers": contacts, "sender_id": sender_id or self.tenant.phone_number}
        answer = self._invoke(CHECK, self.tenant.bearer, body=json.dumps(sent))
        return [result["reason"] for result in answer.json["results"]]
