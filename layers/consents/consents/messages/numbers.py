"""Which numbers may be texted: by their country, and by their kind."""

from collections.abc import Collection

NOT_ALLOWED_COUNTRY = "messages to this country are not allowed"
TAKES_NO_TEXTS = "must be a number that takes texts"


def fault(contact: str, sender: str, countries: Collection[str]) -> str | None:
    """Return why a contact is not to be texted, or None; the default country is the sender's.

    `+1` is split by region, so numbers of the Caribbean are not of the United States.
    """
    from phonenumbers import PhoneNumberType, number_type, parse

    kinds = {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.PAGER,
        PhoneNumberType.VOICEMAIL,
        PhoneNumberType.UAN,
    }
    if number_type(parse(contact)) in kinds:
        return TAKES_NO_TEXTS
    allowed = countries or {region(sender)}
    return None if region(contact) in allowed else NOT_ALLOWED_COUNTRY


def region(number: str) -> str:
    """Return the region of a number: its own, or the main one of its calling code."""
    from phonenumbers import parse, region_code_for_country_code, region_code_for_number

    parsed = parse(number)
    return region_code_for_number(parsed) or region_code_for_country_code(parsed.country_code or 0)
