"""Pages of hosted forms: what each link shows, and the headers of every answer."""

from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from io import StringIO

import pytest
from consents.http.page_endpoint import HEADERS

from tests.integration.conftest import Invoke, Tenant
from tests.integration.faults import BreakCall, error_response
from tests.integration.invocation import Response
from tests.integration.visitors import CONTACT, Link, Visitor, bound, make, order, title

GONE = "This link is no longer open"
NOT_FOUND = "This page does not exist"


@pytest.fixture
def visitor(invoke: Invoke) -> Visitor:
    """A visitor at an address of the documentation."""
    return Visitor(invoke)


@pytest.fixture
def link(invoke: Invoke, tenant: Tenant) -> Link:
    """The link of an open form."""
    return make(invoke, tenant, order(tenant))


@pytest.fixture
def own_link(invoke: Invoke, tenant: Tenant) -> Link:
    """The link of a form for one contact."""
    return make(invoke, tenant, bound(tenant))


class Markup(HTMLParser):
    """The tags of a page, and the text of its style elements."""

    def __init__(self, page: Response) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.styles: list[str] = []
        self.feed(page.body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "style" and data.strip():
            self.styles.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each tag of a name."""
        return [attributes for name, attributes in self.tags if name == tag]


def policy_of(page: Response) -> str:
    styles = " ".join(
        f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
        for style in Markup(page).styles
    )
    return (
        f"default-src 'none'; style-src {styles}; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def assert_page(page: Response, status: int, heading: str) -> None:
    assert (page.status, title(page)) == (status, heading)
    assert page.headers.items() >= HEADERS.items()
    assert page.headers["Content-Security-Policy"] == policy_of(page)
    assert page.headers.keys() - HEADERS.keys() <= {
        "Content-Security-Policy",
        "X-Request-Id",
        "Retry-After",
    }


def test_an_open_form_asks_for_number_and_agreement(visitor: Visitor, link: Link) -> None:
    page = visitor.open(link.token)

    assert_page(page, 200, "Get appointment reminders by text")
    fields = {field.get("name"): field for field in Markup(page).all("input")}
    assert fields.keys() == {"stamp", "lang", "website", "number", "agree"}
    assert "checked" not in fields["agree"]
    assert fields["agree"]["autocomplete"] == "off"
    assert fields["number"]["autocomplete"] == "tel"


def test_a_page_needs_no_script_and_nothing_from_elsewhere(visitor: Visitor, link: Link) -> None:
    markup = Markup(visitor.open(link.token))

    assert not {tag for tag, _ in markup.tags} & {"script", "iframe", "object", "embed"}
    assert [tag for tag in markup.all("link") if tag["href"] != "data:,"] == []
    assert [name for _, attributes in markup.tags for name in attributes if name[:2] == "on"] == []
    assert [each["action"] for each in markup.all("form")] == ["?"]


def test_one_contacts_form_shows_the_number_in_full(visitor: Visitor, own_link: Link) -> None:
    page = visitor.open(own_link.token)

    assert_page(page, 200, "Get appointment reminders by text")
    assert "(555) 444-3333" in page.body
    assert "number" not in [field.get("name") for field in Markup(page).all("input")]


def test_without_its_secret_a_link_shows_a_specimen(visitor: Visitor, own_link: Link) -> None:
    page = visitor.open(own_link.form_id)

    assert_page(page, 200, "Get appointment reminders by text")
    assert "4-3333" not in page.body
    assert [button.keys() for button in Markup(page).all("button")] == [{"disabled"}]


@pytest.mark.parametrize("ending", [".0000000000000000000000", ".short", "x", "/"])
def test_an_incomplete_link_is_not_found(visitor: Visitor, own_link: Link, ending: str) -> None:
    assert_page(visitor.open(own_link.form_id + ending), 404, NOT_FOUND)


def test_a_secret_does_not_open_another_form(
    visitor: Visitor, invoke: Invoke, tenant: Tenant, own_link: Link
) -> None:
    other = make(invoke, tenant, bound(tenant))
    mixed = f"{other.form_id}.{own_link.token.partition('.')[2]}"

    assert_page(visitor.open(mixed), 404, NOT_FOUND)


def test_an_unknown_link_is_not_found(visitor: Visitor) -> None:
    assert_page(visitor.open("aaaaaaaaaaaaaaaa"), 404, NOT_FOUND)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_another_method_gets_a_page(invoke: Invoke, link: Link, method: str) -> None:
    path = {"token": link.token}
    page = invoke("serve_form.unknown", httpMethod=method, pathParameters=path)
    assert_page(page, 404, NOT_FOUND)


def test_a_path_below_a_link_gets_a_page(invoke: Invoke, link: Link) -> None:
    below = {
        "resource": "/f/{token}/{proxy+}",
        "pathParameters": {"token": link.token, "proxy": "x"},
    }
    assert_page(invoke("serve_form.unknown", **below), 404, NOT_FOUND)


def test_head_has_the_headers_and_no_body(invoke: Invoke, visitor: Visitor, link: Link) -> None:
    path = {"token": link.token}
    head = invoke("serve_form.unknown", httpMethod="HEAD", pathParameters=path)
    page = visitor.open(link.token)

    assert (head.status, head.body) == (200, "")
    assert head.headers.keys() == page.headers.keys()


def test_a_closed_form_is_gone(
    visitor: Visitor, invoke: Invoke, tenant: Tenant, own_link: Link
) -> None:
    invoke("close_form.unknown", tenant.bearer, pathParameters={"form_id": own_link.form_id})
    page = visitor.open(own_link.token)

    assert_page(page, 410, GONE)
    assert "Ask Test for a new link." in page.body
    assert CONTACT[-4:] not in page.body


def test_opening_a_link_writes_nothing(visitor: Visitor, link: Link, calls: list[str]) -> None:
    visitor.open(link.token)
    assert calls == ["GetItem"]


@pytest.mark.parametrize(
    ("asked", "accepted", "lang"),
    [
        (None, "es-MX,es;q=0.9,en;q=0.8", "es"),
        (None, "en;q=0.5, es;q=0.6", "es"),
        (None, "fr, de;q=0.9", "en"),
        (None, "es;q=0", "en"),
        (None, "", "en"),
        ("es", "en", "es"),
        ("en", "es", "en"),
        ("<script>", "es", "es"),
    ],
)
def test_a_page_is_in_the_visitors_language(
    visitor: Visitor, link: Link, asked: str | None, accepted: str, lang: str
) -> None:
    page = visitor.open(link.token, lang=asked, **{"Accept-Language": accepted})
    assert Markup(page).all("html") == [{"lang": lang}]


def test_a_form_may_have_a_language(invoke: Invoke, tenant: Tenant, visitor: Visitor) -> None:
    link = make(invoke, tenant, order(tenant, locale="es", headline="Recordatorios"))
    page = visitor.open(link.token, **{"Accept-Language": "en"})

    assert_page(page, 200, "Recordatorios")
    assert Markup(page).all("html") == [{"lang": "es"}]


def test_a_page_of_a_failed_table_says_so(
    visitor: Visitor, link: Link, break_call: BreakCall
) -> None:
    break_call("GetItem", error_response(500, "InternalServerError"))
    page = visitor.open(link.token)

    assert_page(page, 503, "That did not work")
    assert page.headers["Retry-After"] == "1"


def test_no_log_line_has_a_token(visitor: Visitor, own_link: Link, logged: StringIO) -> None:
    visitor.open(own_link.token)

    assert '"route":"GET /f/{token}"' in logged.getvalue()
    assert own_link.form_id not in logged.getvalue()
