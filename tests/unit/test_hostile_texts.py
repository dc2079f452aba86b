"""200 hostile texts in every field that a page shows: escaped, and nothing but text."""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import unescape
from itertools import cycle, product

import pytest
from consents.domain.sender_profile import SenderProfile
from consents.forms.form import Confirm, Form
from consents.forms.pages import Fill, form_page, specimen_page, submitted_page
from consents.forms.submission import Submission
from consents.http.response import Response
from consents.pages.notice import notice_page

from tests.factories import NOW, form, shown

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example>",
    "<form action=https://evil.example><button>Go</button></form>",
    "<style>*{display:none}</style>",
    "<input name=agree type=checkbox checked>",
    " autofocus onfocus=alert(1) x=",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "&lt;script&gt;&#x3c;script&#62;&amp;",
    "{{ 7 * 7 }}{% include 'form.html' %}{# #}",
    "{brand}{0}{t.__globals__}{}",
    "%s%(brand)s%n${7*7}<%= 7*7 %>#{7*7}",
    "\u202egnol si txet siht\u202d\u2066\u2067\u2068\u200f",
    "a\u0000b\u0001c\u0008d\u001be\u007f",
    "\ud800half a pair",
    "\u0301" * 500,
    "W" * 10_000,
    "\u05d0\u05d1 " * 3_000,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 100,
    "\u2028line\u2029paragraph\u0085next",
    "`'\"\\",
]
WRAPPERS = [
    "{}",
    '">{}',
    "'>{}",
    "</title></style></label>{}",
    "--><![CDATA[{}]]>",
    "</textarea></noscript>{}",
    "\u2067{}",
    "\x00<{}",
]
TEXTS = [wrapper.replace("{}", attack) for attack, wrapper in product(ATTACKS, WRAPPERS)]
LANGUAGES = ("en", "es", "es")
"""Three, so that each of the eight ways meets both."""


def pages(text: str, lang: str) -> Iterator[tuple[str, Response]]:
    """Yield each page by its name, all its fields with this text."""
    made = hostile_form(text)
    problems = {"number": "number_invalid", "agree": "box_missing"}
    yield "form", form_page(made, lang, Fill(text, text))
    yield "errors", form_page(made, lang, Fill(text, text, problems), 422)
    yield "read again", form_page(made, lang, Fill(text, text, reads_again=True), 409)
    yield "specimen", specimen_page(made, lang)
    yield "done", submitted_page(made, lang, submission(made))
    by_text = hostile_form(text, confirm=Confirm.SMS)
    yield "one more step", submitted_page(by_text, lang, submission(by_text))
    yield "closed", notice_page(410, lang, "closed", "lock", profile=made.profile)
    again = {"stamp": text, "number": text, "website": text, "lang": text}
    yield "failed", notice_page(503, lang, "failed", "alert", profile=made.profile, again=again)


def hostile_form(text: str, confirm: Confirm = Confirm.NONE) -> Form:
    url = f"https://example.com/?{text}"
    profile = SenderProfile(
        brand=text,
        legal_name=text,
        program=text,
        frequency=text,
        terms_url=url,
        privacy_url=url,
        help_contact=text,
        logo=f"data:image/png;base64,{text}",
    )
    return form(
        profile=profile,
        agreement_text=text,
        agreement_lang=text,
        confirm=confirm,
        headline=text,
        intro=text,
        program=text,
        frequency=text,
        redirect_url=url,
        reference=text,
    )


def submission(made: Form) -> Submission:
    contact = "+15554443333"
    return Submission(made.form_id, "f" * 24, contact, NOW, NOW, "-", "-", "-", "-", "en")


def structure(page: Response) -> dict[str, int]:
    """Return how often a page has each character that begins or ends a tag or an attribute."""
    return {char: page.body.count(char.encode()) for char in "<>\"'"}


PLAIN = {(lang, name): structure(page) for lang in LANGUAGES for name, page in pages("plain", lang)}


def test_there_are_200_texts() -> None:
    assert len({*TEXTS}) == 200


@pytest.mark.parametrize(("text", "lang"), [*zip(TEXTS, cycle(LANGUAGES))], ids=shown)
def test_a_hostile_text_is_text_on_every_page(text: str, lang: str) -> None:
    for name, page in pages(text, lang):
        assert structure(page) == PLAIN[lang, name], name
        assert text.encode(errors="replace").decode() in unescape(page.body.decode()), name
        assert page.headers["Content-Security-Policy"] == policy_of(page), name


def policy_of(page: Response) -> str:
    """Return the policy that takes the two style elements of a page, and no more."""
    styles = re.findall("<style>(.*?)</style>", page.body.decode(), re.DOTALL)
    assert len(styles) == 2
    hashes = (b64encode(sha256(each.encode()).digest()).decode() for each in styles)
    return (
        f"default-src 'none'; style-src {' '.join(f"'sha256-{each}'" for each in hashes)}; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
