"""The stamp of a page: that we showed it, when, and with what content.

`v1.{milliseconds}.{nonce}.{page hash}.{signature}`, each part of fixed length, so that no two ways
to split a stamp exist. The signature is an HMAC-SHA256 of the other parts and the id of what the
page is about: a form or a challenge. Nothing is stored when a page is
shown; a stamp makes one record, however often it is sent.
"""

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from consents.pages.errors import ReadAgain

VALID_FOR = timedelta(hours=24)
MIN_AGE = timedelta(seconds=2)
"""People read for longer than this; programs do not."""

_NONCE_BYTES = 12
_PAGE_HASH_LENGTH = 32  # of the 64 hex digits
_STAMP = re.compile(r"(v1\.([0-9]{13})\.([0-9a-f]{24})\.([0-9a-f]{32}))\.([0-9a-f]{64})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Stamp:
    """A stamp with a valid signature. `page_hash` is the first half of a page's hash, in hex."""

    shown_at: datetime
    nonce: str
    page_hash: str

    def is_of(self, page_hash: str) -> bool:
        """Return whether the page with this hash, of 64 hex digits, was shown."""
        return self.page_hash == page_hash[:_PAGE_HASH_LENGTH]

    def is_timely(self, now: datetime) -> bool:
        """Return whether the page was shown neither just now nor long ago."""
        return MIN_AGE <= now - self.shown_at <= VALID_FOR


def signing_key(keyed_hash: Callable[[str], str]) -> bytes:
    """Return the key of stamps; `keyed_hash` returns the HMAC of a text, in hex."""
    return bytes.fromhex(keyed_hash("stamp"))


def issue(key: bytes, subject: str, page_hash: str, now: datetime) -> str:
    """Return a new stamp of a page, shown now; `page_hash` has 64 hex digits.

    `subject` is the id of what the page is about, which no two kinds of pages share.
    """
    milliseconds = (now - _EPOCH) // _MILLISECOND
    nonce = secrets.token_hex(_NONCE_BYTES)
    signed = f"v1.{milliseconds:013}.{nonce}.{page_hash[:_PAGE_HASH_LENGTH]}"
    return f"{signed}.{_signature(key, subject, signed)}"


def read(key: bytes, subject: str, text: str) -> Stamp | None:
    """Return the stamp that a text is, or None if it is forged or of another page."""
    found = _STAMP.fullmatch(text)
    if not found or not hmac.compare_digest(found[5], _signature(key, subject, found[1])):
        return None
    return Stamp(_EPOCH + int(found[2]) * _MILLISECOND, found[3], found[4])


def check(stamp: Stamp | None, page_hash: str, now: datetime) -> Stamp:
    """Return a stamp, or raise `ReadAgain` where it does not show that a person read this page."""
    if stamp is None or not stamp.is_of(page_hash) or not stamp.is_timely(now):
        raise ReadAgain
    return stamp


def nonce_of(text: str) -> str | None:
    """Return the nonce of a stamp whose signature is not checked, or None."""
    found = _STAMP.fullmatch(text)
    return found[3] if found else None


def _signature(key: bytes, subject: str, signed: str) -> str:
    return hmac.new(key, f"{signed}.{subject}".encode(), sha256).hexdigest()
