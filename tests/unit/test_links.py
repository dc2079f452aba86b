"""The link of a challenge: its secret is derived, and stands in the sent text alone."""

from dataclasses import replace
from hashlib import sha256

from consents.opt_in.links import LinkKeys, has_one_link, is_secret
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import challenge, text_of

LINK = "https://text.example.com/c/"
TEXT = "Test: Confirm here: {link} STOP"


def keyed_hash(text: str) -> str:
    return sha256(f"key{text}".encode()).hexdigest()


KEYS = LinkKeys(keyed_hash)


@given(st.uuids())
def test_a_challenge_has_one_secret_of_131_bits(challenge_id: object) -> None:
    secret = KEYS.secret(str(challenge_id))

    assert is_secret(secret)
    assert secret == KEYS.secret(str(challenge_id))
    assert secret != KEYS.secret(f"{challenge_id}x")
    assert secret not in KEYS.secret_hash(secret)


def test_a_text_is_sent_with_its_link_and_kept_without_its_secret() -> None:
    asked = challenge(confirmation_text=TEXT, link=LINK)
    sent = KEYS.complete(asked, text_of(asked)).body

    secret = KEYS.secret(asked.challenge_id)
    assert sent == f"Test: Confirm here: {LINK}{secret} STOP"
    assert asked.kept_text == sent.replace(secret, "")


def test_a_text_without_a_link_is_sent_as_it_is() -> None:
    asked = challenge(confirmation_text=TEXT)
    message = text_of(asked)

    assert KEYS.complete(asked, message) == message
    assert asked.kept_text == TEXT


def test_a_reply_may_quote_a_text_before_and_after_its_link() -> None:
    asked = replace(challenge(), confirmation_text=TEXT, welcome_text="Welcome", link=LINK)
    assert asked.own_texts == ("Test: Confirm here: ", " STOP", "Welcome")


@given(st.text())
def test_only_a_text_with_one_place_has_one_link(text: str) -> None:
    assert not has_one_link(text.replace("{link}", ""))
    assert not has_one_link(f"{{link}} {text} {{link}}")
