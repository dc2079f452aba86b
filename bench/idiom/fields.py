"""Types of fields that the libraries do not have."""

from typing import Annotated

import phonenumbers
from pydantic import AfterValidator


def possible_number(text: str) -> str:
    """Return an E.164 number that may exist."""
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        raise ValueError("must be E.164") from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError("must be E.164")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


PhoneNumber = Annotated[str, AfterValidator(possible_number)]
