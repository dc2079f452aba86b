"""Hosted forms in a real Chromium, scripts off: every page, as people read and send it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from consents.domain.record import StoredRecord
from consents.forms.form import Form
from consents_cli.stack import Stack

from tests.e2e import browser as browsers
from tests.e2e import organizations
from tests.e2e.browser import (
    DESK,
    follow,
    scrolls_sideways,
    violations,
    violations_in_any_look,
    visitor,
)
from tests.e2e.local_stack import LocalStack, eventually
from tests.factories import COMPLETE_TEXT

pytestmark = browsers.NEEDED

CONTACT = "+15554443333"
TYPED = "(415) 555-2671"
READING_MS = 2_100
"""A person reads for longer than the two seconds within which a form is not taken."""

PROFILE = {
    "brand": "Northside Dental",
    "legal_name": "Northside Dental Group, Inc.",
    "program": "Appointment reminders and changes to your bookings",
    "frequency": "About 4 messages a month",
    "terms_url": "https://example.com/terms",
    "privacy_url": "https://example.com/privacy",
}


@pytest.fixture(scope="module")
def caller(stack: LocalStack) -> dict[str, Any]:
    """An organization with a sender."""
    return organizations.create(stack)


@pytest.fixture
def forms(stack: LocalStack, deployed: Stack, caller: dict[str, Any]) -> Any:
    """Make a form of a sender with a profile, and return the response."""
    name = caller["sender"]["phone_number_id"]
    deployed.entries.change_profile(caller["org_id"], name, PROFILE)

    def make(**fields: Any) -> dict[str, Any]:
        order = {
            "phone_number_id": name,
            "agreement_text": COMPLETE_TEXT,
            "confirm": "none",
            "headline": "Get appointment reminders by text",
        }
        response = requests.post(
            f"{stack.api_url}/v1/consent/hosted",
            json=order | fields,
            headers={"Authorization": f"Bearer {caller['api_key']}"},
            timeout=60,
        )
        response.raise_for_status()
        made: dict[str, Any] = response.json()
        return made

    return make


@pytest.fixture
def records(deployed: Stack, caller: dict[str, Any]) -> Any:
    """Return the records of a contact."""

    def records(contact: str) -> list[StoredRecord]:
        return deployed.ledger.history(caller["org_id"], contact)

    return records


def heading(page: Any) -> str:
    return str(page.locator("h1").inner_text())


def sign_up(page: Any, number: str | None = None) -> None:
    """Read the page, type a number if it has a field, tick the box, and send."""
    if number is not None:
        page.get_by_label("Your mobile number").fill(number)
    page.get_by_role("checkbox").check()
    page.wait_for_timeout(READING_MS)
    follow(page, page.get_by_role("button"))


def test_a_visitor_signs_up_and_reloads(chromium: Any, forms: Any, records: Any) -> None:
    url = forms(redirect_url="https://example.com/thanks")["url"]
    with visitor(chromium) as guest:
        page = guest.page(url)
        sign_up(page, TYPED)
        first = page.locator("body").inner_text()
        page.reload()

        assert heading(page) == "You're signed up"
        assert page.locator("body").inner_text() == first
        assert page.get_by_role("link", name="Continue to example.com").is_visible()
        assert guest.was_silent(url)
    assert len(records("+14155552671")) == 1


def test_one_contact_signs_up_once(chromium: Any, forms: Any, records: Any) -> None:
    url = forms(contact_number=CONTACT)["url"]
    with visitor(chromium) as guest:
        page, other = guest.page(url), guest.page(url)
        assert "(555) 444-3333" in page.locator("main").inner_text()
        sign_up(page)
        assert heading(page) == "You're signed up"
        sign_up(other)
        assert heading(other) == "This link is no longer open"
        assert "3333" not in other.content()
    assert len(records(CONTACT)) == 1


def test_a_visitor_corrects_what_is_missing(chromium: Any, forms: Any, records: Any) -> None:
    with visitor(chromium) as guest:
        page = guest.page(forms()["url"])
        page.get_by_label("Your mobile number").fill("555-01")
        page.wait_for_timeout(READING_MS)
        page.get_by_role("button").click()
        page.get_by_role("alert").wait_for()

        assert page.title().startswith("Error: ")
        assert page.evaluate("document.activeElement.className") == "summary"
        page.get_by_role("alert").get_by_role("link").first.click()
        assert page.evaluate("document.activeElement.id") == "number"
        assert page.get_by_label("Your mobile number").input_value() == "555-01"
        assert not page.get_by_role("checkbox").is_checked()
        sign_up(page, "(415) 555-2672")
        assert heading(page) == "You're signed up"
    assert len(records("+14155552672")) == 1


def test_a_visitor_goes_back_and_signs_up_another_number(
    chromium: Any, forms: Any, records: Any
) -> None:
    with visitor(chromium) as guest:
        page = guest.page(forms()["url"])
        sign_up(page, "(415) 555-2673")
        page.go_back()  # which loads the page again: it is not to be stored
        sign_up(page, "(415) 555-2674")
        assert heading(page) == "You're signed up"
    assert [len(records(f"+1415555267{last}")) for last in (3, 4)] == [1, 1]


def test_a_quick_form_is_read_again(chromium: Any, forms: Any) -> None:
    with visitor(chromium) as guest:
        page = guest.page(forms(contact_number=CONTACT)["url"])
        page.get_by_role("checkbox").check()
        page.get_by_role("button").click()
        assert "Please read this once more" in page.get_by_role("alert").inner_text()
        sign_up(page)
        assert heading(page) == "You're signed up"


def test_a_form_that_expires_while_it_is_read_is_gone(
    chromium: Any, forms: Any, deployed: Stack, records: Any
) -> None:
    made = forms()
    with visitor(chromium) as guest:
        page = guest.page(made["url"])
        expire(deployed, made["form_id"])
        sign_up(page, "(415) 555-2675")
        assert heading(page) == "This link is no longer open"
    assert records("+14155552675") == []


def expire(deployed: Stack, form_id: str) -> None:
    """Set that a form expired a minute ago."""
    form = deployed.forms.open(form_id)
    assert isinstance(form, Form)
    at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    deployed.dynamodb.update_item(
        TableName=deployed.tables["forms"],
        Key={"pk": {"S": f"FORM#{form_id}"}, "sk": {"S": "FORM"}},
        UpdateExpression="SET expires_at = :at",
        ExpressionAttributeValues={":at": {"S": at}},
    )


def test_a_visitor_reads_and_signs_up_in_spanish(chromium: Any, forms: Any, records: Any) -> None:
    with visitor(chromium, locale="es-MX") as guest:
        page = guest.page(forms(contact_number="+15554443334")["url"])
        assert page.get_by_role("button").inner_text() == "Aceptar e inscribirme"
        page.get_by_role("link", name="English").click()
        assert page.get_by_role("button").inner_text() == "Agree and sign up"
        page.get_by_role("link", name="Español").click()
        sign_up(page)
        assert heading(page) == "Ya está inscrito"
    (record,) = records("+15554443334")
    assert record.evidence["page_lang"] == "es"


def test_a_visitor_signs_up_by_text(
    chromium: Any, forms: Any, records: Any, stack: LocalStack
) -> None:
    contact = "+14155552678"
    with visitor(chromium) as guest:
        page = guest.page(forms(confirm="sms")["url"])
        sign_up(page, "(415) 555-2678")
        assert heading(page) == "One more step: check your phone"
        assert "Reply YES" in page.locator("main").inner_text()
    assert records(contact) == []
    assert eventually(lambda: stack.run("outbox", "reply", contact, "YES").returncode == 0)
    assert eventually(lambda: len(records(contact)) == 1)


HOSTILE = [
    "<script>document.title='gone'</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></label><svg onload=alert(1)>",
    "<base href=https://evil.example><meta http-equiv=refresh content=0;url=https://evil.example>",
    "<input name=agree type=checkbox checked><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% include 'form.html' %}{brand}{0}%s",
    "\u202egnol si txet siht\u2066\u200f",
    "e" + "\u0301" * 100,
    "W" * 120,
    "\u05e2\u05d1\u05e8\u05d9\u05ea \u0627\u0644\u0639\u0631\u0628\u064a\u0629 &lt;b&gt;",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_hostile_text_is_shown_as_text_and_the_console_is_silent(
    chromium: Any, forms: Any, deployed: Stack, caller: dict[str, Any], text: str
) -> None:
    name = caller["sender"]["phone_number_id"]
    hostile = dict.fromkeys(("brand", "legal_name", "program", "frequency"), text)
    deployed.entries.change_profile(caller["org_id"], name, hostile)
    agreement = text if len(text) < 120 else "W" * 10_000
    url = forms(agreement_text=agreement, headline=text, intro=text)["url"]
    deployed.entries.change_profile(caller["org_id"], name, PROFILE)
    with visitor(chromium, (320, 640)) as guest:
        page = guest.page(url)
        shown = page.locator("main").inner_text()
        page.get_by_label("Your mobile number").fill(text)
        page.wait_for_timeout(READING_MS)
        page.get_by_role("button").click()
        page.get_by_role("alert").wait_for()

        assert page.title().startswith("Error: ")
        assert page.locator("script, img, svg[onload], base, meta[http-equiv]").count() == 0
        assert page.locator("input:checked").count() == 0
        assert page.get_by_role("button").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        assert text in shown
        assert guest.was_silent(url)


def test_the_keyboard_is_enough(chromium: Any, forms: Any, records: Any) -> None:
    with visitor(chromium, DESK) as guest:
        page = guest.page(forms()["url"])
        reached = []
        for key in ("Tab", "Tab", "Tab", "Tab"):
            page.keyboard.press(key)
            reached.append(
                page.evaluate("document.activeElement.id || document.activeElement.type")
            )
            if reached[-1] == "number":
                page.keyboard.type("4155552676")
            if reached[-1] == "agree":
                page.keyboard.press("Space")
        page.wait_for_timeout(READING_MS)
        page.keyboard.press("Enter")
        page.wait_for_selector("text=You're signed up")
        assert reached[1:] == ["number", "agree", "submit"]
    assert len(records("+14155552676")) == 1


# ---------------------------------------------------------------- Every page, in every look


def every_page(guest: Any, forms: Any, deployed: Stack) -> Iterator[tuple[str, Any]]:
    """Yield each page by its name."""
    url = forms(redirect_url="https://example.com/thanks")["url"]
    page = guest.page(url)
    yield "form", page
    follow(page, page.get_by_role("button"))
    yield "read again", page
    page.wait_for_timeout(READING_MS)
    follow(page, page.get_by_role("button"))
    yield "errors", page
    sign_up(page, TYPED)
    yield "done", page
    bound = forms(contact_number=CONTACT)
    yield "bound", guest.page(bound["url"])
    yield "specimen", guest.page(bound["url"].removesuffix(bound["token"]) + bound["form_id"])
    expire(deployed, bound["form_id"])
    yield "gone", guest.page(bound["url"])
    yield "not found", guest.page(url[:-1])
    by_text = guest.page(forms(confirm="sms")["url"])
    sign_up(by_text, "(415) 555-2679")
    by_text.locator("summary").click()
    yield "one more step", by_text


def test_axe_finds_nothing_on_any_page_in_any_look(
    chromium: Any, forms: Any, deployed: Stack
) -> None:
    with visitor(chromium, scripts=True) as guest:
        pages = every_page(guest, forms, deployed)
        found = {name: violations_in_any_look(page) for name, page in pages}
    assert {name: each for name, each in found.items() if each} == {}
    assert len(found) == 9


@pytest.mark.parametrize("accent", ["#facc15", "#ffffff", "#000000", "#e11d48"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_brand_colour(
    chromium: Any, forms: Any, deployed: Stack, caller: Any, accent: str, scheme: str
) -> None:
    name = caller["sender"]["phone_number_id"]
    deployed.entries.change_profile(caller["org_id"], name, {"accent": accent})
    url = forms()["url"]
    deployed.entries.change_profile(caller["org_id"], name, {"accent": ""})
    with visitor(chromium, DESK, scripts=True, color_scheme=scheme) as guest:
        assert violations(guest.page(url)) == []


def test_the_console_stays_silent_on_every_page(
    chromium: Any, forms: Any, deployed: Stack, stack: LocalStack
) -> None:
    with visitor(chromium) as guest:
        for _, page in every_page(guest, forms, deployed):
            page.wait_for_load_state()
        assert guest.was_silent(stack.api_url)


def test_no_page_scrolls_sideways(chromium: Any, forms: Any, deployed: Stack) -> None:
    with visitor(chromium, (320, 640)) as guest:
        found = [
            name for name, page in every_page(guest, forms, deployed) if scrolls_sideways(page)
        ]
    assert found == []


@pytest.mark.parametrize("text", ["W" * 3000, "\u202e" + "right to left " * 20, "<b>" * 100])
def test_a_long_or_hostile_text_breaks_no_page(chromium: Any, forms: Any, text: str) -> None:
    url = forms(agreement_text=text, headline=text[:120], intro=text[:300])["url"]
    with visitor(chromium, (320, 640)) as guest:
        page = guest.page(url)
        assert not scrolls_sideways(page)
        assert page.locator("label.box").inner_text().strip() == text.strip()
        assert guest.was_silent(url)


def test_text_of_twice_the_size_fits(chromium: Any, forms: Any) -> None:
    with visitor(chromium, scripts=True) as guest:
        page = guest.page(forms()["url"])
        page.add_style_tag(content="html { font-size: 200% }")
        assert not scrolls_sideways(page)


def test_targets_are_large_enough(chromium: Any, forms: Any) -> None:
    with visitor(chromium) as guest:
        page = guest.page(forms()["url"])
        heights = {
            name: page.locator(name).first.bounding_box()["height"]
            for name in (
                "button",
                "input[type=tel]",
                "label.box",
                ".links a",
                ".language",
                "summary",
            )
        }
    assert min(heights[name] for name in ("button", "input[type=tel]", "label.box")) >= 44
    assert min(heights.values()) >= 24


def test_the_box_is_not_ticked_after_going_back(chromium: Any, forms: Any) -> None:
    with visitor(chromium) as guest:
        page = guest.page(forms()["url"])
        page.get_by_role("checkbox").check()
        page.goto("about:blank")
        page.go_back()
        assert not page.get_by_role("checkbox").is_checked()
