"""What carriers demand at the place of opt-in (CTIA 5.1.2), and a form does not show."""

import re
from collections.abc import Callable

from consents.forms.form import Form, MessageType

_URL = re.compile(r"https?://\S|www\.\S|\b[\w-]+\.[a-z]{2,}/\S", re.IGNORECASE)


def _words(*words: str) -> Callable[[str], bool]:
    pattern = re.compile("|".join(rf"\b{word}\b" for word in words), re.IGNORECASE)
    return lambda text: bool(pattern.search(text))


_says_rates = _words("data rates")
_says_help = _words("help")
_says_stop = _words("stop")
_says_frequency = _words("frequency", "msgs/mo", "per month", "a month", "a week", "recurring")
_says_automated = _words("automated", "autodial(?:ed|er|ing)?", "automatic(?:ally)?")
_says_no_condition = _words("not a condition", "not required")


def missing_disclosures(form: Form) -> list[str]:
    """Return the names of the disclosures that neither the text nor the profile has, in order.

    For `rates`, `help` and `stop` only the text counts, since only the text is agreed to.
    """
    text, profile = form.agreement_text, form.profile
    found = {
        "program": bool(form.program),
        "frequency": bool(form.frequency) or _says_frequency(text),
        "rates": _says_rates(text),
        "help": _says_help(text),
        "stop": _says_stop(text),
        "terms": bool(profile.terms_url) or _has_url_after(text, "terms"),
        "privacy": bool(profile.privacy_url) or _has_url_after(text, "privacy"),
    }
    if form.message_type is MessageType.MARKETING:
        found["automated"] = _says_automated(text)
        found["not_a_condition"] = _says_no_condition(text)
    return [name for name, is_there in found.items() if not is_there]


def _has_url_after(text: str, word: str) -> bool:
    at = text.lower().find(word)
    return at >= 0 and bool(_URL.search(text, at))
