"""Dates as callers write them: RFC 3339, and ISO 8601 as the Bulk Consents API has it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of the receipt a date may lie: clients' clocks differ."""

MAX_LENGTH = 64

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
RFC3339 = (
    rf"{_DAY}[Tt][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{{2}}:[0-5][0-9])"
)
_ISO8601 = (
    rf"(?:{_DAY}[Tt][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:[.,][0-9]++)?)?"
    r"|[0-9]{8}[Tt][0-9]{4}(?:[0-9]{2}(?:[.,][0-9]++)?)?)"
    r"(?:[Zz]|[+-][0-9]{2}(?::?[0-5][0-9])?)"
)
_IS_RFC3339, _IS_ISO8601 = (re.compile(one).fullmatch for one in (RFC3339, _ISO8601))
_LAST_MINUTES = {(6, 30, 23, 59), (12, 31, 23, 59)}


def iso8601(value: object) -> datetime:
    """Return the instant of an ISO 8601 date and time with a zone.

    The calendar date in extended or basic format; seconds are optional, since some clients omit
    them on a full minute. Week and ordinal dates are rejected.

    Raises:
        ValueError: it is something else.
    """
    return _instant(value, _IS_ISO8601)


def rfc3339(value: object) -> datetime:
    """Return the instant of an RFC 3339 date and time, or raise `ValueError`."""
    return _instant(value, _IS_RFC3339)


def _instant(value: object, has_form: Callable[[str], object]) -> datetime:
    if not isinstance(value, str) or len(value) > MAX_LENGTH:
        raise ValueError("not a text of a date's length")
    if not has_form(value):
        raise ValueError("not a date and time with a zone")
    return utc(value)


def is_in_the_future(at: datetime, now: datetime) -> bool:
    """Return whether an instant is further ahead of a receipt than clocks differ."""
    return at > now and at > now + CLOCK_SKEW


def utc(text: str) -> datetime:
    """Return the instant of a text that has the form of a date and time, or raise `ValueError`."""
    try:
        at = datetime.fromisoformat(text)
        return at if at.tzinfo is UTC else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return _rare_instant(text.upper())


def _rare_instant(text: str) -> datetime:
    """Return an instant that is written with a lower-case `t` or `z`, or with a second 60."""
    try:
        if text[16:19] == ":60":
            return _leap_second(text)
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:  # the first and the last day that a datetime can hold
        raise ValueError("not a date in UTC") from None


def _leap_second(text: str) -> datetime:
    """Return the instant after a second 60, which only ends June or December (RFC 3339, 5.7)."""
    last = datetime.fromisoformat(text[:17] + "59" + text[19:])
    before = last.astimezone(UTC).replace(microsecond=0)
    if (before.month, before.day, before.hour, before.minute) not in _LAST_MINUTES:
        raise ValueError("not a leap second")
    return before + timedelta(seconds=1)
