"""Formats of ids and phone numbers, and predicates for them, without pydantic.

Pages and captures load no pydantic: importing it takes as long as all else that they import.
"""

import re
from typing import Literal, TypeGuard

from consents.domain.numbering_plans import has_possible_length

CORRELATION_ID = "[0-9a-fA-F]{32}"
E164 = r"\+[1-9][0-9]{1,14}"
SENDER_ID = r"(?:MG[0-9a-fA-F]{32}|\+[1-9][0-9]{1,14}|[0-9]{3,8})"
UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

ConsentMethod = Literal["checkbox", "sms_keyword", "written", "verbal", "attested"]
"""How a contact agreed, as evidence of the Attested Consent API says it."""

_CORRELATION_ID, _E164, _SENDER_ID, _UUID = map(re.compile, (CORRELATION_ID, E164, SENDER_ID, UUID))


def is_uuid(value: object) -> TypeGuard[str]:
    """Return whether a value is the text of a UUID with hyphens."""
    return isinstance(value, str) and bool(_UUID.fullmatch(value))


def is_sender_id(value: object) -> TypeGuard[str]:
    """Return whether a value is an E.164 number, a short code or a messaging service SID."""
    return isinstance(value, str) and bool(_SENDER_ID.fullmatch(value))


def canonical_sender(sender_id: str) -> str:
    """Return one spelling per sender: the hex of a messaging service SID in lower case."""
    return "MG" + sender_id[2:].lower() if sender_id.startswith("MG") else sender_id


def is_contact(value: object) -> TypeGuard[str]:
    """Return whether a value is an E.164 number of a possible length."""
    return isinstance(value, str) and bool(_E164.fullmatch(value)) and has_possible_length(value)


def is_correlation_id(value: object) -> bool:
    """Return whether a value is 32 hex digits."""
    return isinstance(value, str) and bool(_CORRELATION_ID.fullmatch(value))
