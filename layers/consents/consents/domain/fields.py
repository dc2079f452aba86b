"""The rules of single fields, by name, shared by both APIs and by file imports.

Each is a pydantic type: pydantic checks patterns and lengths, and calls `checks` for the rest.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainValidator, Strict

from consents.domain import checks, dates, formats

_URL = r"^[^\x00-\x20\x7f\\\s]*$"
"""No white space, control character or backslash: urlsplit silently drops some of them."""

Uuid = Annotated[str, Strict(), Field(pattern=f"^{formats.UUID}$")]
CorrelationId = Annotated[str, Strict(), Field(pattern=f"^{formats.CORRELATION_ID}$")]
SenderId = Annotated[str, Strict(), Field(pattern=f"^{formats.SENDER_ID}$")]
ContactNumber = Annotated[
    str, Strict(), Field(pattern=f"^{formats.E164}$"), AfterValidator(checks.possible_number)
]
OptedIn = Annotated[bool, Strict()]
Status = Literal["opt-in", "opt-out"]
Source = Literal["website", "offline", "opt-in-message", "opt-out-message", "others"]
ConsentMethod = formats.ConsentMethod
CapturedAt = Annotated[
    str,
    Strict(),
    Field(max_length=dates.MAX_LENGTH, pattern=f"^{dates.RFC3339}$"),
    AfterValidator(checks.instant),  # from here on a datetime
]
DateOfConsent = Annotated[datetime | None, PlainValidator(checks.optional_date)]
IpAddress = Annotated[str, Strict(), Field(max_length=45), AfterValidator(checks.ip_text)]
UserAgent = Annotated[str, Strict(), Field(min_length=1, max_length=1024)]
AgreementText = Annotated[str, Strict(), Field(min_length=1, max_length=10_000)]
FormUrl = Annotated[
    str, Strict(), Field(max_length=2048, pattern=_URL), AfterValidator(checks.http_url)
]
