"""Which language a visitor reads a page in."""

LANGUAGES = ("en", "es")
"""The languages that pages have."""

DEFAULT = "en"


def choose(asked: str, locale: str, accept_language: str) -> str:
    """Return the language that a visitor asked for, else the form's, else the browser's."""
    if asked in LANGUAGES:
        return asked
    return locale or preferred(accept_language)


def other(lang: str) -> str:
    """Return the other of the two languages."""
    return next(each for each in LANGUAGES if each != lang)


def preferred(accept_language: str) -> str:
    """Return the language of pages that an Accept-Language header prefers (RFC 9110, 12.5.4)."""
    weights: dict[str, float] = {}
    for part in accept_language[:200].lower().split(","):
        tag, _, parameter = part.partition(";")
        lang = tag.strip().partition("-")[0]
        if lang in LANGUAGES:
            weights[lang] = max(weights.get(lang, 0), _weight(parameter))
    best = max(weights, key=weights.__getitem__, default=DEFAULT)
    return best if weights.get(best) else DEFAULT


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1
    try:
        return min(max(float(value), 0), 1)
    except ValueError:
        return 0
