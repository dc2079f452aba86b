"""Phone numbers as people write and read them, by the habits of a sender's country."""

import re
from functools import lru_cache
from unicodedata import decimal

from consents.domain.formats import is_contact

_MAX_LENGTH = 40
_WRITTEN = re.compile(r"[0-9\s()./+·\u2010-\u2015\u2212-]+")
_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Marks that come along with a number that was copied from another app."""
_DIGIT_BEFORE_THE_LAST_FOUR = re.compile(r"[0-9](?=(?:[^0-9]*[0-9]){4})")


def read(written: str, sender: str) -> str | None:
    """Return the E.164 number that a person wrote, or None.

    Without `+` it is read as in the sender's country. Digits of every script count.
    """
    from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, parse

    if len(written) > _MAX_LENGTH:
        return None
    plain = "".join(map(_plain, written))
    if not _WRITTEN.fullmatch(plain):
        return None
    try:
        number = format_number(parse(plain, _country(sender)), PhoneNumberFormat.E164)
    except NumberParseException:
        return None
    return number if is_contact(number) else None


def _plain(char: str) -> str:
    """Return a decimal digit of any script as 0-9, and nothing for a mark of direction."""
    if char in _DIRECTIONS:
        return ""
    return str(decimal(char, char)).replace("\uff0b", "+")


def shown(number: str, sender: str) -> str:
    """Return a number as people of the sender's country read it."""
    from phonenumbers import PhoneNumberFormat, format_number, parse

    parsed = parse(number)
    is_national = parsed.country_code == parse(sender).country_code
    style = PhoneNumberFormat.NATIONAL if is_national else PhoneNumberFormat.INTERNATIONAL
    return format_number(parsed, style)


def masked(number: str, sender: str) -> str:
    """Return a number as people read it, all digits hidden but the last four."""
    return _DIGIT_BEFORE_THE_LAST_FOUR.sub("•", shown(number, sender))


@lru_cache(256)
def _country(number: str) -> str:
    """Return the main region of a number's calling code, whose habits the others share."""
    from phonenumbers import parse, region_code_for_country_code

    return region_code_for_country_code(parse(number).country_code or 0)
