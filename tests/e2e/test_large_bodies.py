"""Large and compressed bodies over HTTP: functions get the bytes that the client sent."""

import gzip
import json
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.e2e.local_stack import LocalStack

MEBIBYTE = 1024 * 1024
BULK, SINGLE, BULK_CONSENTS = "/v1/consent/bulk", "/v1/consent", "/v1/Consents/Bulk"
LIMITS = {BULK: 8 * MEBIBYTE, SINGLE: MEBIBYTE, BULK_CONSENTS: 8 * MEBIBYTE}
PLAIN_TYPES = {
    BULK: "application/json",
    SINGLE: "application/json",
    BULK_CONSENTS: "application/x-www-form-urlencoded",
}
TOO_LARGE = {BULK: "PAYLOAD_TOO_LARGE", SINGLE: "PAYLOAD_TOO_LARGE", BULK_CONSENTS: 20001}


def post(stack: LocalStack, route: str, body: bytes, content_type: str) -> httpx.Response:
    organization = stack.organization
    account = (organization["account_sid"], organization["auth_token"])
    bearer = {"Authorization": f"Bearer {organization['api_key']}"}
    return httpx.post(
        stack.api_url + route,
        content=body,
        headers={"Content-Type": content_type} | ({} if route == BULK_CONSENTS else bearer),
        auth=account if route == BULK_CONSENTS else None,
        timeout=60,
    )


def code(response: httpx.Response) -> Any:
    body = response.json()
    return body.get("error", body)["code"]


def valid(stack: LocalStack, route: str) -> bytes:
    """Return a body with one valid record."""
    if route == BULK_CONSENTS:
        item = {
            "contact_id": "+15554447001",
            "correlation_id": "5d1c0e9b8a7f46e3925b1d0c4f3e2a10",
            "sender_id": "+15550001111",
            "status": "opt-in",
            "source": "offline",
            "date_of_consent": "2026-04-26T12:00:00Z",
        }
        return urlencode({"Items": json.dumps(item)}).encode()
    record = {
        "phone_number_id": stack.organization["senders"][0]["phone_number_id"],
        "contact_number": "+15554447001",
        "opted_in": True,
        "evidence": {
            "captured_at": "2026-04-26T12:00:00Z",
            "agreement_text": "Agreed.",
            "consent_method": "verbal",
        },
    }
    return json.dumps({"records": [record]} if route == BULK else record).encode()


def padded(body: bytes, size: int) -> bytes:
    """Return a body with a size; its padding is a field that no API reads."""
    if not body.startswith(b"{"):
        return body + b"&pad=" + b"x" * (size - len(body) - len(b"&pad="))
    start = body.removesuffix(b"}") + b', "pad": "'
    return start + b"x" * (size - len(start) - 2) + b'"}'


@pytest.mark.parametrize("content_type", ["application/gzip", "plain"])
@pytest.mark.parametrize("route", LIMITS)
def test_body_is_accepted_up_to_its_limit_exactly(
    stack: LocalStack, route: str, content_type: str
) -> None:
    bodies = [padded(valid(stack, route), LIMITS[route] + more) for more in (0, 1)]
    if content_type == "plain":
        accepted, rejected = (post(stack, route, body, PLAIN_TYPES[route]) for body in bodies)
    else:
        accepted, rejected = (
            post(stack, route, gzip.compress(body), content_type) for body in bodies
        )

    assert accepted.status_code in {200, 201}, accepted.text
    assert (rejected.status_code, code(rejected)) == (413, TOO_LARGE[route])
    assert str(LIMITS[route]) in rejected.text


@pytest.mark.parametrize("route", LIMITS)
def test_gzip_bomb_and_broken_gzip_are_rejected(stack: LocalStack, route: str) -> None:
    bomb = gzip.compress(bytes(64 * MEBIBYTE)) * 32  # 2 GiB in 2 MB
    truncated = gzip.compress(valid(stack, route))[:-1]

    assert post(stack, route, bomb, "application/gzip").status_code == 413
    assert post(stack, route, truncated, "application/gzip").status_code == 400


def test_form_with_too_many_parameters_is_rejected(stack: LocalStack) -> None:
    response = post(stack, BULK_CONSENTS, b"Items=&" * 100_000, PLAIN_TYPES[BULK_CONSENTS])

    assert response.status_code == 400
    assert response.json() == {
        "code": 20001,
        "message": "The post body must hold at most 100000 parameters, got 100001",
        "more_info": "https://www.twilio.com/docs/errors/20001",
        "status": 400,
    }
