"""The fields of a submission, as browsers send them."""

from contextlib import suppress

import pytest
from consents.domain.errors import MalformedBody, UnsupportedMediaType
from consents.forms.form_post import Post, post_of
from consents.pages.errors import FromElsewhere
from consents.pages.post import check_origin, parse
from hypothesis import given
from hypothesis import strategies as st

FORM = "application/x-www-form-urlencoded"
URL = "https://text.example.com/live"


def test_fields_are_read_by_name() -> None:
    body = b"stamp=v1&lang=es&website=&number=%28555%29+444-3333&agree=yes&other=1"
    assert post_of(parse(body, FORM)) == Post(
        "v1", "(555) 444-3333", agrees=True, trap="", lang="es"
    )


def test_a_missing_field_is_empty() -> None:
    assert post_of(parse(b"", FORM)) == Post("", "", agrees=False, trap="", lang="")


@pytest.mark.parametrize("content_type", [FORM.upper(), f"{FORM}; charset=UTF-8"])
def test_the_type_of_a_form_may_have_parameters(content_type: str) -> None:
    assert post_of(parse(b"agree=yes", content_type)).agrees


@pytest.mark.parametrize("content_type", ["", "application/json", f"x{FORM}"])
def test_another_type_is_no_form(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        parse(b"agree=yes", content_type)


@pytest.mark.parametrize("body", [b"\xff=1", b"number=%ff", b"&".join([b"a=1"] * 21)])
def test_a_body_that_is_no_form_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse(body, FORM)


@given(st.binary(max_size=200))
def test_no_body_is_an_error_of_the_service(body: bytes) -> None:
    with suppress(MalformedBody):
        assert isinstance(post_of(parse(body, FORM)), Post)


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        ("", ""),
        ("same-origin", "https://text.example.com"),
        ("none", ""),
        ("", "https://TEXT.example.com"),
    ],
)
def test_a_form_of_the_page_itself_is_accepted(site: str, origin: str) -> None:
    check_origin(site, origin, URL)


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        ("cross-site", ""),
        ("same-site", "https://text.example.com"),
        ("same-origin", "https://evil.example.com"),
        ("", "null"),
        ("", "http://text.example.com"),
        ("", "https://text.example.com.evil.example"),
        ("", "https://text.example.com:8443"),
    ],
)
def test_a_form_from_elsewhere_is_refused(site: str, origin: str) -> None:
    with pytest.raises(FromElsewhere):
        check_origin(site, origin, URL)
