"""Every event in events/, run through the handler it is for, gives the answer published for it."""

import re
from pathlib import Path
from typing import Any

import pytest
from consents.domain.organization import Scope

from tests.integration.conftest import Invoke, NewTenant
from tests.integration.invocation import Response

DROPS = ("plan_import", "import_part", "fail_import", "receive_message", "send_message")
"""Functions behind a queue: their tests have their events."""
PAGES = ("serve_form", "serve_poster", "submit_form", "serve_challenge", "answer_challenge")
"""Functions of pages: test_form_pages.py and test_challenge_pages.py have their events."""
LOG = ("get_log_keys", "publish_log", "seal_records")
"""Functions whose answer is no JSON, or that nobody calls: test_log.py has their events."""

EVENTS = sorted(
    path.stem
    for path in (Path(__file__).parents[2] / "events").glob("*.json")
    if not path.stem.startswith(DROPS + PAGES + LOG)
)
ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
DEMO_PHONE_NUMBER_ID = "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e"

CORS = {
    "Access-Control-Allow-Origin": "https://app.example.com",
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Expose-Headers": (
        "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Idempotent-Replayed, Consent-Log"
    ),
}
TWO_ITEMS = {
    "items": [
        {
            "correlation_id": "ad388b5a46b33b874b0d41f7226db2ef",
            "error_code": 0,
            "error_messages": [],
        },
        {
            "correlation_id": "02520cfa6c432f0e3ec3a38c122d428d",
            "error_code": 30646,
            "error_messages": ["INVALID_CONTACT_ID", "INVALID_DATE_OF_CONSENT"],
        },
    ]
}
NOT_JSON_ITEM = {
    "correlation_id": None,
    "error_code": 30646,
    "error_messages": [
        "INVALID_CORRELATION_ID",
        "INVALID_SENDER_ID",
        "INVALID_CONTACT_ID",
        "INVALID_STATUS",
        "INVALID_SOURCE",
    ],
}
MIXED = {
    "accepted": 1,
    "rejected": [
        {
            "index": 1,
            "code": "VALIDATION_FAILED",
            "reason": "evidence.ip_address: must be a valid IP address",
        }
    ],
}


def refusal(code: int, message: str, status: int) -> dict[str, Any]:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return {"code": code, "message": message, "more_info": more_info, "status": status}


def error(code: str, message: str, **details: str) -> dict[str, Any]:
    return {"code": code, "message": message} | ({"details": details} if details else {})


FORM = {
    "agreement_text_hash": "25ca776826be8d1e09957481ea010be0e68008eb311feb0cb45ed6a4697bf913",
    "confirm": "none",
}
MISSING_ITEMS = "Missing required parameter Items in the post body"
INSTANT = r"[0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z"
IDS_OF_A_RESULT = {"consent_id", "decision_id", "record_id", "effective_at"}
"""Known only to be there or not."""


def decision(contact: str | None, reason: str) -> dict[str, Any]:
    """Return a decision without a record."""
    return {
        "contact_number": contact,
        "allowed": False,
        "reason": reason,
        "consent_id": False,
        "record": None,
        "expires_at": None,
        "decision_id": contact is not None,
    }


def revocation(index: int) -> dict[str, Any]:
    """Return the result of a revocation of a contact without records."""
    return {
        "index": index,
        "consent_id": True,
        "opted_in": False,
        "record_id": True,
        "effective_at": True,
        "already_opted_out": False,
    }


NOT_FOUND = (404, error("NOT_FOUND", "not found"))


def invalid(**details: str) -> tuple[int, Any]:
    return 422, error("VALIDATION_FAILED", "validation failed", **details)


EXPECTED: dict[str, tuple[int, Any]] = {
    "capture_consent.accepted": (
        201,
        {
            "agreement_text_hash": (
                "c83f56ffa2ffa01068bd03eda361f4d92cd803e9a7604c000ad07f32d6e7bb44"
            ),
            "already_opted_in": False,
        },
    ),
    "capture_consent.invalid_fields": (
        422,
        error(
            "VALIDATION_FAILED",
            "validation failed",
            **{
                "contact_number": "must be E.164",
                "evidence.ip_address": "must be a valid IP address",
            },
        ),
    ),
    "capture_consent.unknown_phone_number": NOT_FOUND,
    "capture_consents.base64": (200, MIXED),
    "capture_consents.empty_records": (
        422,
        error("VALIDATION_FAILED", "validation failed", records="must hold 1..1000 records, got 0"),
    ),
    "capture_consents.gzip": (200, MIXED),
    "capture_consents.mixed": (200, MIXED),
    "capture_consents.no_credentials": (401, error("UNAUTHORIZED", "authentication failed")),
    "capture_consents.not_json": (400, error("INVALID_INPUT", "the body must be a JSON object")),
    "capture_consents.wrong_content_type": (
        415,
        error("UNSUPPORTED_MEDIA_TYPE", "the content type must be application/json"),
    ),
    "check_consents.invalid_fields": invalid(
        at="must not be sent",
        contact_numbers="must hold 1..1000 contacts, got 0",
        phone_number_id="name one of phone_number_id, sender_id",
    ),
    "check_consents.three_contacts": (
        200,
        {
            "phone_number_id": DEMO_PHONE_NUMBER_ID,
            "sender_id": "+15550001111",
            "rules_version": 0,
            "allowed": 0,
            "refused": 3,
            "results": [
                decision("+15554443333", "NO_RECORD"),
                decision("+15554443335", "NO_RECORD"),
                decision(None, "INVALID_CONTACT"),
            ],
        },
    ),
    "check_consents.unknown_phone_number": NOT_FOUND,
    "create_bulk_consents.bad_credentials": (401, refusal(20003, "Authenticate", 401)),
    "create_bulk_consents.base64": (201, TWO_ITEMS),
    "create_bulk_consents.empty_body": (400, refusal(20001, MISSING_ITEMS, 400)),
    "create_bulk_consents.gzip": (201, TWO_ITEMS),
    "create_bulk_consents.indexed_fields": (201, TWO_ITEMS),
    "create_bulk_consents.not_json": (201, {"items": [NOT_JSON_ITEM] * 3}),
    "create_bulk_consents.preflight": (204, None),
    "create_bulk_consents.two_items": (201, TWO_ITEMS),
    "close_form.unknown": (404, error("NOT_FOUND", "not found")),
    "create_form.invalid_fields": (
        422,
        error(
            "VALIDATION_FAILED",
            "validation failed",
            agreement_text="must be 1..10000 chars",
            headline="must be one line",
            locale="must be one of en, es",
            expires_in="must be 300..2592000 seconds",
            max_submissions="must be 1",
        ),
    ),
    "create_form.one_contact": (
        201,
        FORM | {"missing_disclosures": ["program", "terms", "privacy"]},
    ),
    "create_form.open": (201, FORM | {"missing_disclosures": ["terms", "privacy"]}),
    "create_form.unknown_phone_number": (404, error("NOT_FOUND", "not found")),
    "create_import.csv": (201, {"state": "awaiting_upload"}),
    "create_import.invalid_fields": (
        422,
        error(
            "VALIDATION_FAILED",
            "validation failed",
            format="must be one of csv, csv.gz, jsonl, jsonl.gz",
            size="must be 1..5368709120 bytes",
        ),
    ),
    "get_consent.unknown": NOT_FOUND,
    "get_import.unknown": NOT_FOUND,
    "get_log.invalid_size": invalid(min_size="must be a whole number"),
    "get_log.missing_tile": NOT_FOUND,
    "list_consent_history.invalid_page": invalid(limit="must be 1..100"),
    "list_consent_history.unknown": NOT_FOUND,
    "list_imports.first_page": (200, {}),
    "not_found.attested": NOT_FOUND,
    "not_found.bulk_consents": (
        404,
        refusal(20404, "The requested resource was not found", 404),
    ),
    "revoke_consent.unknown": NOT_FOUND,
    "revoke_consents.all_senders": (
        200,
        {
            "revoked": 1,
            "rejected": [
                {
                    "index": 1,
                    "code": "VALIDATION_FAILED",
                    "reason": "contact_number: must be E.164",
                }
            ],
            "results": [revocation(0)],
        },
    ),
    "revoke_consents.dry_run": (
        200,
        {"revoked": 1, "rejected": [], "results": [revocation(0)]},
    ),
    "revoke_consents.invalid_fields": invalid(
        **{
            "all_senders": "name one of phone_number_id, sender_id, all_senders",
            "evidence.seen_by": "must not be sent",
            "evidence.method": "must be one of sms_keyword, reply, web, email, phone, letter, "
            "in_person, other",
            "evidence.text": "must be 1..1000 chars",
        }
    ),
    "make_proof.behind": (
        409,
        error("LOG_BEHIND", "the published log is smaller: try again in a minute"),
    ),
    "make_proof.invalid_fields": invalid(
        contact_number="must be E.164",
        kept="must be an array of at most 16 sizes",
        sender_id="must not be sent",
    ),
    "search_consents.invalid_fields": invalid(
        contact_number="must be E.164", limit="must be 1..100"
    ),
    "search_consents.one_contact": (
        200,
        {"success": True, "data": [], "meta": {"limit": 20, "next_cursor": None}},
    ),
    "receive_twilio.wrong_signature": (403, None),
    "open_challenge.invalid_fields": (
        422,
        error(
            "VALIDATION_FAILED",
            "validation failed",
            contact_number="must be E.164",
            channel="must be one of reply, link, both",
            expires_in="must be 300..604800 seconds",
            resend="must be true or false",
            confirmation_text="must say how to confirm (YES) and how to stop (STOP)",
        ),
    ),
    "open_challenge.new": (202, {"reused": False, "already_opted_in": False}),
    "show_challenge.unknown": (404, error("NOT_FOUND", "not found")),
    "show_form.unknown": (404, error("NOT_FOUND", "not found")),
    "verify_decision.invalid_fields": invalid(
        asked_at="must be an RFC 3339 timestamp",
        rules_version="must be a whole number",
        result="must be an object",
    ),
    "verify_decision.not_genuine": (200, {"genuine": False, "ledger": None}),
}


@pytest.fixture
def answer(event: str, invoke: Invoke, new_tenant: NewTenant) -> Response:
    tenant = new_tenant(phone_number_id=DEMO_PHONE_NUMBER_ID, scope=" ".join(Scope))
    if event.endswith("credentials"):
        return invoke(event)
    return invoke(event, tenant.basic if "bulk_consents" in event else tenant.bearer)


def test_every_event_has_an_expected_response() -> None:
    assert sorted(EXPECTED) == EVENTS


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_has_the_published_response(event: str, answer: Response) -> None:
    status, body = EXPECTED[event]

    assert answer.status == status
    assert without_ids(answer) == body


def without_ids(answer: Response) -> Any:
    body = answer.json if answer.body else None
    if isinstance(body, dict) and "error" in body:
        assert body["success"] is False
        assert body["error"].pop("request_id") == answer.headers["X-Request-Id"]
        return body["error"]
    if isinstance(body, dict) and "import_id" in body:
        assert re.fullmatch("[0-9a-f]{32}", body.pop("import_id"))
    if isinstance(body, dict) and "consent_id" in body:
        assert re.fullmatch("[0-9a-f]{48,80}", body.pop("consent_id"))
    if isinstance(body, dict) and "asked_at" in body:
        assert re.fullmatch(INSTANT, body.pop("asked_at"))
    for result in body.get("results", []) if isinstance(body, dict) else []:
        for name in IDS_OF_A_RESULT & result.keys() - {"record"}:
            assert result[name] is None or re.fullmatch(INSTANT + "|[0-9a-f]{32,80}", result[name])
            result[name] = bool(result[name])
    if isinstance(body, dict) and "imports" in body:  # those of the tests before
        assert isinstance(body.pop("imports"), list)
        del body["next_cursor"]
    if isinstance(body, dict) and "consent_pending_id" in body:
        assert body.pop("consent_pending_id") != body.pop("confirmation_message_id")
        assert re.fullmatch("[0-9T:-]{19}Z", body.pop("expires_at"))
    if isinstance(body, dict) and "form_id" in body:
        token, form_id = body.pop("token"), body.pop("form_id")
        assert token.partition(".")[0] == form_id
        assert body.pop("url") == f"https://text.example.com/f/{token}"
        assert re.fullmatch("[0-9T:-]{19}Z", body.pop("expires_at"))
    if isinstance(body, dict) and "upload" in body:
        assert body.pop("upload").keys() == {"method", "url", "headers", "expires_at"}
    return body


@pytest.mark.parametrize("event", EVENTS)
def test_every_response_has_a_request_id_and_a_content_type(answer: Response) -> None:
    assert re.fullmatch(ULID, answer.headers["X-Request-Id"])
    assert answer.headers.get("Content-Type") == ("application/json" if answer.body else None)


@pytest.mark.parametrize("event", EVENTS)
def test_only_the_bulk_consents_api_has_cors_headers(event: str, answer: Response) -> None:
    cors = {key: value for key, value in answer.headers.items() if key.startswith("Access-Control")}

    assert cors == (CORS if "bulk_consents" in event else {})
