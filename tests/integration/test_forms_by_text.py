"""Hosted forms with `confirm: sms`: a text asks, the reply is the opt-in, pages look alike."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from consents.capture.ledger import Ledger

from tests.integration.conftest import Invoke, Tenant
from tests.integration.invocation import Response
from tests.integration.texting import Texting, deliver, new_contact, with_own_number
from tests.integration.visitors import Link, Visitor, make, order, title

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STEP = "One more step: check your phone"
ADDRESSES = count(1)


@pytest.fixture
def texting(invoke: Invoke, tenant: Tenant, dynamodb: "DynamoDBClient") -> Texting:
    """An organization that asks contacts."""
    return Texting(invoke, with_own_number(dynamodb, tenant))


@pytest.fixture
def link(invoke: Invoke, texting: Texting) -> Link:
    """The link of an open form that asks by text message."""
    return make(invoke, texting.tenant, order(texting.tenant, confirm="sms"))


@pytest.fixture
def visitor(invoke: Invoke) -> Visitor:
    """A visitor at an address that no other test uses."""
    return Visitor(invoke, f"192.0.3.{next(ADDRESSES)}")


@pytest.fixture
def records(texting: Texting, ledger: Ledger) -> Any:
    """Return the records of a contact, newest first."""
    return lambda contact: ledger.history(texting.tenant.org_id, contact)


def submit(visitor: Visitor, link: Link, contact: str, stamp: str = "") -> Response:
    return visitor.submit(link, stamp or link.stamp(), number=contact)


def test_a_visitor_is_asked_and_confirms(
    visitor: Visitor, link: Link, texting: Texting, records: Any
) -> None:
    contact = new_contact()
    page = submit(visitor, link, contact)
    deliver()
    assert (page.status, title(page)) == (200, STEP)
    assert records(contact) == []

    texting.reply(contact, "YES")
    (record,) = records(contact)
    assert (record.wire, record.status) == ("double-opt-in", "opt-in")
    assert record.evidence["verified"] == "sms_reply"
    assert record.evidence["web_ip_address"] == visitor.address
    assert record.evidence["web_form_url"] == f"https://text.example.com/f/{link.form_id}"
    assert len(record.evidence["web_page_hash"]) == 64


def test_the_page_does_not_show_who_is_signed_up(
    visitor: Visitor, link: Link, texting: Texting
) -> None:
    new, opted_in, opted_out = (new_contact() for _ in range(3))
    texting.ask(opted_in)
    texting.reply(opted_in, "YES")
    texting.reply(opted_out, "STOP")
    pages = [submit(visitor, link, each) for each in (new, opted_in, opted_out)]
    deliver()

    alike = {
        page.body.replace(each[-4:], "")
        for page, each in zip(pages, (new, opted_in, opted_out), strict=True)
    }
    assert len(alike) == 1
    assert [len(texting.texts(each)) for each in (new, opted_in, opted_out)][::2] == [1, 0]


def test_the_same_submission_again_is_one_text(
    visitor: Visitor, link: Link, texting: Texting
) -> None:
    contact, stamp = new_contact(), link.stamp()
    pages = [submit(visitor, link, contact, stamp) for _ in range(3)]
    deliver()

    assert {page.body for page in pages} == {pages[0].body}
    assert len(texting.texts(contact)) == 1


def test_a_number_that_is_not_to_be_texted_is_a_problem(visitor: Visitor, link: Link) -> None:
    for number in ("+44 7911 123456", "(800) 234-5678"):
        page = submit(visitor, link, number)
        assert page.status == 422
        assert "Texts cannot be sent to this number" in page.body


def test_an_address_asks_for_five_texts_an_hour(visitor: Visitor, link: Link) -> None:
    statuses = [submit(visitor, link, new_contact()).status for _ in range(6)]
    assert statuses == [200] * 5 + [429]


def test_1000_numbers_of_one_prefix_get_ten_texts_and_pages_look_alike(
    invoke: Invoke, link: Link, texting: Texting
) -> None:
    prefix = new_contact()[:-4]
    sent = [
        {"stamp": stamp, "number": f"{prefix}{last}", "agree": "yes", "lang": "en"}
        for stamp, last in zip(link.stamps(), range(5000, 6000), strict=False)
    ]

    def submit_one(place: int) -> Response:
        visitor = Visitor(invoke, f"198.18.{place // 250}.{place % 250}")
        return visitor.post(link.token, sent[place])

    with ThreadPoolExecutor(4) as threads:
        pages = list(threads.map(submit_one, range(1000)))
    deliver()

    assert len(texting.texts(prefix)) == 10
    counted = Counter(page.status for page in pages)
    assert counted.keys() == {200, 429}
    assert counted[200] >= 600  # the limit of one form in an hour
    alike = {
        (page.status, page.body.replace(each["number"][-4:], ""))
        for page, each in zip(pages, sent, strict=True)
    }
    assert len(alike) == 2
