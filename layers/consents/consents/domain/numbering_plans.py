"""The possible lengths of national numbers, by country calling code.

They are those of the phone number library, which takes longer to load than all else of a first
record. `make lock` writes them into `numbering_plans.json`, with each new version of the library.
"""

import json
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_suffix(".json")


def has_possible_length(number: str) -> bool:
    """Return whether an E.164 number has a length that its country's numbering plan allows.

    Possible, not valid: ranges are assigned every day, lengths hardly ever change. A trunk prefix
    (`+44 0...`) is rejected: a second spelling would split one contact's history in two.
    """
    return _is_possible(number[1:4], len(number) - 1)


def calling_code(number: str) -> str:
    """Return the country calling code of an E.164 number, empty for one of no country."""
    return _code(number[1:4])


@cache
def _is_possible(first_digits: str, digits: int) -> bool:
    code = _code(first_digits)
    return digits - len(code) in possible_lengths().get(code, ())


@cache
def _code(first_digits: str) -> str:
    codes = (first_digits[:width] for width in (1, 2, 3))  # none is the beginning of another
    return next((code for code in codes if code in possible_lengths()), "")


@cache
def possible_lengths() -> Mapping[str, Collection[int]]:
    """Return the numbers of digits, without the code, by country calling code (`"44"`)."""
    lengths: Mapping[str, Collection[int]] = json.loads(_TABLE.read_text())
    return lengths


def lengths_of_library() -> dict[str, list[int]]:
    """Return what the table must have; lengths that only work within a region are left out."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    found = {}
    for code, (region, *_) in sorted(COUNTRY_CODE_TO_REGION_CODE.items()):
        if region == "001":  # a number of no country
            metadata = PhoneMetadata.metadata_for_nongeo_region(code)
        else:
            metadata = PhoneMetadata.metadata_for_region(region)
        plan = metadata.general_desc if metadata else None
        if plan and plan.possible_length:
            found[str(code)] = sorted(plan.possible_length)
    return found


if __name__ == "__main__":
    lines = (f"{json.dumps(code)}: {lengths}" for code, lengths in lengths_of_library().items())
    _TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
