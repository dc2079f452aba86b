"""Sealed consent ids: sender and contact, encrypted for one organization (AES-SIV, RFC 5297).

An id needs no index: the stack's secret opens it. The same pair of an organization always has the
same id. What is sealed: a byte for the kind of sender, the sender, the contact.
"""

import hmac
import re
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from consents.domain.record import EVERY_SENDER

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

_ID = re.compile("[0-9a-f]{48,80}")
_EVERY, _NUMBER, _SHORT_CODE, _SERVICE = range(4)
_NUMBER_BYTES = 7
"""Of 15 digits, the longest E.164 number."""

_SHORT_CODE_BYTES = 4


class Pair(NamedTuple):
    """The sender and the contact of a consent."""

    sender: str
    contact: str


class ConsentIds:
    """Seals and opens consent ids, under a key derived from the stack's secret."""

    def __init__(self, pepper: Callable[[], bytes]) -> None:
        """`pepper` returns the secret."""
        self._pepper = pepper

    def seal(self, org_id: str, sender: str, contact: str) -> str:
        """Return the id of a consent: 48 to 80 hex digits."""
        content = _sender_bytes(sender) + _number_bytes(contact)
        return self._cipher.encrypt(content, [org_id.encode()]).hex()

    def open(self, org_id: str, consent_id: str) -> Pair | None:
        """Return the pair that an id names, or None for one that the organization does not have."""
        from cryptography.exceptions import InvalidTag

        if not _ID.fullmatch(consent_id) or len(consent_id) % 2:
            return None
        try:
            content = self._cipher.decrypt(bytes.fromhex(consent_id), [org_id.encode()])
        except InvalidTag:
            return None
        sender, contact = content[:-_NUMBER_BYTES], content[-_NUMBER_BYTES:]
        return Pair(_sender(sender), _number(contact))

    @cached_property
    def _cipher(self) -> "AESSIV":
        # Loaded with the first id: not every request has one.
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        return AESSIV(hmac.digest(self._pepper(), b"consent_id", "sha512"))


def _sender_bytes(sender: str) -> bytes:
    if sender == EVERY_SENDER:
        return bytes([_EVERY])
    if sender.startswith("+"):
        return bytes([_NUMBER]) + _number_bytes(sender)
    if sender.startswith("MG"):
        return bytes([_SERVICE]) + bytes.fromhex(sender[2:])
    return bytes([_SHORT_CODE, len(sender)]) + int(sender).to_bytes(_SHORT_CODE_BYTES)


def _sender(sealed: bytes) -> str:
    kind, content = sealed[0], sealed[1:]
    if kind == _EVERY:
        return EVERY_SENDER
    if kind == _NUMBER:
        return _number(content)
    if kind == _SERVICE:
        return f"MG{content.hex()}"
    return str(int.from_bytes(content[1:])).zfill(content[0])


def _number_bytes(number: str) -> bytes:
    return int(number[1:]).to_bytes(_NUMBER_BYTES)


def _number(sealed: bytes) -> str:
    return f"+{int.from_bytes(sealed)}"
