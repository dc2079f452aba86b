"""Retries and limits on the deployed stack, as the clients of both APIs see them."""

import json
import re
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from tests.e2e import organizations
from tests.e2e.local_stack import LocalStack

VENDOR = "https://accounts.twilio.com"


class Tenant:
    """An organization with a separate rate limit, and clients of both APIs."""

    def __init__(self, stack: LocalStack, per_minute: int) -> None:
        self.account = organizations.create(stack, records_per_minute=per_minute)
        self.org_id, self.api_key = self.account["org_id"], self.account["api_key"]
        self.api_url = stack.api_url
        self.phone_number_id = self.account["sender"]["phone_number_id"]

    def record(self, contact: str) -> dict[str, Any]:
        return {
            "phone_number_id": self.phone_number_id,
            "contact_number": contact,
            "opted_in": True,
            "evidence": {
                "captured_at": "2026-04-26T12:00:00Z",
                "agreement_text": "Agreed.",
                "consent_method": "verbal",
            },
        }

    def post(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return httpx.post(self.api_url + path, json=body, headers=headers, timeout=60)

    def capture(self, *contacts: str, key: str | None = None) -> httpx.Response:
        records = [self.record(contact) for contact in contacts]
        return self.post("/v1/consent/bulk", {"records": records}, key)

    def record_items(self, items: list[dict[str, str]], key: str | None = None) -> "Sent":
        http_client = WithKey(self.api_url, key)
        sid, token = self.account["account_sid"], self.account["auth_token"]
        bulk = Client(sid, token, http_client=http_client).accounts.v1.bulk_consents
        results = bulk.create(items=items).items
        return Sent(results, http_client.last)


class WithKey(TwilioHttpClient):
    """Sends the vendor's requests to the local stack, with an idempotency key."""

    def __init__(self, api_url: str, key: str | None) -> None:
        super().__init__(pool_connections=False)
        self.api_url = api_url
        self.key = {} if key is None else {"Idempotency-Key": key}
        self.last: dict[str, str] = {}

    def request(
        self, method: str, url: str, *args: Any, headers: dict[str, str], **kwargs: Any
    ) -> Response:
        url = url.replace(VENDOR, self.api_url)
        answer = super().request(method, url, *args, headers=headers | self.key, **kwargs)
        self.last = dict(answer.headers)
        return answer


class Sent:
    """The result of the official client, and the response headers that it hides."""

    def __init__(self, items: list[dict[str, Any]], headers: dict[str, str]) -> None:
        self.items = items
        self.headers = {name.lower(): value for name, value in headers.items()}


def item(contact: str = "+15554443333") -> dict[str, str]:
    return {
        "contact_id": contact,
        "correlation_id": uuid4().hex,
        "sender_id": "+15550002222",
        "status": "opt-in",
        "source": "website",
    }


@pytest.fixture
def tenant(stack: LocalStack) -> Tenant:
    return Tenant(stack, 60_000)


def test_retry_with_the_same_key_gets_the_same_bytes(tenant: Tenant) -> None:
    first, again = (tenant.capture("+15554443333", "bad", key='"k-1"') for _ in range(2))

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert first.headers["x-request-id"] != again.headers["x-request-id"]


def test_curl_gets_the_stored_response_of_each_api(tenant: Tenant) -> None:
    account = f"{tenant.account['account_sid']}:{tenant.account['auth_token']}"
    calls = [
        ["-H", f"Authorization: Bearer {tenant.api_key}", "-d", json.dumps({"records": [1]})],
        ["-u", account, "--data-urlencode", f"Items={json.dumps(item())}"],
    ]
    for path, options in zip(["/v1/consent/bulk", "/v1/Consents/Bulk"], calls, strict=True):
        type_ = [] if "-u" in options else ["-H", "Content-Type: application/json"]
        command = ["curl", "-sS", "-i", tenant.api_url + path, "-H", 'Idempotency-Key: "k-1"']
        first, again = (curl([*command, *type_, *options]) for _ in range(2))
        assert again.partition("\r\n\r\n")[2] == first.partition("\r\n\r\n")[2]
        assert "idempotent-replayed: true" in again.lower()
        assert "idempotent-replayed: true" not in first.lower()


def curl(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout


def test_retry_of_a_single_record_gets_the_first_response(tenant: Tenant) -> None:
    body = tenant.record("+15554443333")

    bodies = [tenant.post("/v1/consent", body, key="k-1").json() for _ in range(2)]
    assert bodies[0] == bodies[1]
    assert bodies[1]["already_opted_in"] is False


def test_official_client_gets_its_stored_result(tenant: Tenant) -> None:
    items = [item(), item("+19")]

    first, again = (tenant.record_items(items, key="k-1") for _ in range(2))
    assert again.items == first.items
    assert again.headers["idempotent-replayed"] == "true"


def test_key_with_another_body_is_rejected_by_both_apis(tenant: Tenant) -> None:
    tenant.capture("+15554443333", key="k-1")
    rejected = tenant.capture("+15554443334", key="k-1")
    assert rejected.status_code == 422
    assert rejected.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"

    tenant.record_items([item()], key="k-1")
    with pytest.raises(TwilioRestException) as raised:
        tenant.record_items([item()], key="k-1")
    assert (raised.value.status, raised.value.code) == (422, 20001)


def test_many_clients_with_one_key_make_one_call(tenant: Tenant, stack: LocalStack) -> None:
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: tenant.capture("+15554443333", key="k-1"), range(16)))

    assert {answer.status_code for answer in answers} <= {200, 409}
    done = [answer for answer in answers if answer.status_code == 200]
    assert len([each for each in done if "idempotent-replayed" not in each.headers]) == 1
    assert all(each.headers["retry-after"] == "1" for each in answers if each not in done)
    again = tenant.capture("+15554443333", key="k-1")
    assert {each.content for each in done} == {again.content}
    records = stack.ask("history", "--org", tenant.org_id, "--contact", "+15554443333")
    assert len(records) == 1


def test_both_apis_share_one_rate_limit(stack: LocalStack) -> None:
    tenant = Tenant(stack, 6)  # one record refills in ten seconds
    started = time.monotonic()

    assert tenant.capture("+15554443333", "+15554443334").headers["ratelimit"] == (
        '"records";r=4;t=20'
    )
    sent = tenant.record_items([item("+15554443335")])
    assert sent.headers["ratelimit-policy"] == '"records";q=6;w=60'
    refilled = int((time.monotonic() - started) // 10)
    left = re.match(r'"records";r=(\d);', sent.headers["ratelimit"])
    assert left is not None
    assert 3 <= int(left[1]) <= 3 + refilled
    rejected = tenant.capture(*(f"+155544400{number:02}" for number in range(6)))
    assert (rejected.status_code, rejected.json()["error"]["code"]) == (429, "RATE_LIMITED")
    assert started + 30 - time.monotonic() <= int(rejected.headers["retry-after"]) <= 30


def test_official_client_raises_its_exception_over_the_limit(stack: LocalStack) -> None:
    tenant = Tenant(stack, 2)
    tenant.record_items([item(), item("+15554443334")])

    with pytest.raises(TwilioRestException) as raised:
        tenant.record_items([item("+15554443335"), item("+15554443336")])
    assert (raised.value.status, raised.value.code) == (429, 20429)
    with pytest.raises(TwilioRestException) as raised:
        tenant.record_items([item(f"+155544400{number:02}") for number in range(3)])
    assert (raised.value.status, raised.value.code) == (400, 20001)
    assert "3 Items exceed the allowance of 2 a minute" in raised.value.msg


def test_empty_bucket_has_admitted_exactly_its_capacity(stack: LocalStack) -> None:
    tenant = Tenant(stack, 3)  # one record refills in twenty seconds

    started = time.monotonic()
    with ThreadPoolExecutor(8) as clients:
        answers = list(
            clients.map(lambda number: tenant.capture(f"+1555444{number:04}"), range(20))
        )
    refilled = int((time.monotonic() - started) // 20)
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() == {200, 429}
    assert 3 <= statuses[200] <= 3 + refilled
