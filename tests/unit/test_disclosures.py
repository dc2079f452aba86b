"""Which disclosures a form lacks: of the agreement text, and of the sender's profile."""

from typing import Any

import pytest
from consents.forms.disclosures import missing_disclosures
from consents.forms.form import MessageType

from tests.factories import form, sender_profile

BARE = sender_profile(program="", frequency="", terms_url="", privacy_url="")
ALWAYS = ["program", "frequency", "rates", "help", "stop", "terms", "privacy"]
FOR_MARKETING = ["automated", "not_a_condition"]


def missing(text: str, **changes: Any) -> list[str]:
    """Return what a form with this text lacks; its profile is bare if no other is passed."""
    return missing_disclosures(form(**{"profile": BARE, "agreement_text": text} | changes))


def test_a_bare_text_lacks_everything() -> None:
    assert missing("I agree.") == ALWAYS


def test_marketing_needs_two_more() -> None:
    form_of_shop = form(profile=BARE, agreement_text="I agree.", message_type=MessageType.MARKETING)
    assert missing_disclosures(form_of_shop) == ALWAYS + FOR_MARKETING


def test_a_complete_form_lacks_nothing() -> None:
    assert missing_disclosures(form(message_type=MessageType.MARKETING)) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Msg & DATA RATES may apply", "rates"),
        ("text Help for more", "help"),
        ("Reply stop.", "stop"),
        ("Message frequency varies", "frequency"),
        ("up to 4 msgs/mo.", "frequency"),
        ("4 per month", "frequency"),
        ("4 a month", "frequency"),
        ("2 a week", "frequency"),
        ("Recurring texts", "frequency"),
        ("Terms: https://example.com/t", "terms"),
        ("see our privacy policy at example.com/privacy", "privacy"),
    ],
)
def test_words_of_the_text_are_disclosures(text: str, found: str) -> None:
    assert found not in missing(text)


@pytest.mark.parametrize(
    ("text", "lacked"),
    [
        ("a helpful, unstoppable service", "help"),
        ("a helpful, unstoppable service", "stop"),
        ("https://example.com, and no terms", "terms"),
        ("our privacy policy", "privacy"),
    ],
)
def test_other_words_are_no_disclosures(text: str, lacked: str) -> None:
    assert lacked in missing(text)


def test_the_profiles_help_contact_is_no_disclosure() -> None:
    assert "help" in missing("I agree.", profile=sender_profile())


def test_the_program_and_frequency_of_the_form_count() -> None:
    lacked = missing("I agree.", program="Reminders", frequency="4 a month")
    assert not {"program", "frequency"} & {*lacked}
