"""The operator's console in a real Chromium, started by its command on the local stack."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import requests
from consents_cli.stack import Stack

from tests.e2e import browser as browsers
from tests.e2e import organizations
from tests.e2e.browser import looks, scrolls_sideways, violations_in_any_look
from tests.e2e.consoles import Console, browsing, running_console
from tests.e2e.files import Put, as_csv, attested_row
from tests.e2e.local_stack import LocalStack
from tests.factories import TEXT

pytestmark = browsers.NEEDED

CONTACT, UNKNOWN = "+15554443999", "+15554440000"
MG = "MG00000000000000000000000000000001"
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def console(stack: LocalStack) -> Iterator[Console]:
    """The console of the local stack."""
    with running_console(stack) as running:
        yield running


@pytest.fixture(scope="module")
def signed_in(chromium: Any, console: Console) -> Any:
    """The state of a browser that opened the link."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(console.link)
    assert page.get_by_role("heading", level=1).inner_text() == "May I text this person?"
    state = context.storage_state()
    assert page.goto(console.link).status == 401
    context.close()
    return state


@pytest.fixture(scope="module")
def demo(stack: LocalStack, sealing: None) -> dict[str, Any]:  # noqa: ARG001 - for its pack
    """The demo organization, with a contact who opted in and out."""
    organization = stack.organization
    for _ in range(51):  # as many log lines as the page of a request shows, and one more
        requests.get(f"{stack.api_url}/v1/nothing", timeout=60)
    for opted_in, at, method in (
        (True, "2025-02-28T10:05:27Z", "written"),
        (False, "2026-02-11T17:41:02Z", "sms_keyword"),
        (True, "2026-04-26T12:00:00Z", "verbal"),
        (True, "2024-01-05T08:00:00Z", "written"),
    ):
        capture(stack, CONTACT, opted_in, captured_at=at, consent_method=method)
    return organization


def capture(stack: LocalStack, contact: str, opted_in: bool, **evidence: str) -> None:
    """Capture a record for the number of the demo organization."""
    record = {
        "phone_number_id": stack.organization["senders"][0]["phone_number_id"],
        "contact_number": contact,
        "opted_in": opted_in,
        "evidence": {"agreement_text": f"{TEXT} {MARKUP}", "user_agent": MARKUP} | evidence,
    }
    requests.post(
        f"{stack.api_url}/v1/consent",
        json=record,
        headers={"Authorization": f"Bearer {stack.organization['api_key']}"},
        timeout=60,
    ).raise_for_status()


@pytest.fixture
def browse(chromium: Any, console: Console, signed_in: Any, demo: dict[str, Any]) -> Any:
    """Return a browser of an operator."""
    del demo  # it is captured

    def browse(**options: Any) -> Any:
        return browsing(chromium, console, signed_in, **options)

    return browse


def heading(page: Any) -> str:
    return str(page.get_by_role("heading", level=1).inner_text())


# ---------------------------------------------------------------- flows


def test_a_browser_without_the_link_sees_nothing(chromium: Any, console: Console) -> None:
    context = chromium.new_context()
    page = context.new_page()
    for path in ("/", "/audit", "/static/console.css"):
        assert page.goto(f"{console.url}{path}").status == 401
    context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_contact_is_found_and_its_evidence_is_text(browse: Any, scripts: bool) -> None:
    with browse(java_script_enabled=scripts) as browser:
        page = browser.contact("+1 (555) 444-3999")
        assert heading(page) == "+1 555 444 3999"
        verdict = page.get_by_role("listitem").filter(has_text="+1 555 000 1111").first
        assert verdict.inner_text().split()[0] == "Yes"
        assert page.get_by_text(MARKUP).first.is_visible()
        assert page.get_by_text("Arrived late, does not count").is_visible()
        assert "4443999" not in page.url


def test_an_unknown_number_may_not_be_texted(browse: Any) -> None:
    with browse() as browser:
        page = browser.contact(UNKNOWN)
        assert page.get_by_text("you may not text it").is_visible()
        assert page.get_by_text("No", exact=True).is_visible()


def test_a_timeline_is_filtered(browse: Any) -> None:
    with browse() as browser:
        page = browser.contact(CONTACT)
        records = page.locator(".timeline > li")
        assert records.count() == 4
        page.get_by_role("link", name="Only what counts").click()
        page.wait_for_url("**?counting*")
        assert records.count() == 1
        page.get_by_role("link", name="+1 555 000 1111", exact=True).click()
        page.wait_for_url(lambda url: "counting" in url)
        page.get_by_role("link", name="Only what counts").click()
        page.wait_for_url(lambda url: "counting" not in url)
        assert records.count() == 4


def test_a_record_is_unchanged_and_leads_to_its_request(browse: Any) -> None:
    with browse() as browser:
        page = browser.contact(CONTACT)
        page.get_by_role("link", name="Open the record that decides").click()
        page.wait_for_url("**/records/*")
        assert page.get_by_text("Fits.").count() == 2
        request_id = page.locator("dd a").inner_text()
        page.get_by_role("link", name=request_id).click()
        page.wait_for_url("**/requests/*")
        poll(page, page.get_by_text("request.completed"))  # the log has it a moment later
        assert page.get_by_text("POST /v1/consent", exact=True).is_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_consent_is_revoked_with_a_reason(
    browse: Any, stack: LocalStack, deployed: Stack, scripts: bool
) -> None:
    contact = "+15554441001" if scripts else "+15554441002"
    capture(stack, contact, True, captured_at="2026-04-26T12:00:00Z", consent_method="verbal")
    with browse(java_script_enabled=scripts) as browser:
        page = browser.contact(contact)
        page.get_by_role("link", name="Revoke consent").click()
        page.get_by_label("Every sender").check()
        page.get_by_label("How the contact said it").select_option("Phone call")
        page.get_by_label("What the contact said").fill("No more, please.")
        page.get_by_label("Why you do this").fill("TICKET-12")
        page.get_by_role("button", name="Revoke consent").click()
        page.get_by_role("status").get_by_text("The revocation is stored.").wait_for()
        assert page.get_by_text("Opted out of every sender").first.is_visible()
    newest, *_ = deployed.ledger.history(stack.organization["org_id"], contact)
    assert newest.evidence["text"] == "No more, please."


def test_keyboard_alone_finds_and_revokes(browse: Any, stack: LocalStack, deployed: Stack) -> None:
    contact = "+15554441003"
    capture(stack, contact, True, captured_at="2026-04-26T12:00:00Z", consent_method="verbal")
    with browse() as browser:
        page = browser.page("/audit")
        page.keyboard.press("/")
        page.locator("input:focus").wait_for()
        page.keyboard.type(contact)
        page.keyboard.press("Enter")
        page.wait_for_url("**/consents/*")
        tab_to(page, "Revoke consent")
        page.keyboard.press("Enter")
        page.wait_for_url("**/revoke")
        tab_to(page, "sender")
        tab_to(page, "method")
        page.keyboard.type("Letter")
        tab_to(page, "reason")
        page.keyboard.type("TICKET-13")
        page.keyboard.press("Enter")
        page.get_by_text("The revocation is stored.").wait_for()
    newest, *_ = deployed.ledger.history(stack.organization["org_id"], contact)
    assert newest.evidence["method"] == "letter"


def tab_to(page: Any, name: str) -> None:
    """Press Tab until an element of this name or text has the focus, which must be visible."""
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => { const e = document.activeElement;"
            "return [e.name || e.innerText, getComputedStyle(e).outlineStyle] }"
        )
        if focused[0] == name:
            assert focused[1] == "solid"
            return
    raise AssertionError(f"no Tab leads to {name}")


def test_an_import_shows_its_progress_and_rejected_rows(
    browse: Any, stack: LocalStack, put: Put, tmp_path: Path
) -> None:
    rows = [
        attested_row(stack, f"+1555444{number:04}" if number % 2 else "nobody")
        for number in range(2000, 2240)
    ]
    with browse() as browser:
        dropped = put("attested/spring.csv", as_csv(rows))
        page = browser.page(f"/organizations/{stack.organization['org_id']}/imports")
        link = page.get_by_role("link", name=dropped.import_id[:8])
        poll(page, link)
        link.click()
        page.get_by_text("Every row is counted and reported.").wait_for(timeout=60_000)
        assert page.locator("tbody tr").count() == 50
        page.get_by_role("link", name="Next rows").click()
        page.wait_for_url("**?start=*")
        assert "must be E.164" in page.locator("tbody tr").first.inner_text()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download CSV").click()
        download.value.save_as(tmp_path / "rejected.csv")
    assert len((tmp_path / "rejected.csv").read_text().splitlines()) == 121


def poll(page: Any, locator: Any) -> None:
    """Load a page again until it has an element."""
    for _ in range(120):
        if locator.count():
            return
        page.wait_for_timeout(250)
        page.reload()
    raise AssertionError("the page never had the element")


def test_a_running_import_is_polled(browse: Any, stack: LocalStack, deployed: Stack) -> None:
    """An announced upload changes its state without a reload once its file arrives."""
    announced = requests.post(
        f"{stack.api_url}/v1/imports",
        json={"wire": "attested", "format": "csv", "size": len(ONE_ROW)},
        headers={"Authorization": f"Bearer {stack.organization['api_key']}"},
        timeout=60,
    ).json()
    with browse() as browser:
        page = browser.page(f"/imports/{announced['import_id']}")
        assert page.get_by_text("The file has not arrived yet", exact=False).is_visible()
        upload = announced["upload"]
        requests.put(upload["url"], data=ONE_ROW, headers=upload["headers"], timeout=60)
        page.get_by_text("Every row is counted and reported.").wait_for(timeout=60_000)
    assert deployed.imports.get(announced["import_id"]).is_reported


ONE_ROW = b"contact_number\n+15554443333\n"


def test_a_key_is_shown_once_works_and_is_revoked(
    browse: Any, stack: LocalStack, demo: dict[str, Any]
) -> None:
    with browse() as browser:
        page = browser.page(f"/organizations/{demo['org_id']}")
        page.get_by_label("read records").check()
        page.get_by_label("Why you create it").fill("TICKET-14")
        page.get_by_role("button", name="Create key").click()
        secret = page.locator("#secret").inner_text()
        searched = requests.post(
            f"{stack.api_url}/v1/consent/search",
            json={"contact_number": CONTACT},
            headers={"Authorization": f"Bearer {secret}"},
            timeout=60,
        )
        assert searched.status_code == 200
        page.get_by_role("link", name="I have saved it").click()
        page.wait_for_url("**#keys")
        assert secret not in page.content()
        key_id = secret.split("_")[2]
        page.get_by_role("link", name=f"Revoke key {key_id}").click()
        page.get_by_label("Why you revoke it").fill("TICKET-15")
        page.get_by_role("button", name="Revoke key").click()
        page.get_by_role("status").get_by_text("The key is revoked.").wait_for()


def test_the_audit_shows_who_looked_at_a_contact(browse: Any) -> None:
    with browse() as browser:
        browser.contact("+15554441004")
        page = browser.page("/audit")
        page.get_by_label("Contact").fill("+1 555 444 1004")
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**contact=*")
        row = page.locator("tbody tr").first.inner_text()
        assert "looked at a contact" in row
        assert "1004" not in page.content()
        page.get_by_role("link", name="root").first.click()
        page.wait_for_url("**who=*")
        assert page.locator("tbody tr").count() == 1


def test_a_contact_prints_to_pdf_without_controls(browse: Any, tmp_path: Path) -> None:
    with browse() as browser:
        page = browser.contact(CONTACT)
        page.emulate_media(media="print")
        assert not page.get_by_role("navigation", name="Main").is_visible()
        assert not page.get_by_role("link", name="Revoke consent").is_visible()
        assert page.get_by_text("Opted out").first.is_visible()
        assert page.get_by_text("by root.").is_visible()
        printed = page.pdf(path=str(tmp_path / "contact.pdf"))
    assert printed.startswith(b"%PDF")
    assert len(printed) > 10_000


def test_a_proof_pack_is_downloaded(browse: Any, stack: LocalStack, tmp_path: Path) -> None:
    waited = ["--org", stack.organization["org_id"], "--contact", CONTACT]
    made = stack.run("proof", *waited, "--output", str(tmp_path / "command.zip"))
    assert made.returncode == 0, made.stderr  # from now on the log has the contact's records
    with browse() as browser:
        page = browser.contact(CONTACT)
        with page.expect_download(timeout=60_000) as download:
            page.get_by_role("button", name="Download proof pack").click()
        download.value.save_as(tmp_path / "console.zip")
    with ZipFile(tmp_path / "command.zip") as one, ZipFile(tmp_path / "console.zip") as other:
        assert one.namelist() == other.namelist()
        assert "COVER.html" in other.namelist()


# ---------------------------------------------------------------- every page


def every_page(browser: Any, org_id: str) -> Iterator[tuple[str, Any]]:
    """Open each page of the console."""
    page = browser.contact(CONTACT)
    yield "contact", page
    contact = page.url.removeprefix(browser.url)
    page.get_by_role("link", name="Open the record that decides").click()
    page.wait_for_url("**/records/*")
    yield "record", page
    page.locator("dd a").click()
    page.wait_for_url("**/requests/*")
    yield "request", page
    yield "unknown contact", browser.contact(UNKNOWN)
    page = browser.page(f"{contact}/revoke")
    yield "revoke", page
    yield "find", browser.page("/")
    yield "organizations", browser.page("/organizations")
    page = browser.page(f"/organizations/{org_id}")
    yield "organization", page
    page.get_by_role("link", name="Revoke key").first.click()
    page.wait_for_url("**/revoke")
    yield "revoke key", page
    yield "imports", browser.page(f"/organizations/{org_id}/imports")
    yield "audit", browser.page("/audit")
    page = browser.page("/")
    page.get_by_label("Number or id").fill("Jo")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("alert").wait_for()
    browser.problems.clear()  # Chromium logs the status of the page
    yield "problem", page


def test_no_page_has_an_accessibility_violation_or_scrolls_sideways(
    browse: Any, demo: dict[str, Any]
) -> None:
    found = {}
    # axe is injected into the page, which the policy of the console forbids.
    with browse(bypass_csp=True) as browser:
        for name, page in every_page(browser, demo["org_id"]):
            found[name] = [f"{look}: wide" for look in looks(page) if scrolls_sideways(page)]
            found[name] += violations_in_any_look(page)
            if name == "problem":
                page.close()
    assert {name: each for name, each in found.items() if each} == {}
    assert len(found) == 12


def test_a_new_organization_says_what_to_do_next(browse: Any, stack: LocalStack) -> None:
    org_id = organizations.create(stack, sender=("+15550004444", None))["org_id"]
    with browse() as browser:
        page = browser.page(f"/organizations/{org_id}/imports")
        assert page.get_by_text(f"consents drop FILE --org {org_id}").is_visible()
