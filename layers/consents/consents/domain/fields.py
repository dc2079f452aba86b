"""The rules of single fields, by name, shared by both APIs and by file imports.

Each is a pydantic type. pydantic checks patterns and lengths; the functions below check the rest:
they return the value or what it means, and raise `ValueError`. No message repeats the input: each
API has its own message for a field.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv6Address
from ipaddress import ip_address as parse_ip_address
from socket import AF_INET, AF_INET6, inet_pton
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, Strict, ValidationInfo
from pydantic_core import PydanticCustomError

from consents.domain import formats, numbering_plans

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of the receipt a date may lie: clients' clocks differ."""

IN_THE_FUTURE = "in_the_future"
"""The error type of a date that is further ahead than `CLOCK_SKEW`."""

NOT_ONE_LINE = "not_one_line"
"""The error type of a text that has line ends."""

_ONE_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_RFC3339 = (
    rf"^{_DAY}[Tt][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{{2}}:[0-5][0-9])$"
)
_IS_RFC3339 = re.compile(_RFC3339[1:-1])
_ISO8601 = re.compile(
    rf"(?:{_DAY}T[0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:[.,][0-9]++)?)?"
    r"|[0-9]{8}T[0-9]{4}(?:[0-9]{2}(?:[.,][0-9]++)?)?)"
    r"(?:Z|[+-][0-9]{2}(?::?[0-5][0-9])?)"
)
_MAX_DATE_LENGTH = 64
_CACHED_ORIGINS = 1024
"""A batch comes from few sites, if from many pages; the longest take 2 MiB."""
_LAST_MINUTES = {(6, 30, 23, 59), (12, 31, 23, 59)}
_HOST_LABEL = re.compile(r"(?:[A-Za-z0-9_-]|[^\x00-\x7f]){1,63}")
_IPV6_NETLOC = re.compile(r"\[[0-9A-Fa-f:.]+\](?::[0-9]*)?")
_URL = r"^[^\x00-\x20\x7f\\\s]*$"
"""No white space, control character or backslash: urlsplit silently drops some of them."""


def _of_possible_length(number: str) -> str:
    if not numbering_plans.has_possible_length(number):
        raise ValueError("not a possible number")
    return number


def iso8601(value: object, info: ValidationInfo[Any]) -> datetime:
    """Return the instant of an ISO 8601 date and time with a zone.

    The calendar date in extended or basic format; seconds are optional, since some clients omit
    them on a full minute. Week and ordinal dates are rejected.
    """
    if not isinstance(value, str) or len(value) > _MAX_DATE_LENGTH:
        raise ValueError("not a text of a date's length")
    if not _ISO8601.fullmatch(value.upper()):  # T and Z may be in lower case
        raise ValueError("not a date and time with a zone")
    return instant(value, info)


def instant(text: str, info: ValidationInfo[Any]) -> datetime:
    """Return the instant of a text that has the form of a date and time.

    `info.context` is the instant of the receipt.
    """
    at = _utc(text)
    if is_in_the_future(at, info.context):
        raise PydanticCustomError(IN_THE_FUTURE, "in the future")
    return at


def is_in_the_future(at: datetime, now: datetime) -> bool:
    """Return whether an instant is further ahead of a receipt than clocks differ."""
    return at > now and at > now + CLOCK_SKEW


def rfc3339(value: object) -> datetime:
    """Return the instant of an RFC 3339 date and time, however far ahead it is."""
    if not isinstance(value, str) or len(value) > _MAX_DATE_LENGTH:
        raise ValueError("not a text of a date's length")
    if not _IS_RFC3339.fullmatch(value):
        raise ValueError("not a date and time with a zone")
    return _utc(value)


def _utc(text: str) -> datetime:
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


def ip_text(text: str) -> str:
    """Return an IPv4 or IPv6 address; a zone index is rejected."""
    try:
        inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except OSError:
        raise ValueError("not an IP address") from None
    return text


def one_line(text: str) -> str:
    """Return a text without line ends and other control characters."""
    if not _ONE_LINE.fullmatch(text):
        raise PydanticCustomError(NOT_ONE_LINE, "not one line")
    return text


def http_url(text: str) -> str:
    """Return an absolute http(s) URL with a host, a legal port if any, and no credentials.

    The text has passed the pattern `_URL`.
    """
    end = text.find("/", len("https://"))
    if not _has_valid_origin(text if end < 0 else text[:end]):
        raise ValueError("not an http(s) URL")
    return text


@lru_cache(_CACHED_ORIGINS)
def _has_valid_origin(text: str) -> bool:
    url = urlsplit(text)
    if url.scheme not in {"http", "https"} or "@" in url.netloc or url.port == 0:
        return False
    return _is_host(url.netloc, url.hostname or "")


def _is_host(netloc: str, host: str) -> bool:
    if netloc.startswith("["):
        IPv6Address(host)  # raises a ValueError
        return bool(_IPV6_NETLOC.fullmatch(netloc))
    labels = host.removesuffix(".").split(".")
    if labels[-1].isdecimal():  # a host that ends in a number is an IPv4 address (WHATWG URL)
        return bool(parse_ip_address(host))
    return len(host) <= 253 and all(_HOST_LABEL.fullmatch(label) for label in labels)


Uuid = Annotated[str, Strict(), Field(pattern=f"^{formats.UUID}$")]
CorrelationId = Annotated[str, Strict(), Field(pattern=f"^{formats.CORRELATION_ID}$")]
SenderId = Annotated[str, Strict(), Field(pattern=f"^{formats.SENDER_ID}$")]
ContactNumber = Annotated[
    str, Strict(), Field(pattern=f"^{formats.E164}$"), AfterValidator(_of_possible_length)
]
OptedIn = Annotated[bool, Strict()]
Status = Literal["opt-in", "opt-out"]
Source = Literal["website", "offline", "opt-in-message", "opt-out-message", "others"]
ConsentMethod = Literal["checkbox", "sms_keyword", "written", "verbal", "attested"]
CapturedAt = Annotated[
    str,
    Strict(),
    Field(max_length=_MAX_DATE_LENGTH, pattern=_RFC3339),
    AfterValidator(instant),  # from here on a datetime
]
IpAddress = Annotated[str, Strict(), Field(max_length=45), AfterValidator(ip_text)]
UserAgent = Annotated[str, Strict(), Field(min_length=1, max_length=1024)]
AgreementText = Annotated[str, Strict(), Field(min_length=1, max_length=10_000)]
FormUrl = Annotated[str, Strict(), Field(max_length=2048, pattern=_URL), AfterValidator(http_url)]
