"""The official Twilio clients, unmodified, on the deployed stack."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from tests.e2e.local_stack import LocalStack

HERE = Path(__file__).parent
VENDOR = "https://accounts.twilio.com"

VALID = {
    "contact_id": "+19999999999",
    "correlation_id": "ad388b5a46b33b874b0d41f7226db2ef",
    "sender_id": "MG00000000000000000000000000000001",
    "date_of_consent": "2025-02-28T10:05:27Z",
    "status": "opt-out",
    "source": "website",
}
INVALID = {
    "contact_id": "+19",
    "correlation_id": "02520cfa6c432f0e3ec3a38c122d428d",
    "sender_id": "123456",
    "date_of_consent": "2025-03-25",
    "status": "opt-in",
    "source": "opt-in-message",
}
PUBLISHED = [
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


class SyncHere(TwilioHttpClient):
    """Sends the vendor's requests to the local stack."""

    def __init__(self, api_url: str) -> None:
        super().__init__(pool_connections=False)
        self.api_url = api_url

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        return super().request(method, url.replace(VENDOR, self.api_url), *args, **kwargs)


class AsyncHere(AsyncTwilioHttpClient):
    """Sends the vendor's requests to the local stack."""

    def __init__(self, api_url: str) -> None:
        super().__init__()
        self.api_url = api_url

    async def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        return await super().request(method, url.replace(VENDOR, self.api_url), *args, **kwargs)


class Account:
    """An account of the local stack, in the form of each client."""

    def __init__(self, stack: LocalStack, sid: str | None = None, token: str | None = None) -> None:
        self.api_url = stack.api_url
        self.sid = sid or stack.organization["account_sid"]
        self.token = token or stack.organization["auth_token"]

    def python(self, items: object) -> Any:
        client = Client(self.sid, self.token, http_client=SyncHere(self.api_url))
        return client.accounts.v1.bulk_consents.create(items=items).items

    def python_async(self, items: object) -> Any:
        async def create() -> Any:
            async with AsyncHere(self.api_url) as http_client:
                client = Client(self.sid, self.token, http_client=http_client)
                bulk = client.accounts.v1.bulk_consents
                return (await bulk.create_async(items=items)).items

        return asyncio.run(create())

    def node(self, items: object) -> Any:
        answer = self.node_answer(items)
        assert "error" not in answer, answer
        return answer["items"]

    def node_answer(self, items: object) -> Any:
        if not (HERE / "node_modules/twilio").is_dir() or shutil.which("node") is None:
            _missing("the Node client is not installed: npm ci --prefix tests/e2e")
        ran = subprocess.run(
            ["node", HERE / "twilio_client.mjs"],
            input=json.dumps({"items": items}),
            env=os.environ
            | {"API_URL": self.api_url, "ACCOUNT_SID": self.sid, "AUTH_TOKEN": self.token},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(ran.stdout)


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def account(stack: LocalStack) -> Account:
    return Account(stack)


CLIENTS = ["python", "python_async", "node"]


@pytest.mark.parametrize("client", CLIENTS)
def test_client_gets_the_published_result(account: Account, client: str) -> None:
    assert getattr(account, client)([VALID, INVALID]) == PUBLISHED


def fresh(number: int = 0, **changes: Any) -> dict[str, Any]:
    return VALID | {"correlation_id": uuid4().hex, "contact_id": f"+1555000{number:04}", **changes}


@pytest.mark.parametrize("client", CLIENTS)
def test_thousand_items_come_back_in_order(account: Account, client: str) -> None:
    items = [fresh(number) for number in range(1000)]

    results = getattr(account, client)(items)
    assert [each["correlation_id"] for each in results] == [
        each["correlation_id"] for each in items
    ]
    assert {each["error_code"] for each in results} == {0}


@pytest.mark.parametrize("client", CLIENTS)
def test_null_date_means_no_date(account: Account, stack: LocalStack, client: str) -> None:
    contact = f"+1555700000{CLIENTS.index(client)}"
    item = fresh(contact_id=contact, date_of_consent=None)

    assert getattr(account, client)([item])[0]["error_code"] == 0
    (record,) = stack.ask("history", "--org", stack.organization["org_id"], "--contact", contact)
    assert record["effective_at"] == record["received_at"]
    assert record["correlation_id"] == item["correlation_id"]


@pytest.mark.parametrize("client", ["python", "python_async"])
def test_items_that_are_json_texts_are_parsed(account: Account, client: str) -> None:
    assert getattr(account, client)([json.dumps(VALID), json.dumps(INVALID)]) == PUBLISHED
    assert getattr(account, client)(json.dumps([VALID, INVALID])) == PUBLISHED


def test_one_object_from_python_is_an_item_for_each_name(account: Account) -> None:
    results = account.python(VALID)

    assert [each["error_code"] for each in results] == [30646] * len(VALID)


def test_one_object_from_node_is_one_item(account: Account) -> None:
    assert account.node(VALID) == PUBLISHED[:1]


def test_null_element_from_node_keeps_its_place(account: Account) -> None:
    results = account.node([VALID, None, fresh()])

    assert [each["error_code"] for each in results] == [0, 30646, 0]
    assert results[1]["correlation_id"] is None


def test_date_object_of_node_is_a_date(account: Account) -> None:
    assert account.node([fresh(date_of_consent=1_740_737_127_123)])[0]["error_code"] == 0


@pytest.mark.parametrize("client", ["python", "python_async"])
def test_empty_list_raises_the_exception_of_the_client(account: Account, client: str) -> None:
    with pytest.raises(TwilioRestException) as raised:
        getattr(account, client)([])
    assert (raised.value.status, raised.value.code) == (400, 20001)
    assert "Missing required parameter Items in the post body" in raised.value.msg


def test_empty_list_raises_an_error_in_node(account: Account) -> None:
    error = account.node_answer([])["error"]

    assert (error["status"], error["code"]) == (400, 20001)


@pytest.mark.parametrize("client", ["python", "python_async"])
def test_bad_credentials_raise_the_exception_of_the_client(stack: LocalStack, client: str) -> None:
    with pytest.raises(TwilioRestException) as raised:
        getattr(Account(stack, token="wrong"), client)([VALID])
    assert (raised.value.status, raised.value.code) == (401, 20003)


def test_bad_credentials_raise_an_error_in_node(stack: LocalStack) -> None:
    error = Account(stack, token="wrong").node_answer([VALID])["error"]

    assert (error["status"], error["code"], error["message"]) == (401, 20003, "Authenticate")


def test_key_sid_and_its_secret_work_in_the_client(stack: LocalStack) -> None:
    key = stack.ask(
        "key", "create", "--org", stack.organization["org_id"], "--wire", "bulk-consents"
    )

    assert Account(stack, key["key_id"], key["key_secret"]).python([VALID, INVALID]) == PUBLISHED
