"""Examples of mobile numbers, by country calling code, as people of the country write them.

They are those of the phone number library, which takes a tenth of a page's first response to load.
`make lock` writes them into `example_numbers.json`, with each new version of the library.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from consents.domain.numbering_plans import calling_code

_TABLE = Path(__file__).with_suffix(".json")
_WITHOUT_COUNTRY = "+12015550123"


def example(sender: str) -> str:
    """Return an example of a mobile number in the country of an E.164 number."""
    return examples().get(calling_code(sender), _WITHOUT_COUNTRY)


@cache
def examples() -> Mapping[str, str]:
    """Return the examples by country calling code (`"44"`)."""
    found: Mapping[str, str] = json.loads(_TABLE.read_text())
    return found


def examples_of_library() -> dict[str, str]:
    """Return what the table must have: the habits of a code's main region are those of others."""
    from phonenumbers import (
        COUNTRY_CODE_TO_REGION_CODE,
        PhoneNumberFormat,
        PhoneNumberType,
        example_number_for_type,
        format_number,
    )

    found = {}
    for code, (region, *_) in sorted(COUNTRY_CODE_TO_REGION_CODE.items()):
        number = example_number_for_type(region, PhoneNumberType.MOBILE)
        if number:
            found[str(code)] = format_number(number, PhoneNumberFormat.NATIONAL)
    return found


if __name__ == "__main__":
    _TABLE.write_text(json.dumps(examples_of_library(), ensure_ascii=False, indent=0) + "\n")
