"""What a contact's text message means: stop, confirm, start, help, or nothing.

Doubt goes to stop: a false stop is undone by START, a missed one is a violation. Nothing confirms
but a message that says so and nothing else.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from unicodedata import category, normalize


class Meaning(StrEnum):
    """What a message means. `START` confirms an open challenge, as `CONFIRM` does."""

    STOP = "stop"
    CONFIRM = "confirm"
    START = "start"
    HELP = "help"
    OTHER = "other"


MAX_LENGTH = 1600
"""Of a message that is read; providers join at most ten parts."""

STOP_WORDS = frozenset(
    [
        "stop",
        "stopall",
        "unsubscribe",
        "unsub",
        "cancel",
        "end",
        "quit",
        "revoke",
        "optout",
        "remove",
        "arret",
        "td",
        "alto",
        "baja",
        "parar",
    ]
)
CONFIRM_WORDS = frozenset(["yes", "y", "confirm", "si", "oui"])
START_WORDS = frozenset({"start", "unstop"})
HELP_WORDS = frozenset(["help", "info", "ayuda", "aide"])

_POLITE = (("thank", "you"), ("thanks",), ("please",))
_STOP_FIRST = frozenset({"stop", "unsubscribe", "revoke"})
_STOP_PHRASES = tuple(
    tuple(phrase.split())
    for phrase in (
        "stop texting",
        "stop messaging",
        "stop sending",
        "opt me out",
        "remove me",
        "take me off",
        "do not text",
        "dont text",
        "no mas",
        "wrong number",
    )
)
_MEANINGS = {
    **dict.fromkeys(STOP_WORDS, Meaning.STOP),
    **dict.fromkeys(CONFIRM_WORDS, Meaning.CONFIRM),
    **dict.fromkeys(START_WORDS, Meaning.START),
    **dict.fromkeys(HELP_WORDS, Meaning.HELP),
}
_PROVIDERS_OWN = {"STOP": Meaning.STOP, "HELP": Meaning.HELP}

_MIN_QUOTATION = 5
"""Words of a text that is cut out where it is quoted; a contact may say a shorter one."""

_APOSTROPHES = dict.fromkeys(map(ord, "'\u2018\u2019\u02bc\uff07\u2032\u00b4`"))
_QUOTES = '"\u201c\u201d\u201e\u00ab\u00bb\uff02'
_REACTION = re.compile(
    r"\s*(?:liked|loved|disliked|laughed at|emphasi[sz]ed|questioned"
    r"|reacted [^\"\u201c]{1,40} to|removed an? [^\"\u201c]{1,40} from"
    r"|le gust[oó]|le encant[oó]|reaccion[oó][^\"\u201c]{0,40}|a (?:aimé|adoré)|[^\w\s]{1,8} to)"
    rf"\s*[{_QUOTES}](?P<quoted>[^{_QUOTES}]*)(?:[{_QUOTES}]|(?<=\u2026)$)",
    re.IGNORECASE,
)


def read(text: str, own_texts: Iterable[str] = (), opt_out_type: str = "") -> Meaning:
    """Return what a message means.

    Args:
        own_texts: what was texted to the contact, in which STOP stands too.
        opt_out_type: what the provider itself took the message for, if it says so.
    """
    if opt_out_type in _PROVIDERS_OWN:
        return _PROVIDERS_OWN[opt_out_type]
    said = _without_quotations(_without_reaction(text[:MAX_LENGTH]), own_texts)
    return _meaning(_without_politeness(said))


def words(text: str) -> list[str]:
    """Return a text's words: no accents, no case, no apostrophes, only letters and digits."""
    plain = normalize("NFKD", text.translate(_APOSTROPHES)).lower()
    kept = (char if char.isalnum() else " " for char in plain if category(char)[0] != "M")
    return "".join(kept).split()


def _meaning(said: Sequence[str]) -> Meaning:
    if said == ["opt", "out"] or (said and said[0] in _STOP_FIRST):
        return Meaning.STOP
    if any(_holds(said, phrase) for phrase in _STOP_PHRASES):
        return Meaning.STOP
    return _MEANINGS.get(said[0], Meaning.OTHER) if len(said) == 1 else Meaning.OTHER


def _without_reaction(text: str) -> str:
    """Return a message without a reaction to another message, which it quotes."""
    found = _REACTION.match(text)
    return text[found.end() :] if found else text


def _without_quotations(text: str, own_texts: Iterable[str]) -> list[str]:
    said = words(text)
    for own in own_texts:
        quoted = words(own)
        while len(quoted) >= _MIN_QUOTATION and (at := _place(said, quoted)) is not None:
            said = said[:at] + said[at + len(quoted) :]
    return said


def _without_politeness(said: Sequence[str]) -> list[str]:
    return list(_impolite(said))


def _impolite(said: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(said):
        polite = next((each for each in _POLITE if tuple(said[at : at + len(each)]) == each), ())
        if not polite:
            yield said[at]
        at += len(polite) or 1


def _holds(said: Sequence[str], phrase: Sequence[str]) -> bool:
    return _place(said, phrase) is not None


def _place(said: Sequence[str], phrase: Sequence[str]) -> int | None:
    """Return where a phrase begins in a text, by the number of words before it, or None."""
    wanted = list(phrase)
    places = range(len(said) - len(wanted) + 1)
    return next((at for at in places if list(said[at : at + len(wanted)]) == wanted), None)
