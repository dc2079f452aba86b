"""Checks of single fields that no pattern can express, as the types of `fields` name them.

They return the value or what it means, and raise `ValueError`. No message repeats the input: each
API has its own message for a field. They load pydantic's core, and not pydantic.
"""

import re
from datetime import datetime
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from consents.domain import dates, numbering_plans

IN_THE_FUTURE = "in_the_future"
"""The error type of a date that is further ahead than `dates.CLOCK_SKEW`."""

NOT_ONE_LINE = "not_one_line"
"""The error type of a text that has line ends."""

# Compiled when they are first needed: most processes need none of them.
_ONE_LINE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*"
_HOST_LABEL = r"(?:[A-Za-z0-9_-]|[^\x00-\x7f]){1,63}"
_IPV6_NETLOC = r"\[[0-9A-Fa-f:.]+\](?::[0-9]*)?"

_CACHED_ORIGINS = 1024
"""A batch comes from few sites, if from many pages; the longest take 2 MiB."""


def possible_number(number: str) -> str:
    """Return an E.164 number of a possible length."""
    if not numbering_plans.has_possible_length(number):
        raise ValueError("not a possible number")
    return number


def instant(text: str, info: ValidationInfo[Any]) -> datetime:
    """Return the instant of a text that has the form of a date and time.

    `info.context` is the instant of the receipt.
    """
    return _not_in_the_future(dates.utc(text), info)


def optional_date(value: object, info: ValidationInfo[Any]) -> datetime | None:
    """Return the instant of an ISO 8601 date; null and an empty text stand for no date."""
    return None if value is None or value == "" else _not_in_the_future(dates.iso8601(value), info)


def _not_in_the_future(at: datetime, info: ValidationInfo[Any]) -> datetime:
    if dates.is_in_the_future(at, info.context):
        raise PydanticCustomError(IN_THE_FUTURE, "in the future")
    return at


def ip_text(text: str) -> str:
    """Return an IPv4 or IPv6 address; a zone index is rejected."""
    try:
        inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except OSError:
        raise ValueError("not an IP address") from None
    return text


def one_line(text: str) -> str:
    """Return a text without line ends and other control characters."""
    if not re.fullmatch(_ONE_LINE, text):
        raise PydanticCustomError(NOT_ONE_LINE, "not one line")
    return text


def http_url(text: str) -> str:
    """Return an absolute http(s) URL with a host, a legal port if any, and no credentials.

    The text has passed the pattern of `fields.FormUrl`.
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
    import ipaddress  # loaded only for a URL

    if netloc.startswith("["):
        ipaddress.IPv6Address(host)  # raises a ValueError
        return bool(re.fullmatch(_IPV6_NETLOC, netloc))
    labels = host.removesuffix(".").split(".")
    if labels[-1].isdecimal():  # a host that ends in a number is an IPv4 address (WHATWG URL)
        return bool(ipaddress.ip_address(host))
    return len(host) <= 253 and all(re.fullmatch(_HOST_LABEL, label) for label in labels)
