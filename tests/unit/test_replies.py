"""What contacts text back: the words of the tables, and that no doubt ever confirms."""

import pytest
from consents.opt_in.replies import (
    CONFIRM_WORDS,
    HELP_WORDS,
    START_WORDS,
    STOP_WORDS,
    Meaning,
    read,
    words,
)
from hypothesis import given
from hypothesis import strategies as st

OWN = (
    "Northside Dental: Reply YES to get appointment reminders. About 4 msgs/mo. Msg & data rates "
    "may apply. Reply HELP for help, STOP to opt out."
)
KEYWORDS = [
    *((word, Meaning.STOP) for word in sorted(STOP_WORDS)),
    *((word, Meaning.CONFIRM) for word in sorted(CONFIRM_WORDS)),
    *((word, Meaning.START) for word in sorted(START_WORDS)),
    *((word, Meaning.HELP) for word in sorted(HELP_WORDS)),
]


@pytest.mark.parametrize(
    "written",
    ["{}", " {} ", "{}!", "{}.\n", '"{}"', "Please {}", "{}, thank you", "{} thanks \u2764"],
)
def test_a_keyword_has_its_meaning(written: str) -> None:
    meanings = {
        spelled: meaning
        for word, meaning in KEYWORDS
        for spelled in (word, word.upper(), word.title())
    }
    assert {spelled: read(written.format(spelled)) for spelled in meanings} == meanings


@pytest.mark.parametrize(
    "text",
    [
        "Opt out",
        "OPT-OUT",
        "Stop it",
        "stop by tomorrow?",
        "Unsubscribe me now",
        "revoke all of it",
        "I said stop texting me",
        "will you stop messaging me",
        "pls stop sending these",
        "Opt me out",
        "just remove me from this",
        "take me off your list",
        "Do not text me",
        "don't text me",
        "don\u2019t text this phone",
        "No m\u00e1s",
        "no ma\u0301s mensajes",
        "Arr\u00eat",
        "ARRE\u0302T",
        "You have the wrong number",
        "\uff33\uff34\uff2f\uff30",
        "\u24c8\u24c9\u24c4\u24c5",
        "STOP \U0001f621",
        "\u201cSTOP\u201d",
        "please please stop thank you",
        "stop yes",
        "\u2018Stop\u2019, please",
        "don\u02bct text",
        "BAJA \U0001f64f\U0001f3fd",
        "\u00a1Alto!",
        "Stop\u2026",
        "I\u2019m not her, wrong number",
    ],
)
def test_a_text_that_may_mean_stop_stops(text: str) -> None:
    assert read(text) is Meaning.STOP


@pytest.mark.parametrize(
    "text",
    [
        "S\u00ed",
        "si\u0301",
        "S\u00cd!",
        "OUI",
        "y.",
        "Yes please",
        "\u2018Yes\u2019",
        "YES \U0001f44d",
    ],
)
def test_a_text_that_says_yes_confirms(text: str) -> None:
    assert read(text) is Meaning.CONFIRM


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\U0001f44d",
        "\u2705 \u2764\ufe0f",
        "yes but only mornings",
        "yes yes",
        "yes stop",
        "yes 1",
        "yess",
        "start tomorrow",
        "no",
        "Cancel my appointment",
        "the end",
        "please",
        "thank you",
        "yes\u200byes",
        "1",
        "yesterday",
        "help me",
        "\u0434\u0430",
    ],
)
def test_any_other_text_means_nothing(text: str) -> None:
    assert read(text) is Meaning.OTHER


@pytest.mark.parametrize(
    "written",
    [
        'Liked "{}"',
        "Loved \u201c{}\u201d",
        "Disliked \u201c{}\u201d",
        "Laughed at \u201c{}\u201d",
        "Emphasized \u201c{}\u201d",
        "Questioned \u201c{}\u201d",
        "Reacted \U0001f44d to \u201c{}\u201d",
        "Removed a heart from \u201c{}\u201d",
        "\U0001f44d to \u201c{}\u201d",
        "Le gust\u00f3 \u201c{}\u201d",
        "A aim\u00e9 \u00ab {} \u00bb",
        "Liked \u201c{}\u2026",
        "Reaccion\u00f3 con \U0001f44d a \u201c{}\u201d",
        "Le encant\u00f3 \u201c{}\u201d",
        "No le gust\u00f3 \u201c{}\u201d",
        "A ador\u00e9 \u00ab {} \u00bb",
        "N\u2019a pas aim\u00e9 \u00ab {} \u00bb",
        "Removed a like from \u201c{}\u201d",
        "\u2764\ufe0f to \u201c{}\u201d",
    ],
)
def test_a_reaction_to_our_text_means_nothing(written: str) -> None:
    assert read(written.format(OWN)) is Meaning.OTHER
    assert read(written.format("Reply STOP to opt out")) is Meaning.OTHER
    assert read(written.format("YES")) is Meaning.OTHER


def test_a_quotation_that_does_not_end_is_read() -> None:
    assert read('Liked "it, but stop texting me') is Meaning.STOP


def test_our_own_short_text_is_not_cut_out() -> None:
    assert read("YES, STOP", ["YES STOP"]) is Meaning.OTHER
    assert read("stop", ["stop"]) is Meaning.STOP


def test_what_follows_a_reaction_counts() -> None:
    assert read(f"Liked \u201c{OWN}\u201d STOP") is Meaning.STOP


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (OWN, Meaning.OTHER),
        (f"> {OWN}\nYES", Meaning.CONFIRM),
        (f"yes\n\n{OWN.upper()}", Meaning.CONFIRM),
        (f"{OWN} stop texting me", Meaning.STOP),
        (f"{OWN}\n{OWN}\nyes", Meaning.CONFIRM),
    ],
)
def test_a_quotation_of_our_text_is_cut_out(text: str, meaning: Meaning) -> None:
    assert read(text, [OWN]) is meaning


@pytest.mark.parametrize(("kind", "meaning"), [("STOP", Meaning.STOP), ("HELP", Meaning.HELP)])
def test_the_provider_may_know_better(kind: str, meaning: Meaning) -> None:
    assert read("Adi\u00f3s", opt_out_type=kind) is meaning


def test_words_have_no_accents_case_and_apostrophes() -> None:
    assert words("Don\u2019t  S\u00cd\u2014\u00c9t\u00e9 24/7") == ["dont", "si", "ete", "24", "7"]


TEXTS = st.text(max_size=60) | st.lists(
    st.sampled_from(
        [*STOP_WORDS, *CONFIRM_WORDS, *START_WORDS, "please", "thank", "you", "thanks", "me", "not"]
    ),
    max_size=6,
).map(" ".join)


@given(TEXTS, st.sampled_from(sorted(STOP_WORDS)), TEXTS)
def test_no_text_with_a_stop_word_confirms(before: str, stop: str, after: str) -> None:
    meaning = read(f"{before} {stop} {after}")
    assert meaning not in {Meaning.CONFIRM, Meaning.START}


@given(TEXTS)
def test_only_one_word_with_politeness_confirms(text: str) -> None:
    if read(text) in {Meaning.CONFIRM, Meaning.START}:
        left = [each for each in words(text) if each not in {"please", "thanks", "thank", "you"}]
        assert len(left) == 1
        assert left[0] in CONFIRM_WORDS | START_WORDS


@given(st.text(max_size=200), st.sampled_from(["stop", "unsubscribe", "revoke"]))
def test_a_text_that_begins_with_stop_stops(rest: str, first: str) -> None:
    assert read(f"{first} {rest}") is Meaning.STOP


@given(st.text(), st.lists(st.text(max_size=20), max_size=3), st.text(max_size=5))
def test_every_text_is_read(text: str, own: list[str], kind: str) -> None:
    assert isinstance(read(text, own, kind), Meaning)
