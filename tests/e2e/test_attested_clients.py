"""Plain HTTP clients on the deployed stack: the Attested Consent API, and common responses."""

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests
from consents_cli.history import records as records_of
from consents_cli.stack import Stack

from tests.e2e import organizations
from tests.e2e.local_stack import LocalStack

type Answered = tuple[int, dict[str, str], bytes]
type Post = Callable[[str, str, bytes, dict[str, str]], Answered]

ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
PUBLISHED = b"""{
  "accepted": 1,
  "rejected": [
    {
      "index": 1,
      "code": "VALIDATION_FAILED",
      "reason": "evidence.ip_address: must be a valid IP address"
    }
  ]
}"""


def with_httpx(method: str, url: str, body: bytes, headers: dict[str, str]) -> Answered:
    answer = httpx.request(method, url, content=body, headers=headers, timeout=60)
    return answer.status_code, dict(answer.headers), answer.content


def with_requests(method: str, url: str, body: bytes, headers: dict[str, str]) -> Answered:
    answer = requests.request(method, url, data=body, headers=headers, timeout=60)
    return answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content


def with_curl(method: str, url: str, body: bytes, headers: dict[str, str]) -> Answered:
    options = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    ran = subprocess.run(
        ["curl", "-sS", "-i", "-X", method, url, *options, "--data-binary", "@-"],
        input=body,
        capture_output=True,
        check=True,
        timeout=60,
    )
    head, _, content = ran.stdout.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(
        b"\r\n\r\n"
    )
    status, *lines = head.decode().split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return int(status.split()[1]), {name.lower(): value for name, _, value in pairs}, content


CLIENTS: list[Post] = [with_httpx, with_requests, with_curl]


@pytest.fixture
def headers(stack: LocalStack) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {stack.organization['api_key']}",
        "Content-Type": "application/json",
    }


def record(contact: str = "+15554443333", **evidence: Any) -> dict[str, Any]:
    return {
        "phone_number_id": "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e",
        "contact_number": contact,
        "opted_in": True,
        "evidence": {
            "captured_at": "2026-04-26T12:00:00Z",
            "ip_address": "203.0.113.42",
            "user_agent": "Mozilla/5.0",
            "agreement_text": "You agree to receive reminders. Reply STOP to opt out.",
            "form_url": "https://example.com/signup",
            "consent_method": "checkbox",
            **evidence,
        },
    }


def batch(*records: Any) -> bytes:
    return json.dumps({"records": records}).encode()


@pytest.mark.parametrize("post", CLIENTS)
def test_published_batch_gets_the_published_response(
    stack: LocalStack, headers: dict[str, str], post: Post
) -> None:
    second = record("+15554443334", captured_at="2026-04-26T12:00:01Z", ip_address="")

    status, received, body = post(
        "POST", f"{stack.api_url}/v1/consent/bulk", batch(record(), second), headers
    )
    assert (status, body) == (200, PUBLISHED)
    assert re.fullmatch(ULID, received["x-request-id"])
    assert received["content-type"] == "application/json"


@pytest.mark.parametrize("post", CLIENTS)
def test_single_record_gets_a_stable_consent_id(
    stack: LocalStack, headers: dict[str, str], post: Post
) -> None:
    url, contact = f"{stack.api_url}/v1/consent", f"+1555666000{CLIENTS.index(post)}"
    body = json.dumps(record(contact)).encode()

    first, second = (post("POST", url, body, headers) for _ in range(2))
    assert (first[0], second[0]) == (201, 201)
    new, again = json.loads(first[2]), json.loads(second[2])
    assert new["consent_id"] == again["consent_id"]
    assert (new["already_opted_in"], again["already_opted_in"]) == (False, True)


def test_valid_records_of_a_large_batch_are_in_the_history(
    stack: LocalStack, deployed: Stack, headers: dict[str, str]
) -> None:
    url, org_id = f"{stack.api_url}/v1/consent/bulk", stack.organization["org_id"]
    records = [record(f"+1556{number:07}", user_agent=f"agent {number}") for number in range(1000)]
    bad = set(range(0, 1000, 9))
    for index in bad:
        records[index]["contact_number"] = "+1555"

    def post() -> Any:
        return httpx.post(url, content=batch(*records), headers=headers, timeout=60).json()

    def history(index: int) -> list[dict[str, Any]]:
        contact = records[index]["contact_number"]
        return records_of(deployed, org_id, contact, None)

    for _ in range(2):
        result = post()
        assert result["accepted"] == 1000 - len(bad)
        assert {each["index"] for each in result["rejected"]} == bad
    assert [len(history(index)) for index in (1, 500, 998)] == [1, 1, 1]

    records[500]["evidence"]["user_agent"] = "another"
    assert post()["accepted"] == 1000 - len(bad)
    assert [each["evidence"]["user_agent"] for each in history(500)].count("another") == 1
    assert [len(history(index)) for index in (1, 500, 998)] == [1, 2, 1]


@pytest.mark.parametrize("post", CLIENTS)
@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/consent/bulk", "NOT_FOUND"),
        ("DELETE", "/v1/consent", "NOT_FOUND"),
        ("POST", "/v1/consents", "NOT_FOUND"),
        ("POST", "/v1/Consents", 20404),
        ("PUT", "/v1/Consents/Bulk", 20404),
    ],
)
def test_unknown_route_is_404_in_the_format_of_its_api(
    stack: LocalStack, post: Post, method: str, path: str, code: str | int
) -> None:
    status, received, body = post(method, stack.api_url + path, b"", {})

    answer = json.loads(body)
    assert (status, answer.get("error", answer)["code"]) == (404, code)
    assert re.fullmatch(ULID, received["x-request-id"])


@pytest.mark.parametrize(
    ("path", "known", "code"),
    [
        ("/v1/Consents/Bulk", {"OPTIONS", "POST"}, 20404),
        ("/v1/consent", {"POST"}, "NOT_FOUND"),
        ("/v1/consent/bulk", {"POST"}, "NOT_FOUND"),
        ("/v1/imports", {"GET", "POST"}, "NOT_FOUND"),
        ("/v1/imports/01JTBQH2FZ8K1RXC0WJ4Z9P3VM", {"GET"}, "NOT_FOUND"),
    ],
)
def test_unknown_method_is_404_in_the_format_of_its_api(
    stack: LocalStack, path: str, known: set[str], code: str | int
) -> None:
    headers = {"Authorization": f"Bearer {stack.organization['api_key']}"}
    for method in {"DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"} - known:
        response = httpx.request(method, stack.api_url + path, headers=headers, timeout=30)
        body = response.json()
        assert (response.status_code, body.get("error", body)["code"]) == (404, code), method


@pytest.mark.parametrize("post", CLIENTS)
def test_all_bad_keys_get_the_same_response(stack: LocalStack, post: Post) -> None:
    url = f"{stack.api_url}/v1/consent/bulk"

    answers = []
    for headers in ({}, {"Authorization": "Bearer am_live_x"}, {"Authorization": "Basic eDp5"}):
        status, _, body = post("POST", url, batch(record()), headers)
        error = json.loads(body)["error"]
        del error["request_id"]
        answers.append((status, error))
    assert answers == [(401, {"code": "UNAUTHORIZED", "message": "authentication failed"})] * 3


def test_preflight_needs_no_credentials(stack: LocalStack) -> None:
    answer = httpx.options(
        f"{stack.api_url}/v1/Consents/Bulk",
        headers={"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"},
    )

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-credentials"] == "false"


FORMS = [
    b"",
    b"Items=%ff",
    b"\xff\xfe\x00",
    b"Items[0][contact_id]=%2B1",
    b"Items=" + b"[" * 5000,
    b"Items=1&" * 1001,
]


@pytest.mark.parametrize("body", FORMS)
def test_hostile_form_is_no_server_error(stack: LocalStack, body: bytes) -> None:
    organization = stack.organization
    answer = httpx.post(
        f"{stack.api_url}/v1/Consents/Bulk",
        content=body,
        auth=(organization["account_sid"], organization["auth_token"]),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.status_code in {201, 400}


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 5000, b'{"records": [NaN]}', b"\x1f\x8b"])
def test_hostile_json_is_no_server_error(
    stack: LocalStack, headers: dict[str, str], body: bytes
) -> None:
    answer = httpx.post(f"{stack.api_url}/v1/consent/bulk", content=body, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_INPUT")


def test_empty_chunked_body_is_a_missing_parameter(stack: LocalStack) -> None:
    organization = stack.organization
    answer = httpx.post(
        f"{stack.api_url}/v1/Consents/Bulk",
        content=iter(()),
        auth=(organization["account_sid"], organization["auth_token"]),
    )

    assert answer.request.headers["Transfer-Encoding"] == "chunked"
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert answer.json()["message"] == "Missing required parameter Items in the post body"


def code(answer: httpx.Response) -> tuple[int, str | int]:
    body = answer.json()
    return answer.status_code, body.get("error", body)["code"]


@pytest.mark.parametrize(
    ("path", "changes", "body", "error"),
    [
        ("/v1/consent/bulk", {}, b"[]", (400, "INVALID_INPUT")),
        ("/v1/consent/bulk", {}, b'{"records": []}', (422, "VALIDATION_FAILED")),
        ("/v1/consent/bulk", {}, batch(*[1] * 1001), (422, "VALIDATION_FAILED")),
        ("/v1/consent/bulk", {}, b" " * (8 * 2**20 + 1), (413, "PAYLOAD_TOO_LARGE")),
        ("/v1/consent", {}, b" " * (2**20 + 1), (413, "PAYLOAD_TOO_LARGE")),
        (
            "/v1/consent/bulk",
            {"Content-Type": "text/csv"},
            batch(record()),
            (415, "UNSUPPORTED_MEDIA_TYPE"),
        ),
        (
            "/v1/consent/bulk",
            {"Idempotency-Key": "x" * 256},
            batch(record()),
            (422, "VALIDATION_FAILED"),
        ),
        ("/v1/consent", {}, b"{}", (422, "VALIDATION_FAILED")),
        (
            "/v1/consent",
            {},
            json.dumps(
                record() | {"phone_number_id": "00000000-0000-4000-8000-000000000000"}
            ).encode(),
            (404, "NOT_FOUND"),
        ),
    ],
    ids=["array", "empty", "1001", "8 MiB", "1 MiB", "csv", "key", "fields", "unknown"],
)
def test_rejected_call_has_a_reason_and_the_rate_limit(
    stack: LocalStack,
    headers: dict[str, str],
    path: str,
    changes: dict[str, str],
    body: bytes,
    error: tuple[int, str],
) -> None:
    answer = httpx.post(stack.api_url + path, content=body, headers=headers | changes, timeout=60)

    assert code(answer) == error
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["ratelimit-policy"] == '"records";q=60000;w=60'


@pytest.mark.parametrize(
    ("plan", "scope", "error"),
    [("starter", "consent:write", "PLAN_REQUIRED"), ("payg", "consent:read", "FORBIDDEN")],
)
def test_key_without_the_plan_or_the_scope_is_rejected(
    stack: LocalStack, plan: str, scope: str, error: str
) -> None:
    key = organizations.create(stack, plan=plan, scope=scope)["api_key"]

    bearer = {"Authorization": f"Bearer {key}"}
    answer = httpx.post(f"{stack.api_url}/v1/consent/bulk", content=b"{}", headers=bearer)
    assert code(answer) == (403, error)
