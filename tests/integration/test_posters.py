"""Posters and QR codes: of open forms alone, while they are open."""

from xml.etree import ElementTree

import pytest

from tests.integration.conftest import Invoke, Tenant
from tests.integration.invocation import Response
from tests.integration.visitors import ORIGIN, Link, bound, make, order, title

BELOW = ("poster", "qr.svg")


def read(invoke: Invoke, token: str, below: str, **changes: object) -> Response:
    """Open what is below a link."""
    return invoke(
        "serve_poster.unknown",
        resource=f"/f/{{token}}/{below}",
        pathParameters={"token": token},
        **changes,
    )


@pytest.fixture
def link(invoke: Invoke, tenant: Tenant) -> Link:
    """The link of an open form."""
    return make(invoke, tenant, order(tenant))


def test_the_poster_has_brand_headline_disclosures_and_address(invoke: Invoke, link: Link) -> None:
    page = read(invoke, link.token, "poster")

    assert (page.status, title(page)) == (200, "Get appointment reminders by text")
    for text in ("Appointment reminders", "About 4 messages a month", "Reply STOP to end"):
        assert text in page.body
    assert f"{ORIGIN}/f/{link.form_id}".partition("://")[2] in page.body
    assert 'role="img"' in page.body


def test_the_poster_is_in_the_language_that_is_asked_for(invoke: Invoke, link: Link) -> None:
    page = read(invoke, link.token, "poster", queryStringParameters={"lang": "es"})
    assert "Apunte aquí la cámara" in page.body


def test_the_qr_code_is_an_image_of_the_link(invoke: Invoke, link: Link) -> None:
    image = read(invoke, link.token, "qr.svg")
    svg = ElementTree.fromstring(image.body)

    assert image.headers["Content-Type"] == "image/svg+xml"
    assert "default-src 'none'" in image.headers["Content-Security-Policy"]
    assert [each.text for each in svg if each.tag.endswith("title")] == [
        f"{ORIGIN}/f/{link.form_id}"
    ]
    size = int(svg.attrib["viewBox"].split()[2])
    assert 37 <= size <= 45


@pytest.mark.parametrize("below", BELOW)
def test_one_contacts_form_and_a_closed_one_have_neither(
    invoke: Invoke, tenant: Tenant, link: Link, below: str
) -> None:
    own = make(invoke, tenant, bound(tenant))
    invoke("close_form.unknown", tenant.bearer, pathParameters={"form_id": link.form_id})

    for token in (own.token, own.form_id, link.token, "aaaaaaaaaaaaaaaa", "x"):
        page = read(invoke, token, below)
        assert (page.status, title(page)) == (404, "This page does not exist")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_is_sent_to_a_poster(invoke: Invoke, link: Link, method: str) -> None:
    page = read(invoke, link.token, "poster", httpMethod=method)
    assert page.status == 404


def test_head_of_an_image_has_no_body(invoke: Invoke, link: Link) -> None:
    head = read(invoke, link.token, "qr.svg", httpMethod="HEAD")
    assert (head.status, head.body) == (200, "")
