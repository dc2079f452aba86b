"""Links in texts, and posters, in a real Chromium, scripts off: as people read and answer them."""

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import requests
from consents.domain.record import StoredRecord
from consents.messages.outbox import KeptText
from consents_cli.stack import Stack

from tests.e2e import browser as browsers
from tests.e2e import organizations
from tests.e2e.browser import (
    DESK,
    PHONE,
    follow,
    scrolls_sideways,
    violations_in_any_look,
    visitor,
)
from tests.e2e.local_stack import LocalStack, eventually
from tests.e2e.test_hosted_forms import PROFILE, READING_MS, heading
from tests.factories import COMPLETE_TEXT

pytestmark = browsers.NEEDED

QUESTION, GONE = "Do you want these texts?", "This link is no longer open"
YES, NO = "Yes, text me", "No, I didn't ask for this"
EXCHANGES = count(200)


@pytest.fixture(scope="module")
def caller(stack: LocalStack) -> dict[str, Any]:
    """An organization with a sender."""
    return organizations.create(stack)


@pytest.fixture
def post(stack: LocalStack, deployed: Stack, caller: dict[str, Any]) -> Any:
    """Post to a route of a caller whose sender has a profile, and return the response."""
    name = caller["sender"]["phone_number_id"]
    deployed.entries.change_profile(caller["org_id"], name, PROFILE)

    def post(route: str, **fields: Any) -> dict[str, Any]:
        sent = {"phone_number_id": name, "agreement_text": COMPLETE_TEXT}
        response = requests.post(
            f"{stack.api_url}/v1/consent/{route}",
            json=sent | fields,
            headers={"Authorization": f"Bearer {caller['api_key']}"},
            timeout=60,
        )
        response.raise_for_status()
        made: dict[str, Any] = response.json()
        return made

    return post


@pytest.fixture
def ask(post: Any, deployed: Stack) -> Any:
    """Ask a new contact, and return the contact, the link that it got, and the challenge's id."""

    def ask(**fields: Any) -> tuple[str, str, str]:
        contact = f"+1415{next(EXCHANGES)}2671"
        asked = post("double-opt-in", contact_number=contact, channel="both", **fields)

        def texts() -> list[KeptText]:
            return [one for one in deployed.outbox.newest(50) if one.text.contact == contact]

        assert eventually(lambda: bool(texts()))
        found = re.search(r"http\S+/c/[0-9A-Za-z]{22}", texts()[0].text.body)
        assert found is not None
        return contact, found[0], asked["consent_pending_id"]

    return ask


@pytest.fixture
def records(deployed: Stack, caller: dict[str, Any]) -> Any:
    """Return the records of a contact."""

    def records(contact: str) -> list[StoredRecord]:
        return deployed.ledger.history(caller["org_id"], contact)

    return records


def press(page: Any, button: str) -> None:
    """Read the page, and press a button."""
    page.wait_for_timeout(READING_MS)
    follow(page, page.get_by_role("button", name=button))


def test_a_contact_says_yes_and_reloads(
    chromium: Any, ask: Any, records: Any, deployed: Stack
) -> None:
    contact, url, _ = ask()
    with visitor(chromium) as guest:
        page = guest.page(url)
        assert heading(page) == QUESTION
        assert "2671" in page.locator("main").inner_text()
        press(page, YES)
        first = page.locator("body").inner_text()
        page.reload()

        assert heading(page) == "You're signed up"
        assert page.locator("body").inner_text() == first
        assert heading(guest.page(url)) == GONE
        assert guest.was_silent(url)
    (record,) = records(contact)
    assert (record.status, record.evidence["verified"]) == ("opt-in", "sms_link")

    def bodies() -> list[str]:
        kept = deployed.outbox.newest(50)
        return [one.text.body for one in kept if one.text.contact == contact]

    assert eventually(lambda: len(bodies()) == 2)
    assert "You're signed up for" in bodies()[0]


def test_a_contact_says_no(chromium: Any, ask: Any, records: Any) -> None:
    contact, url, _ = ask()
    with visitor(chromium) as guest:
        page = guest.page(url)
        press(page, NO)
        assert heading(page) == "You won't get these texts"
        assert guest.was_silent(url)
    assert [record.status for record in records(contact)] == ["opt-out"]


def test_a_quick_answer_is_read_again(chromium: Any, ask: Any, records: Any) -> None:
    contact, url, _ = ask()
    with visitor(chromium) as guest:
        page = guest.page(url)
        page.get_by_role("button", name=YES).click()
        assert "Please read this once more" in page.get_by_role("alert").inner_text()
        press(page, YES)
        assert heading(page) == "You're signed up"
    assert len(records(contact)) == 1


def test_two_tabs_are_one_answer(chromium: Any, ask: Any, records: Any) -> None:
    contact, url, _ = ask()
    with visitor(chromium) as guest:
        page, other = guest.page(url), guest.page(url)
        press(page, YES)
        press(other, NO)
        assert heading(other) == GONE
        assert "2671" not in other.content()
    assert [record.status for record in records(contact)] == ["opt-in"]


def test_a_contact_answers_in_spanish(chromium: Any, ask: Any, records: Any) -> None:
    contact, url, _ = ask()
    with visitor(chromium, locale="es-MX") as guest:
        page = guest.page(url)
        page.get_by_role("link", name="English").click()
        assert heading(page) == QUESTION
        page.get_by_role("link", name="Español").click()
        press(page, "Sí, envíenme mensajes")
        assert heading(page) == "Ya está inscrito"
    (record,) = records(contact)
    assert record.evidence["page_lang"] == "es"


def test_the_keyboard_is_enough(chromium: Any, ask: Any) -> None:
    _, url, _ = ask()
    with visitor(chromium, DESK) as guest:
        page = guest.page(url)
        page.keyboard.press("Tab")  # the language
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.innerText") == YES
        page.wait_for_timeout(READING_MS)
        page.keyboard.press("Enter")
        page.wait_for_selector("text=You're signed up")


def every_page(guest: Any, post: Any, ask: Any) -> Iterator[tuple[str, Any]]:
    """Yield each page by its name."""
    _, url, challenge_id = ask()
    yield "question", guest.page(url)
    page = guest.page(url)  # axe takes longer than the two seconds that are too quick
    follow(page, page.get_by_role("button", name=YES))
    yield "read again", page
    press(page, YES)
    yield "done", page
    yield "gone", guest.page(url)
    yield "specimen", guest.page(url.rpartition("/")[0] + "/" + challenge_id)
    yield "not found", guest.page(url[:-1])
    yield "below", guest.page(url + "/below")
    declined = guest.page(ask(locale="es")[1])
    press(declined, "No, yo no lo pedí")
    yield "declined", declined
    yield "poster", guest.page(post("hosted", confirm="none")["url"] + "/poster")


def test_axe_finds_nothing_on_any_page_in_any_look(chromium: Any, post: Any, ask: Any) -> None:
    with visitor(chromium, scripts=True) as guest:
        pages = every_page(guest, post, ask)
        found = {name: violations_in_any_look(page) for name, page in pages}
    assert {name: each for name, each in found.items() if each} == {}
    assert len(found) == 9


def test_no_page_scrolls_sideways_or_logs_anything(
    chromium: Any, post: Any, ask: Any, stack: LocalStack
) -> None:
    with visitor(chromium, (320, 640)) as guest:
        found = [name for name, page in every_page(guest, post, ask) if scrolls_sideways(page)]
        assert guest.was_silent(stack.api_url)
    assert found == []


def test_the_buttons_are_large_enough(chromium: Any, ask: Any) -> None:
    with visitor(chromium, PHONE) as guest:
        buttons = guest.page(ask()[1]).locator("button").all()
        assert min(button.bounding_box()["height"] for button in buttons) >= 44


# ---------------------------------------------------------------- QR code and poster


def test_the_poster_is_one_sheet_of_a4_and_of_letter(chromium: Any, post: Any) -> None:
    made = post("hosted", confirm="none", headline="Get appointment reminders by text")
    with visitor(chromium) as guest:
        page = guest.page(made["url"] + "/poster")
        assert heading(page) == "Get appointment reminders by text"
        assert made["url"].partition("://")[2] in page.locator("main").inner_text()
        for size in ("A4", "Letter"):
            sheets = page.pdf(format=size)
            assert len(re.findall(rb"/Type\s*/Page\b", sheets)) == 1
        assert guest.was_silent(made["url"])


def test_the_qr_code_is_an_image(post: Any) -> None:
    made = post("hosted", confirm="none")
    image = requests.get(made["url"] + "/qr.svg", timeout=60)

    assert (image.status_code, image.headers["Content-Type"]) == (200, "image/svg+xml")
    assert made["url"] in image.text


@pytest.mark.parametrize("below", ["poster", "qr.svg"])
def test_one_contacts_form_has_neither(post: Any, below: str) -> None:
    made = post("hosted", contact_number="+15554443333", confirm="none")
    for link in (made["url"], made["url"].removesuffix(made["token"]) + made["form_id"]):
        page = requests.get(f"{link}/{below}", timeout=60)
        assert page.status_code == 404
        assert "This page does not exist" in page.text
