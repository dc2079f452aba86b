"""Sealed consent ids: stable, opened only by their organization, never forged."""

import random
import re

import pytest
from consents.decisions.consent_ids import ConsentIds, Pair
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import ORG_ID

IDS = ConsentIds(lambda: b"pepper")
PAIRS = [
    Pair("*", "+15554443333"),
    Pair("123", "+15554443333"),
    Pair("00012345", "+15554443333"),
    Pair("+15550001111", "+12"),
    Pair("+999999999999999", "+999999999999999"),
    Pair("MG00000000000000000000000000000001", "+15554443333"),
]

numbers = st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True)
senders = (
    numbers
    | st.just("*")
    | st.from_regex("[0-9]{3,8}", fullmatch=True)
    | st.from_regex("MG[0-9a-f]{32}", fullmatch=True)
)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.sender)
def test_an_id_is_hex_and_opens_to_its_pair(pair: Pair) -> None:
    sealed = IDS.seal(ORG_ID, *pair)

    assert re.fullmatch("[0-9a-f]{48,80}", sealed)
    assert IDS.open(ORG_ID, sealed) == pair


@given(sender=senders, contact=numbers)
def test_any_pair_is_opened_as_it_was_sealed(sender: str, contact: str) -> None:
    sealed = IDS.seal(ORG_ID, sender, contact)

    assert 48 <= len(sealed) <= 80
    assert IDS.open(ORG_ID, sealed) == (sender, contact)


def test_every_process_with_the_secret_seals_alike() -> None:
    assert ConsentIds(lambda: b"pepper").seal(ORG_ID, *PAIRS[0]) == IDS.seal(ORG_ID, *PAIRS[0])


def test_another_organization_or_secret_does_not_open_an_id() -> None:
    sealed = IDS.seal(ORG_ID, *PAIRS[0])

    assert IDS.open("org_2", sealed) is None
    assert ConsentIds(lambda: b"other").open(ORG_ID, sealed) is None


def test_ids_of_two_organizations_have_nothing_in_common() -> None:
    first, second = (IDS.seal(org_id, *PAIRS[3]) for org_id in (ORG_ID, "org_2"))

    assert first != second
    assert first[32:] != second[32:]


def test_an_id_with_any_changed_digit_is_refused() -> None:
    sealed = IDS.seal(ORG_ID, *PAIRS[3])
    for at, digit in enumerate(sealed):
        other = "0" if digit != "0" else "1"
        assert IDS.open(ORG_ID, sealed[:at] + other + sealed[at + 1 :]) is None


def test_random_ids_are_refused() -> None:
    dice = random.Random(12)
    for _ in range(5_000):
        length = dice.randint(24, 40)
        assert IDS.open(ORG_ID, dice.randbytes(length).hex()) is None


@pytest.mark.parametrize(
    "change",
    [str.upper, lambda text: text[:-2], lambda text: text + "00", lambda text: text[:-1]],
    ids=["upper case", "truncated", "longer", "odd"],
)
def test_another_spelling_of_an_id_is_refused(change: object) -> None:
    assert callable(change)
    assert IDS.open(ORG_ID, change(IDS.seal(ORG_ID, *PAIRS[3]))) is None


@pytest.mark.parametrize("sent", ["", "0" * 32, "x" * 60, "0" * 82, "\u0660" * 60])
def test_a_text_of_another_form_is_no_id(sent: str) -> None:
    assert IDS.open(ORG_ID, sent) is None
