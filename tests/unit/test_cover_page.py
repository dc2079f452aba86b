"""The cover of a proof pack: plain words for all that the verifier says, and nothing loaded."""

import re
from datetime import timedelta
from html import unescape

import consents_verify
import pytest
from consents.domain.record import Status
from consents.proof import cover_words

from tests.factories import NOW
from tests.unit.proof_world import OTHER, ProofWorld, files

HOSTILE = "<script>alert(1)</script><img src=x>\"'{{ 7 * 7 }}"


@pytest.fixture
def world() -> ProofWorld:
    """A log with an opt-in and a later opt-out of every sender, between two anchors."""
    world = ProofWorld()
    world.anchor(NOW - timedelta(hours=1))
    world.capture()
    world.capture(NOW, status=Status.OPT_OUT, dated_at=NOW, sender="*")
    world.anchor(NOW + timedelta(minutes=2))
    return world


def cover(world: ProofWorld, contact: str = "+15554443333") -> str:
    """Return the text of the cover of a contact's pack."""
    page = files(world.prove(contact))["COVER.html"].decode()
    return unescape(" ".join(re.sub("<[^>]*>", " ", page).split()))


def test_cover_has_the_state_and_each_record_with_its_times(world: ProofWorld) -> None:
    text = cover(world)

    assert "OPTED OUT Every sender, since May 1, 2026, 12:00:00 UTC" in text
    assert "Opt-in, messages from +15550001111 PROVEN" in text
    assert "Opt-out, every sender PROVEN" in text
    assert "Logged between May 1, 2026, 11:00:00 UTC and May 1, 2026, 12:02:00 UTC" in text
    assert "Received by the operator May 1, 2026, 12:00:00 UTC" in text
    assert "By signing up you agree to receive appointment reminders." in text
    assert "Captured by the organization, and sent with its evidence" in text


def test_cover_of_an_unknown_contact_says_that_there_is_no_record(world: ProofWorld) -> None:
    assert "There is no record." in cover(world, OTHER)


def test_cover_says_what_is_not_proven(world: ProofWorld) -> None:
    text = cover(world)

    for name in ("N1", "N2", "N3", "N4", "N6", "N7"):
        assert cover_words.NOT_PROVEN[name] in text


def test_cover_says_what_was_tampered_with(world: ProofWorld) -> None:
    world.change(world.ledger[max(world.ledger)], None)
    world.anchor(NOW + timedelta(minutes=9))
    text = cover(world)

    assert cover_words.RECORDS["ERASED"] in text
    assert "Which record counts cannot be said" in text


def test_cover_loads_nothing_and_runs_nothing(world: ProofWorld) -> None:
    page = files(world.prove())["COVER.html"].decode()

    assert not re.findall(r"<(?:script|img|iframe|object|embed|form|base)\b", page)
    assert not re.findall(r"url\(|@import| on[a-z]+=", page)
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:,"]
    assert "default-src 'none'" in page


def test_what_a_client_sent_is_text_on_the_cover(world: ProofWorld) -> None:
    world.capture(NOW, dated_at=NOW, evidence={"user_agent": HOSTILE, "source": HOSTILE})
    world.anchor(NOW + timedelta(minutes=9))
    page = files(world.prove())["COVER.html"].decode()

    assert "<script" not in page
    assert "<img" not in page
    assert "{{ 7 * 7 }}" in page


def test_cover_has_words_for_all_that_the_verifier_may_say() -> None:
    record_words = consents_verify.GAPS | {"ALTERED", "PROVEN", "BACKFILLED"}
    never_said = {"FROM THE PACK", "NOT COMPARABLE"}  # the stack has its policy, and keeps nothing

    assert cover_words.MEANINGS.keys() == {*consents_verify.VERDICTS}
    assert cover_words.NOT_PROVEN.keys() == consents_verify.NOT_PROVEN.keys()
    assert cover_words.RECORDS.keys() == record_words
    open_words = {word for _, word in consents_verify.OPEN}
    assert cover_words.OPEN_POINTS.keys() == open_words - never_said
