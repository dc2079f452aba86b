"""The seven rules of a server on localhost: each test tries to break one."""

import json
import re

import pytest
from consents.domain.record import timestamp
from consents_console.guard import MAX_FORM_BYTES, OPEN_PATH
from consents_console.session import COOKIE, IDLE_SECONDS

from tests.factories import NOW, TEXT, attested_record, receipt
from tests.integration.conftest import Tenant
from tests.integration.operators import ORIGIN, PORT, Operator, watched

pytestmark = pytest.mark.usefixtures("engine")

CONTACT = "+15554443333"
OTHER_SITE = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def operator() -> Operator:
    """An operator who has opened the link."""
    return Operator().open()


# ---------------------------------------------------------------- 1. the host


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "localhost:80",
        f"127.0.0.1.nip.io:{PORT}",
        f"[::1]:{PORT}",
        f"127.0.0.1:{PORT}@evil.example",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/static/console.css", OPEN_PATH])
def test_another_host_gets_nothing(operator: Operator, host: str, path: str) -> None:
    response = operator.send("GET", path, headers={"Host": host})
    assert (response.status_code, response.text) == (400, "unknown host")


def test_a_rebound_name_cannot_use_up_the_link() -> None:
    operator = Operator()
    path = f"{OPEN_PATH}?key={operator.session.link_key}"
    assert operator.send("GET", path, headers={"Host": "evil.example"}).status_code == 400
    assert operator.get(path).status_code == 303


def test_localhost_with_the_port_is_a_host(operator: Operator) -> None:
    assert operator.send("GET", "/", headers={"Host": f"localhost:{PORT}"}).status_code == 200


# ---------------------------------------------------------------- 2. the link and the cookie


@pytest.mark.parametrize(
    "path", ["/", "/audit", "/audit.csv", "/static/console.css", "/static/htmx.min.js", "/nothing"]
)
@pytest.mark.parametrize("cookie", [None, "", "x" * 43, "%C3%A9"])
def test_nothing_is_shown_without_the_cookie(path: str, cookie: str | None) -> None:
    operator = Operator()
    sent = {} if cookie is None else {"Cookie": f"{COOKIE}={cookie}"}
    assert operator.send("GET", path, headers=sent).status_code == 401


def test_a_link_opens_once() -> None:
    operator = Operator()
    path = f"{OPEN_PATH}?key={operator.session.link_key}"
    operator.open()
    operator.cookies = {}
    assert operator.get(path).status_code == 401
    assert operator.get(OPEN_PATH).status_code == 401
    assert operator.get(f"{OPEN_PATH}?key=").status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    operator = Operator()
    response = operator.get(f"{OPEN_PATH}?key={operator.session.link_key}")
    attributes = {each.strip().lower() for each in response.headers["set-cookie"].split(";")[1:]}
    assert attributes == {"httponly", "path=/", "samesite=strict"}


def test_secrets_have_256_random_bits() -> None:
    session = Operator().session
    secrets = {session.link_key, session.cookie, session.form_token}
    assert [len(secret) for secret in secrets] == [43, 43, 43]


# ---------------------------------------------------------------- 3. writes


WRITES = ["/", "/audit", "/organizations/{}/keys"]


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        OTHER_SITE,
        {},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site"},
        {"Origin": f"https://127.0.0.1:{PORT}"},
        {"Origin": f"http://localhost:{PORT}"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_form_of_another_site_is_refused(
    operator: Operator, path: str, headers: dict[str, str]
) -> None:
    body = f"token={operator.session.form_token}"
    response = operator.send("POST", path.format("org_1"), body=body, headers=headers)
    assert (response.status_code, response.text) == (403, "the request comes from another site")


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("body", ["", "token=", "token=x", "tokens=x"])
def test_a_form_without_the_token_is_refused(operator: Operator, path: str, body: str) -> None:
    response = operator.send("POST", path.format("org_1"), body=body, headers={"Origin": ORIGIN})
    assert response.status_code == 403


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_no_other_method_reaches_a_page(operator: Operator, method: str) -> None:
    assert operator.send(method, "/", headers={"Origin": ORIGIN}).status_code == 405


def test_a_form_is_bounded(operator: Operator) -> None:
    body = f"token={operator.session.form_token}&sought={'1' * MAX_FORM_BYTES}"
    assert operator.send("POST", "/", body=body, headers={"Origin": ORIGIN}).status_code == 413


def test_a_browser_without_referrers_may_send_forms(operator: Operator, tenant: Tenant) -> None:
    """Chromium sends `Origin: null` where the policy is `no-referrer`."""
    body = f"token={operator.session.form_token}&sought=%2B15554443333&org_id={tenant.org_id}"
    own = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    assert operator.send("POST", "/", body=body, headers=own).status_code == 303


def test_reading_writes_nothing_but_the_access_log(operator: Operator, tenant: Tenant) -> None:
    key = f"/organizations/{tenant.org_id}/keys/{tenant.key_id}/revoke"
    contact = operator.post("/", sought=CONTACT, org_id=tenant.org_id).headers["location"]
    with watched(operator.stack) as calls:
        for path in ("/", "/audit", "/organizations", key, contact, f"{contact}/revoke"):
            assert operator.get(path).status_code == 200
    written = {name for name, _ in calls} - {"Query", "GetItem", "BatchGetItem"}
    statements = {
        each["Statement"].partition(" VALUE")[0]
        for name, parameters in calls
        if name == "BatchExecuteStatement"
        for each in parameters_of(parameters)["Statements"]
    }
    assert (written, statements) == ({"BatchExecuteStatement"}, {'INSERT INTO "AccessLogTable"'})


def parameters_of(call: object) -> dict[str, list[dict[str, str]]]:
    """Return what a call of botocore sends."""
    assert isinstance(call, dict)
    return dict(json.loads(call["body"]))


# ---------------------------------------------------------------- 4. headers


@pytest.mark.parametrize("path", ["/", "/static/console.css", "/nothing", "/audit"])
@pytest.mark.parametrize("has_cookie", [True, False])
def test_every_response_forbids_other_sources_frames_and_caches(
    path: str, has_cookie: bool
) -> None:
    operator = Operator().open() if has_cookie else Operator()
    headers = operator.get(path).headers
    policy = dict(
        each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";")
    )
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert (policy["frame-ancestors"], policy["base-uri"]) == ("'none'", "'none'")
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


def test_no_page_has_inline_style_or_script(operator: Operator, tenant: Tenant) -> None:
    found = operator.find(tenant.org_id, CONTACT)
    for text in (found.text, operator.get("/audit").text, operator.get("/organizations").text):
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script>", text)


# ---------------------------------------------------------------- 5. markup is text

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def test_markup_in_evidence_and_texts_is_shown_as_text(operator: Operator, tenant: Tenant) -> None:
    sent = {
        "phone_number_id": "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e",
        "contact_number": CONTACT,
        "opted_in": True,
        "evidence": {
            "captured_at": "2026-04-26T12:00:00Z",
            "ip_address": "203.0.113.42",
            "user_agent": MARKUP,
            "agreement_text": f"{TEXT} {MARKUP}",
            "form_url": "https://example.com/<script>alert(3)</script>",
            "consent_method": "checkbox",
        },
    }
    record = attested_record(sent)
    assert operator.stack.ledger.append(tenant.org_id, [record], receipt(), lambda: 9.0) == [True]
    page = operator.find(tenant.org_id, CONTACT)
    link = re.search(r'href="([^"]+/records/[^"]+)"', page.text)
    assert link is not None
    for shown in (page, operator.get(link[1])):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown.text
        assert "<script>alert" not in shown.text
        assert "<img src=x" not in shown.text


def test_markup_that_a_person_typed_is_shown_as_text(operator: Operator, tenant: Tenant) -> None:
    response = operator.post("/", sought=MARKUP, org_id=tenant.org_id)
    assert response.status_code == 422
    assert "&lt;script&gt;alert(1)" in response.text
    assert "<script>alert" not in response.text
    for path in ("/audit?who=%3Cscript%3Ealert(1)", "/imports/%3Cscript%3Ealert(1)"):
        assert "<script>alert" not in operator.get(path).text


# ---------------------------------------------------------------- 6. the end


def test_an_idle_session_is_over(operator: Operator) -> None:
    operator.clock.seconds += IDLE_SECONDS - 1
    assert operator.get("/").status_code == 200
    operator.clock.seconds += IDLE_SECONDS
    assert operator.get("/").status_code == 401
    assert operator.post("/", sought=CONTACT).status_code == 401
    assert operator.get("/static/console.css").status_code == 401


def test_a_page_that_polls_does_not_keep_a_session(operator: Operator) -> None:
    operator.clock.seconds += IDLE_SECONDS - 1
    assert operator.get(f"/imports/{'0' * 32}/progress").status_code == 404
    operator.clock.seconds += 1
    assert operator.session.is_over


def test_the_link_of_an_idle_console_is_over_too() -> None:
    operator = Operator()
    operator.clock.seconds = IDLE_SECONDS
    assert operator.get(f"{OPEN_PATH}?key={operator.session.link_key}").status_code == 401


# ---------------------------------------------------------------- 7. numbers


def test_no_url_holds_a_number(operator: Operator, tenant: Tenant) -> None:
    record = attested_record()
    operator.stack.ledger.append(tenant.org_id, [record], receipt(), lambda: 9.0)
    found = operator.post("/", sought="+1 (555) 444-3333", org_id=tenant.org_id)
    page = operator.follow(found)
    urls = [found.headers["location"], *re.findall(r'(?:href|action|src)="([^"]*)"', page.text)]
    assert len(urls) > 10
    assert not [url for url in urls if "4443333" in url or "5550001111" in url]


def test_a_contact_in_the_audit_is_a_hash_in_its_url(operator: Operator, tenant: Tenant) -> None:
    operator.find(tenant.org_id, CONTACT)
    response = operator.post("/audit", contact=CONTACT, day=timestamp(NOW)[:10])
    assert re.fullmatch(
        r"/audit\?day=[0-9-]{10}&contact=[0-9a-f]{64}", response.headers["location"]
    )


def test_an_error_of_a_page_shows_and_logs_nothing_of_a_contact(
    operator: Operator, tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    record = attested_record()
    operator.stack.ledger.append(tenant.org_id, [record], receipt(), lambda: 9.0)
    key = {"pk": {"S": f"{tenant.org_id}#{CONTACT}"}, "sk": {"S": "+15550001111#broken"}}
    broken = {"wire": {"S": CONTACT}, "status": {"S": "opt-in"}}
    operator.stack.dynamodb.put_item(TableName="LedgerTable", Item=key | broken)
    response = operator.follow(operator.post("/", sought=CONTACT, org_id=tenant.org_id))
    printed = capsys.readouterr()
    assert response.status_code == 500
    assert "stored_record" in printed.err
    assert CONTACT not in response.text + printed.out + printed.err
