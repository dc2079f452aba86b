"""POST /v1/Consents/Bulk through its handler, on a real engine."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from consents.capture.ledger import Ledger

from tests.integration.conftest import Invoke, Tenant

EVENT = "create_bulk_consents.two_items"


def item(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "contact_id": f"+1555000{number:04}",
        "correlation_id": f"{number:032x}",
        "sender_id": "MG00000000000000000000000000000001",
        "status": "opt-in",
        "source": "website",
        **changes,
    }


def form(*items: Any) -> str:
    return urlencode([("Items", json.dumps(each)) for each in items])


def test_an_item_is_in_the_ledger_as_it_was_sent(
    invoke: Invoke, tenant: Tenant, ledger: Ledger
) -> None:
    sent = item(sender_id="MG" + "AB" * 16, date_of_consent="2025-02-28T10:05:27.5+01:00")

    answer = invoke(EVENT, tenant.basic, body=form(sent))
    assert answer.json["items"][0]["error_code"] == 0
    (stored,) = ledger.history(tenant.org_id, "+15550000000")
    assert stored.sender == "MG" + "ab" * 16
    assert stored.effective_at == "2025-02-28T09:05:27.500000Z"
    assert stored.evidence == {
        "source": "website",
        "date_of_consent": "2025-02-28T10:05:27.5+01:00",
    }
    assert stored.correlation_id == "0" * 32


def test_an_item_without_a_date_counts_from_its_first_receipt(
    invoke: Invoke, tenant: Tenant, ledger: Ledger
) -> None:
    for date in ({}, {"date_of_consent": None}, {"date_of_consent": ""}):
        invoke(EVENT, tenant.basic, body=form(item(**date)))

    (stored,) = ledger.history(tenant.org_id, "+15550000000")
    assert stored.effective_at == stored.received_at
    assert stored.evidence == {"source": "website"}


def test_items_return_in_order_and_only_valid_ones_are_stored(
    invoke: Invoke, tenant: Tenant, ledger: Ledger
) -> None:
    sent: list[Any] = [item(number) for number in range(1000)]
    sent[3], sent[500], sent[999] = None, item(500, status="Opt-In"), item(0)

    items = invoke(EVENT, tenant.basic, body=form(*sent)).json["items"]
    ids = [each["correlation_id"] if each else None for each in sent]
    assert [each["correlation_id"] for each in items] == ids
    refused = {n: each["error_messages"] for n, each in enumerate(items) if each["error_code"]}
    assert set(refused) == {3, 500, 999}
    assert refused[500] == ["INVALID_STATUS"]
    assert refused[999] == ["INVALID_CORRELATION_ID"]
    assert len(ledger.history(tenant.org_id, "+15550000999")) == 0
    assert len(ledger.history(tenant.org_id, "+15550000998")) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "Missing required parameter Items in the post body"),
        (None, "Missing required parameter Items in the post body"),
        ("Item=1", "Missing required parameter Items in the post body"),
        ("Items=[]", "Missing required parameter Items in the post body"),
        ('{"Items": []}', "Missing required parameter Items in the post body"),
        (form(*[1] * 1001), "Items must hold at most 1000, got 1001"),
        pytest.param(
            "Items=&" * 900_000,
            "The post body must hold at most 100000 parameters, got 900001",
            id="parameters",
        ),
    ],
)
def test_a_call_without_items_or_with_too_many_says_so(
    invoke: Invoke, tenant: Tenant, body: str | None, message: str
) -> None:
    answer = invoke(EVENT, tenant.basic, body=body)

    assert answer.json == {
        "code": 20001,
        "message": message,
        "more_info": "https://www.twilio.com/docs/errors/20001",
        "status": 400,
    }


def test_a_body_over_8_mib_is_rejected_with_the_limit(invoke: Invoke, tenant: Tenant) -> None:
    answer = invoke(EVENT, tenant.basic, body="Items=" + "x" * (8 * 2**20 - 5))

    assert (answer.status, answer.json["code"]) == (413, 20001)
    assert answer.json["message"] == "The post body must be at most 8388608 bytes"


def test_a_key_sid_and_its_secret_authenticate_like_an_account(
    invoke: Invoke, tenant: Tenant
) -> None:
    assert invoke(EVENT, tenant.key_basic).status == 201


@pytest.mark.parametrize(
    "body",
    [
        "Items=%",
        "Items=%ff%fe",
        "Items[0]",
        "&&&=&",
        "Items=\x00",
        "Items[0][a][b]=c",
        "Items=é",
    ],
)
def test_no_odd_form_is_an_internal_error(invoke: Invoke, tenant: Tenant, body: str) -> None:
    assert invoke(EVENT, tenant.basic, body=body).status in {201, 400}
