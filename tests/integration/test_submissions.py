"""Submissions of hosted forms: what is recorded, what is not, and that a stamp records once."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from io import StringIO
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from consents.capture.ledger import Ledger
from consents.domain.record import text_hash
from consents.http.page_endpoint import HEADERS

from tests.factories import COMPLETE_TEXT
from tests.integration.conftest import Invoke, NewTenant, Tenant
from tests.integration.faults import BreakCall, error_response, killed, some_times
from tests.integration.visitors import (
    CONTACT,
    Link,
    Visitor,
    bound,
    hosted_records,
    make,
    order,
    shown_stamp,
    title,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DONE, AGAIN = "You're signed up", "Get appointment reminders by text"
GONE, LATER, FAILED = (
    "This link is no longer open",
    "Please try again in a little while",
    "That did not work",
)
READ_AGAIN = "Please read this once more and send it again"
ADDRESSES = count(1)


@pytest.fixture
def visitor(invoke: Invoke) -> Visitor:
    """A visitor at an address that no other test uses."""
    number = next(ADDRESSES)
    return Visitor(invoke, f"198.51.{number // 256}.{number % 256}")


@pytest.fixture
def link(invoke: Invoke, tenant: Tenant) -> Link:
    """The link of an open form."""
    return make(invoke, tenant, order(tenant))


@pytest.fixture
def own_link(invoke: Invoke, tenant: Tenant) -> Link:
    """The link of a form for one contact."""
    return make(invoke, tenant, bound(tenant, reference="patient 17"))


type Records = Any


@pytest.fixture
def records(dynamodb: "DynamoDBClient", tenant: Tenant) -> Records:
    """Return the records of a contact."""
    return lambda contact=CONTACT: hosted_records(dynamodb, tenant, contact)


# ---------------------------------------------------------------- What is recorded


def test_a_submission_is_an_opt_in_with_observed_evidence(
    visitor: Visitor, own_link: Link, tenant: Tenant, records: Records
) -> None:
    page = visitor.submit(own_link, own_link.stamp())
    (item,) = records()
    evidence = {name: value["S"] for name, value in item["evidence"]["M"].items()}

    assert (page.status, title(page)) == (200, DONE)
    assert (item["wire"], item["status"]) == ({"S": "hosted"}, {"S": "opt-in"})
    assert item["phone_number_id"]["S"] == tenant.phone_number_id
    assert item["effective_at"]["S"] == evidence.pop("captured_at")
    assert evidence.pop("shown_at") < item["effective_at"]["S"]
    assert evidence.pop("user_agent").startswith("Mozilla/5.0 (iPhone")
    assert len(evidence.pop("submission_id")) == 24
    assert len(evidence.pop("page_hash")) == 64
    assert evidence == {
        "agreement_text_hash": text_hash(COMPLETE_TEXT),
        "consent_method": "hosted_form",
        "form_id": own_link.form_id,
        "form_url": f"https://text.example.com/f/{own_link.form_id}",
        "ip_address": visitor.address,
        "number_source": "sender",
        "page_lang": "en",
        "reference": "patient 17",
        "verified": "none",
    }


def test_the_page_is_kept_and_holds_nobodys_data(
    visitor: Visitor, own_link: Link, tenant: Tenant, records: Records, ledger: Ledger
) -> None:
    stamp = own_link.stamp()
    visitor.submit(own_link, stamp)
    (item,) = records()
    page_hash = item["evidence"]["M"]["page_hash"]["S"]
    page = ledger.page(tenant.org_id, page_hash)

    assert sha256(page.encode()).hexdigest() == page_hash
    assert COMPLETE_TEXT in page
    assert "444-3333" not in page
    assert stamp not in page


def test_the_kept_page_is_the_page_that_was_shown(
    visitor: Visitor, own_link: Link, tenant: Tenant, records: Records, ledger: Ledger
) -> None:
    shown = visitor.open(own_link.token)
    visitor.submit(own_link, own_link.stamp())
    (item,) = records()
    kept = ledger.page(tenant.org_id, item["evidence"]["M"]["page_hash"]["S"])

    stamp = shown_stamp(shown)
    assert shown.body.replace(stamp, "").replace("(555) 444-3333", "") == kept


def test_a_typed_number_is_the_visitors(visitor: Visitor, link: Link, records: Records) -> None:
    page = visitor.submit(link, link.stamp(), number="+44 7911 123456")
    (item,) = records("+447911123456")

    assert "ending in 3456" in page.body
    assert "7911" not in page.body
    assert item["evidence"]["M"]["number_source"]["S"] == "visitor"


def test_an_opt_in_by_form_counts_after_an_opt_out(
    visitor: Visitor, own_link: Link, tenant: Tenant, ledger: Ledger
) -> None:
    visitor.submit(own_link, own_link.stamp())
    current = ledger.current(tenant.org_id, tenant.phone_number, CONTACT)

    assert current is not None
    assert (current.wire, current.status) == ("hosted", "opt-in")


def test_the_state_of_a_form_counts_submissions(
    visitor: Visitor, own_link: Link, invoke: Invoke, tenant: Tenant
) -> None:
    visitor.submit(own_link, own_link.stamp())
    path = {"form_id": own_link.form_id}
    shown = invoke("show_form.unknown", tenant.bearer, pathParameters=path).json

    assert (shown["state"], shown["submissions"]) == ("used", 1)


def test_a_long_name_of_a_browser_is_cut(visitor: Visitor, link: Link, records: Records) -> None:
    sent = {"stamp": link.stamp(), "number": CONTACT, "agree": "yes", "lang": "en"}
    visitor.post(link.token, sent, **{"User-Agent": "x" * 2000})

    assert len(records()[0]["evidence"]["M"]["user_agent"]["S"]) == 1024


def test_the_last_page_links_to_the_callers_page(
    visitor: Visitor, invoke: Invoke, tenant: Tenant
) -> None:
    link = make(invoke, tenant, bound(tenant, redirect_url="https://shop.example.com/thanks?a=1"))
    page = visitor.submit(link, link.stamp())

    assert 'href="https://shop.example.com/thanks?a=1"' in page.body
    assert "Continue to shop.example.com" in page.body
    assert "Location" not in page.headers


# ---------------------------------------------------------------- What is not recorded


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ({"number": " "}, ["Enter your mobile number"]),
        ({"number": "555-01"}, ["Enter a mobile number in full, like (201) 555-0123"]),
        ({"agree": ""}, ["Tick the box if you agree to get these texts"]),
        (
            {"number": "x", "agree": ""},
            [
                "Enter a mobile number in full, like (201) 555-0123",
                "Tick the box if you agree to get these texts",
            ],
        ),
    ],
)
def test_an_incomplete_form_is_shown_again(
    visitor: Visitor, link: Link, fields: dict[str, str], messages: list[str]
) -> None:
    stamp = link.stamp()
    page = visitor.submit(link, stamp, **fields)

    assert (page.status, title(page)) == (422, AGAIN)
    assert "<title>Error: " in page.body
    assert [page.body.count(f">{message}<") for message in messages] == [2] * len(messages)
    assert f'value="{fields.get("number", "(555) 444-3333")}"' in page.body
    assert " checked" not in page.body
    assert shown_stamp(page) == stamp


def test_a_corrected_form_is_recorded(visitor: Visitor, link: Link, records: Records) -> None:
    page = visitor.submit(link, link.stamp(), agree="")
    done = visitor.submit(link, shown_stamp(page))

    assert title(done) == DONE
    assert len(records()) == 1


@pytest.mark.parametrize("seconds_ago", [0, 1.5, 86_401])
def test_a_page_shown_just_now_or_long_ago_is_read_again(
    visitor: Visitor, link: Link, records: Records, seconds_ago: float
) -> None:
    page = visitor.submit(link, link.stamp(seconds_ago))

    assert page.status == 409
    assert READ_AGAIN in page.body
    assert records() == []


@pytest.mark.parametrize("lang", ["en", "es"])
def test_a_page_in_another_language_is_read_again(
    visitor: Visitor, link: Link, records: Records, lang: str
) -> None:
    other = {"en": "es", "es": "en"}[lang]
    assert visitor.submit(link, link.stamp(lang=lang), lang=other).status == 409
    assert visitor.submit(link, link.stamp(lang=lang), lang=lang).status == 200
    assert records()[0]["evidence"]["M"]["page_lang"]["S"] == lang


def test_a_forged_stamp_is_read_again(visitor: Visitor, link: Link, records: Records) -> None:
    stamp = link.stamp()
    for forged in ("", "x", stamp[:-1] + ("0" if stamp[-1] != "0" else "1"), stamp.upper()):
        page = visitor.submit(link, forged)
        assert (page.status, title(page)) == (409, AGAIN)
        assert shown_stamp(page) != forged
    assert records() == []


def test_a_stamp_of_another_form_is_read_again(
    visitor: Visitor, link: Link, own_link: Link, records: Records
) -> None:
    assert visitor.submit(link, own_link.stamp()).status == 409
    assert records() == []


def test_a_filled_trap_records_nothing(visitor: Visitor, link: Link, records: Records) -> None:
    page = visitor.submit(link, link.stamp(), website="https://spam.example.com")

    assert page.status == 409
    assert "spam.example.com" not in page.body
    assert records() == []


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example.com"),
        ("Origin", "null"),
    ],
)
def test_a_form_of_another_site_is_refused(
    visitor: Visitor, link: Link, records: Records, header: str, value: str
) -> None:
    sent = {"stamp": link.stamp(), "number": CONTACT, "agree": "yes", "lang": "en"}
    page = visitor.post(link.token, sent, **{header: value})

    assert (page.status, title(page)) == (403, "Please open the link itself")
    assert records() == []


def test_a_browser_that_names_no_origin_is_accepted(visitor: Visitor, link: Link) -> None:
    sent = {"stamp": link.stamp(), "number": CONTACT, "agree": "yes", "lang": "en"}
    assert visitor.post(link.token, sent, Origin="", **{"Sec-Fetch-Site": ""}).status == 200


def test_a_large_body_is_refused(visitor: Visitor, link: Link) -> None:
    page = visitor.post(link.token, {"stamp": "x" * 8192})
    assert (page.status, title(page)) == (413, FAILED)


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", ""])
def test_a_body_that_is_no_form_is_refused(visitor: Visitor, link: Link, content_type: str) -> None:
    page = visitor.post(link.token, {"stamp": "x"}, **{"Content-Type": content_type})
    assert (page.status, title(page)) == (415, FAILED)


def test_a_specimen_cannot_be_submitted(visitor: Visitor, own_link: Link) -> None:
    specimen = Link(own_link.form_id, own_link.form_id)
    assert visitor.submit(specimen, own_link.stamp()).status == 404


def test_a_closed_form_takes_nothing(
    visitor: Visitor, invoke: Invoke, tenant: Tenant, link: Link, records: Records
) -> None:
    stamp = link.stamp()
    invoke("close_form.unknown", tenant.bearer, pathParameters={"form_id": link.form_id})
    page = visitor.submit(link, stamp)

    assert (page.status, title(page)) == (410, GONE)
    assert records() == []


def test_a_form_takes_no_more_than_its_most(
    visitor: Visitor, invoke: Invoke, tenant: Tenant
) -> None:
    link = make(invoke, tenant, order(tenant, max_submissions=2))
    numbers = ["+15554440001", "+15554440002", "+15554440003"]
    statuses = [visitor.submit(link, link.stamp(), number=each).status for each in numbers]

    assert statuses == [200, 200, 410]


# ---------------------------------------------------------------- Repeats


def test_a_repeat_gets_the_same_page_and_no_record(
    visitor: Visitor, own_link: Link, records: Records
) -> None:
    stamp = own_link.stamp()
    first, repeat = (visitor.submit(own_link, stamp) for _ in range(2))

    assert first.body == repeat.body
    assert len(records()) == 1


def test_a_repeat_after_the_form_closed_gets_the_same_page(
    visitor: Visitor, invoke: Invoke, tenant: Tenant, link: Link
) -> None:
    stamp = link.stamp()
    first = visitor.submit(link, stamp)
    invoke("close_form.unknown", tenant.bearer, pathParameters={"form_id": link.form_id})

    assert visitor.submit(link, stamp).body == first.body


def test_a_used_stamp_records_no_other_number(
    visitor: Visitor, link: Link, records: Records
) -> None:
    stamp = link.stamp()
    visitor.submit(link, stamp)
    page = visitor.submit(link, stamp, number="+15554440001")

    assert page.status == 409
    assert "4-3333" not in page.body
    assert records("+15554440001") == []


def test_one_stamp_sent_64_times_at_once_is_one_record(
    visitor: Visitor, own_link: Link, records: Records
) -> None:
    stamp = own_link.stamp()
    with ThreadPoolExecutor(16) as threads:
        pages = list(threads.map(lambda _: visitor.submit(own_link, stamp), range(64)))

    done = [page for page in pages if page.status == 200]
    assert {page.status for page in pages} <= {200, 429}
    assert {page.body for page in done} == {done[0].body}
    assert len(records()) == 1
    assert own_link.form.submissions == 1


def test_32_stamps_of_one_contacts_form_are_one_record(
    invoke: Invoke, own_link: Link, records: Records
) -> None:
    stamps = [own_link.stamp() for _ in range(32)]
    visitors = [Visitor(invoke, f"192.0.2.{number}") for number in range(32)]
    with ThreadPoolExecutor(16) as threads:
        pages = list(
            threads.map(lambda each, stamp: each.submit(own_link, stamp), visitors, stamps)
        )

    assert sorted(page.status for page in pages) == [200] + [410] * 31
    assert len(records()) == 1


# ---------------------------------------------------------------- Limits


def test_an_address_submits_ten_times_a_minute(visitor: Visitor, link: Link) -> None:
    pages = [visitor.submit(link, link.stamp(), agree="") for _ in range(11)]

    assert [page.status for page in pages] == [422] * 10 + [429]
    assert title(pages[10]) == LATER
    assert 1 <= int(pages[10].headers["Retry-After"]) <= 6


def test_a_network_of_ipv6_is_one_address(invoke: Invoke, link: Link) -> None:
    visitors = [Visitor(invoke, f"2001:db8:7:1::{number:x}") for number in range(11)]
    statuses = [each.submit(link, link.stamp(), agree="").status for each in visitors]

    assert statuses == [422] * 10 + [429]


def test_a_repeat_does_not_count(visitor: Visitor, link: Link) -> None:
    stamp = link.stamp()
    visitor.submit(link, stamp)
    assert {visitor.submit(link, stamp).status for _ in range(12)} == {200}


def test_a_forged_stamp_does_not_count(visitor: Visitor, link: Link) -> None:
    assert {visitor.submit(link, "x").status for _ in range(12)} == {409}
    assert visitor.submit(link, link.stamp()).status == 200


def test_a_visitors_bucket_expires(
    visitor: Visitor, link: Link, dynamodb: "DynamoDBClient"
) -> None:
    visitor.submit(link, link.stamp())
    key = {"org_id": {"S": f"address#{visitor.address}"}}
    assert "expiration" in dynamodb.get_item(TableName="RateLimitsTable", Key=key)["Item"]


# ---------------------------------------------------------------- Faults

CALLS = ["BatchGetItem", "UpdateItem", "TransactWriteItems", "BatchExecuteStatement"]


@pytest.mark.parametrize("call", CALLS)
def test_a_submission_that_fails_can_be_sent_again(
    visitor: Visitor, own_link: Link, break_call: BreakCall, records: Records, call: str
) -> None:
    stamp = own_link.stamp()
    break_call(call, some_times(1, error_response(500, "InternalServerError")))
    failed = visitor.submit(own_link, stamp)
    assert failed.status in {200, 503}
    if failed.status == 503 and call != "BatchGetItem":
        assert title(failed) == FAILED
        assert shown_stamp(failed) == stamp

    assert title(visitor.submit(own_link, stamp)) == DONE
    assert len(records()) == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_submission_killed_at_a_call_is_healed_by_its_repeat(
    visitor: Visitor,
    own_link: Link,
    break_call: BreakCall,
    records: Records,
    call: str,
    after: int,
) -> None:
    stamp = own_link.stamp()
    seen = count()
    break_call(call, lambda **sent: killed(**sent) if next(seen) == after else None)
    with suppress(KeyboardInterrupt):
        visitor.submit(own_link, stamp)
    seen = count(100)

    assert title(visitor.submit(own_link, stamp)) == DONE
    assert len(records()) == 1
    assert own_link.form.submissions == 1


# ---------------------------------------------------------------- Hostile texts, and the log

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnol si txet siht\u2066",
    "a" * 120,
    "\u0000nul",
    "{brand} {0} %s",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_hostile_text_stays_a_text(
    visitor: Visitor, invoke: Invoke, tenant: Tenant, text: str
) -> None:
    link = make(invoke, tenant, order(tenant, agreement_text=text, reference=text))
    page = visitor.open(link.token)

    assert page.status == 200
    assert "<script" not in page.body
    assert "<img" not in page.body
    assert "49" not in page.body.partition('id="agree"')[2]
    typed = visitor.submit(link, link.stamp(), number=text)
    assert typed.status == 422
    assert "<script" not in typed.body
    assert visitor.submit(link, link.stamp()).status == 200


def test_no_log_line_has_what_a_visitor_sent(
    visitor: Visitor, invoke: Invoke, new_tenant: NewTenant, logged: StringIO
) -> None:
    tenant = new_tenant()
    link = make(invoke, tenant, bound(tenant, reference="patient 17"))
    stamp = link.stamp()
    sent = {"stamp": stamp, "number": "777-555-1212", "agree": "yes", "lang": "en"}
    visitor.post(link.token, sent, **{"User-Agent": "Netscape"})
    text = logged.getvalue()

    assert '"route":"POST /f/{token}"' in text
    secrets = (link.token, link.form_id, stamp, "1212", "3333", "Netscape", visitor.address)
    assert [each for each in (*secrets, "patient", "reminders") if each in text] == []


def test_every_answer_to_a_submission_has_the_headers(visitor: Visitor, link: Link) -> None:
    for page in (visitor.submit(link, link.stamp()), visitor.submit(link, "x")):
        assert page.headers.items() >= HEADERS.items()
        assert "Set-Cookie" not in page.headers
