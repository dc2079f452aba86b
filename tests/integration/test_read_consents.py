"""Search, get and history: what the ledger holds of a contact."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from consents.domain.record import text_hash

from tests.integration.callers import item, record
from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.invocation import Response

SEARCH, GET = "search_consents.one_contact", "get_consent.unknown"
HISTORY = "list_consent_history.unknown"
BOB = "+15550000001"
STOPPED_AT = "2026-04-28T12:00:00Z"

type Read = Callable[..., Response]


@pytest.fixture
def bob(invoke: Invoke, tenant: Tenant) -> str:
    """A contact with an opt-in by one API and a later opt-out by the other; its consent id."""
    answer = invoke("capture_consent.accepted", tenant.bearer, body=json.dumps(record(tenant, 1)))
    stop = item(tenant, 1, status="opt-out", date_of_consent=STOPPED_AT, sender_id="123456")
    for sender in ("123456", tenant.phone_number):
        form = f"Items={json.dumps(stop | {'sender_id': sender})}".replace("+", "%2B")
        invoke("create_bulk_consents.two_items", tenant.basic, body=form)
    return str(answer.json["consent_id"])


@pytest.fixture
def search(invoke: Invoke, tenant: Tenant) -> Read:
    """Search the consents of a contact."""

    def search(contact: str = BOB, by: Tenant = tenant, **body: Any) -> Response:
        return invoke(SEARCH, by.bearer, body=json.dumps({"contact_number": contact} | body))

    return search


@pytest.fixture
def read(invoke: Invoke, tenant: Tenant) -> Read:
    """Get a consent, or a page of its history."""

    def read(consent_id: str, event: str = GET, by: Tenant = tenant, **parameters: str) -> Response:
        path = {"consent_id": consent_id}
        return invoke(
            event, by.bearer, pathParameters=path, queryStringParameters=parameters or None
        )

    return read


def test_a_single_capture_returns_the_id_of_the_consent(
    bob: str, read: Read, tenant: Tenant
) -> None:
    found = read(bob)

    assert found.status == 200
    assert found.json == {
        "id": bob,
        "org_id": tenant.org_id,
        "phone_number_id": tenant.phone_number_id,
        "sender_id": tenant.phone_number,
        "contact_number": BOB,
        "opted_in": False,
        "reason": "OPTED_OUT",
        "opted_in_at": "2026-04-26T12:00:00.000000Z",
        "opted_out_at": "2026-04-28T12:00:00.000000Z",
        "expires_at": None,
        "record_id": found.json["record_id"],
        "source": "bulk-consents",
        "created_at": found.json["created_at"],
        "updated_at": found.json["updated_at"],
    }
    assert found.json["created_at"] < found.json["updated_at"]
    assert found.headers["Cache-Control"] == "no-store"


def test_a_search_has_one_consent_per_sender(bob: str, search: Read, tenant: Tenant) -> None:
    found = search().json

    assert [each["sender_id"] for each in found["data"]] == [tenant.phone_number, "123456"]
    assert found["data"][0]["id"] == bob
    assert found["meta"] == {"limit": 20, "next_cursor": None}
    assert search(sender_id="123456").json["data"] == found["data"][1:]
    assert search(phone_number_id=tenant.phone_number_id).json["data"] == found["data"][:1]


@pytest.mark.usefixtures("bob")
def test_a_search_goes_on_after_its_cursor(search: Read) -> None:
    first = search(limit=1).json
    second = search(limit=1, cursor=first["meta"]["next_cursor"]).json

    assert [page["data"][0]["sender_id"] for page in (first, second)] == ["+15550001111", "123456"]
    assert second["meta"]["next_cursor"] is None


def test_an_unknown_contact_has_no_consents(search: Read) -> None:
    assert search("+15550000009").json["data"] == []


def test_the_history_has_the_evidence_and_the_texts(bob: str, read: Read) -> None:
    page = read(bob, HISTORY).json
    opt_out, opt_in = page["data"]

    assert (opt_out["event"], opt_out["occurred_at"]) == ("opt_out", "2026-04-28T12:00:00.000000Z")
    assert opt_out["evidence"] == {"source": "website", "date_of_consent": STOPPED_AT}
    assert opt_in["event"] == "opt_in"
    assert opt_in["consent_id"] == bob
    assert page["agreement_texts"] == {text_hash("Agreed."): "Agreed."}
    assert opt_in["evidence"]["agreement_text_hash"] == text_hash("Agreed.")


def test_no_response_has_a_salt(bob: str, read: Read, search: Read) -> None:
    for answer in (read(bob), read(bob, HISTORY), search()):
        assert answer.status == 200
        assert "salt" not in answer.body


def test_a_history_goes_on_after_its_cursor(bob: str, read: Read) -> None:
    first = read(bob, HISTORY, limit="1").json
    second = read(bob, HISTORY, limit="1", cursor=first["meta"]["next_cursor"]).json

    assert [page["data"][0]["event"] for page in (first, second)] == ["opt_out", "opt_in"]
    assert second["meta"]["next_cursor"] is None


def test_another_organization_finds_no_consent(bob: str, read: Read, new_tenant: NewTenant) -> None:
    other = new_tenant()
    for event in (GET, HISTORY):
        found = read(bob, event, by=other)
        assert (found.status, found.json["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("change", [str.upper, lambda sent: sent[:-2], lambda _: "0" * 62])
def test_any_other_text_is_not_found(bob: str, read: Read, change: Callable[[str], str]) -> None:
    assert read(change(bob)).status == 404


@pytest.mark.parametrize(
    ("parameters", "details"),
    [
        ({"limit": "0"}, {"limit": "must be 1..100"}),
        ({"limit": "101"}, {"limit": "must be 1..100"}),
        ({"limit": "+5"}, {"limit": "must be 1..100"}),
        ({"cursor": "x"}, {"cursor": "must be a next_cursor of this list"}),
        ({"offset": "5"}, {"offset": "must not be sent"}),
    ],
)
def test_a_page_parameter_that_breaks_its_rule_is_refused(
    bob: str, read: Read, parameters: dict[str, str], details: dict[str, str]
) -> None:
    refused = read(bob, HISTORY, **parameters)

    assert (refused.status, refused.json["error"]["details"]) == (422, details)


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({"contact_number": "+19"}, {"contact_number": "must be E.164"}),
        ({"limit": True}, {"limit": "must be 1..100"}),
        ({"cursor": "0" * 62}, {"cursor": "must be a next_cursor of this list"}),
        (
            {"sender_id": "123456", "phone_number_id": "x"},
            {"phone_number_id": "name one of phone_number_id, sender_id"},
        ),
    ],
)
def test_a_search_that_is_not_understood_is_refused(
    search: Read, body: dict[str, Any], details: dict[str, str]
) -> None:
    refused = search(**body) if "contact_number" not in body else search(body["contact_number"])

    assert (refused.status, refused.json["error"]["details"]) == (422, details)


def test_a_key_that_may_only_write_may_not_read(
    bob: str, read: Read, search: Read, new_tenant: NewTenant
) -> None:
    writer = new_tenant(scope="consent:write")

    statuses = [read(bob, by=writer), read(bob, HISTORY, by=writer), search(by=writer)]
    assert [response.status for response in statuses] == [403, 403, 403]
