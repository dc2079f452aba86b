"""The API of hosted forms: make one, see its state, close it."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from consents.domain.record import text_hash

from tests.factories import COMPLETE_TEXT
from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.invocation import Response
from tests.integration.visitors import CONTACT, bound, order

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def make(invoke: Invoke, tenant: Tenant, sent: dict[str, Any], **headers: str) -> Response:
    return invoke("create_form.open", tenant.bearer | headers, body=json.dumps(sent))


def show(invoke: Invoke, tenant: Tenant, form_id: str, event: str = "show_form") -> Response:
    path = {"form_id": form_id}
    return invoke(f"{event}.unknown", tenant.bearer, pathParameters=path)


def details(answer: Response) -> dict[str, str]:
    assert answer.status == 422
    found: dict[str, str] = answer.json["error"]["details"]
    return found


def test_a_form_has_a_link_and_a_state(invoke: Invoke, tenant: Tenant) -> None:
    made = make(invoke, tenant, bound(tenant, reference="patient 17")).json
    shown = show(invoke, tenant, made["form_id"]).json

    assert made["url"] == f"https://text.example.com/f/{made['token']}"
    assert made["agreement_text_hash"] == text_hash(COMPLETE_TEXT)
    assert shown == {
        "form_id": made["form_id"],
        "state": "open",
        "contact_number": CONTACT,
        "confirm": "none",
        "submissions": 0,
        "created_at": shown["created_at"],
        "expires_at": made["expires_at"],
        "closed_at": None,
    }


def test_the_link_of_an_open_form_is_its_id(invoke: Invoke, tenant: Tenant) -> None:
    made = make(invoke, tenant, order(tenant)).json

    assert made["token"] == made["form_id"]
    assert show(invoke, tenant, made["form_id"]).json["contact_number"] is None


def test_the_secret_of_a_link_is_not_stored(
    invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient"
) -> None:
    made = make(invoke, tenant, bound(tenant)).json
    key = {"pk": {"S": f"FORM#{made['form_id']}"}, "sk": {"S": "FORM"}}
    item = dynamodb.get_item(TableName="FormsTable", Key=key)["Item"]

    assert made["token"].partition(".")[2] not in str(item)
    assert item["expiration"]["N"].isdigit()


def test_starter_may_make_forms(invoke: Invoke, new_tenant: NewTenant) -> None:
    tenant = new_tenant(plan="starter")
    made = make(invoke, tenant, bound(tenant))

    assert made.status == 201
    assert show(invoke, tenant, made.json["form_id"]).status == 200
    assert show(invoke, tenant, made.json["form_id"], "close_form").status == 204


def test_a_form_closes_once(invoke: Invoke, tenant: Tenant) -> None:
    form_id = make(invoke, tenant, order(tenant)).json["form_id"]

    assert show(invoke, tenant, form_id, "close_form").status == 204
    closed = show(invoke, tenant, form_id).json
    assert show(invoke, tenant, form_id, "close_form").status == 204

    assert closed["state"] == "closed"
    assert closed == show(invoke, tenant, form_id).json


@pytest.mark.parametrize("event", ["show_form", "close_form"])
def test_another_organizations_form_is_not_found(
    invoke: Invoke, new_tenant: NewTenant, event: str
) -> None:
    owner, other = new_tenant(), new_tenant()
    form_id = make(invoke, owner, order(owner)).json["form_id"]

    assert show(invoke, other, form_id, event).status == 404
    assert show(invoke, owner, form_id).json["state"] == "open"


@pytest.mark.parametrize("form_id", ["x", "k7m2x9qp4hw8rt3v.0123456789abcdefABCDEF", ""])
def test_a_text_that_is_no_id_is_not_found(invoke: Invoke, tenant: Tenant, form_id: str) -> None:
    assert show(invoke, tenant, form_id).status == 404


def test_a_repeat_of_a_key_has_the_same_link(invoke: Invoke, tenant: Tenant) -> None:
    first, repeat = (
        make(invoke, tenant, bound(tenant), **{"Idempotency-Key": "one"}) for _ in range(2)
    )

    assert first.json == repeat.json
    assert repeat.headers["Idempotent-Replayed"] == "true"


def test_an_open_form_asks_by_text_message_by_default(invoke: Invoke, tenant: Tenant) -> None:
    """Anybody may type anybody's number."""
    sent = order(tenant)
    del sent["confirm"]

    assert make(invoke, tenant, sent).json["confirm"] == "sms"
    assert make(invoke, tenant, sent | {"contact_number": CONTACT}).json["confirm"] == "none"


@pytest.mark.parametrize(
    ("contact", "message"),
    [
        ("+447911123456", "messages to this country are not allowed"),
        ("+18002345678", "must be a number that takes texts"),
    ],
)
def test_a_contact_who_is_not_to_be_texted_is_refused(
    invoke: Invoke, tenant: Tenant, contact: str, message: str
) -> None:
    sent = order(tenant, contact_number=contact)

    assert make(invoke, tenant, sent).status == 201
    refused = make(invoke, tenant, sent | {"confirm": "sms"})
    assert details(refused) == {"contact_number": message}


def test_an_unknown_sender_is_a_fault_among_others(invoke: Invoke, tenant: Tenant) -> None:
    unknown = {"phone_number_id": "00000000-0000-4000-8000-000000000000"}
    sent = order(tenant, **unknown, locale="fr")

    assert details(make(invoke, tenant, sent)) == {
        "phone_number_id": "not found",
        "locale": "must be one of en, es",
    }
    assert make(invoke, tenant, order(tenant, **unknown)).status == 404
