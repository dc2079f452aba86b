"""JSON as clients send it, valid by its grammar."""

import gc
import json
from typing import Any

import orjson

from consents.domain.errors import MalformedBody

_LEAST, _MOST = -(2**63), 2**64 - 1
_DIGITS = 20  # of the longest; reading a longer one takes the square of its length


def parse(text: bytes | str) -> Any:
    """Return the value of a JSON text.

    Text that orjson rejects is parsed again by the standard library, which is slower and accepts
    two things that are valid by the grammar: half a surrogate pair (a text cut in the middle of an
    emoji) and a number too large for a double. Either is then the fault of one record, not of the
    whole body.

    Raises:
        MalformedBody: not JSON (NaN is not), not UTF-8, or nested too deep.
    """
    gc.disable()  # what is parsed holds no cycle; looking for one takes longer than all the rest
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _parse_slowly(text)
    finally:
        gc.enable()


def indented(value: Any) -> bytes:
    """Return JSON with two spaces a level, as the Attested Consent API documents its responses."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def _parse_slowly(text: bytes | str) -> Any:
    try:
        decoded = text if isinstance(text, str) else text.decode()
        return json.loads(decoded, parse_int=_integer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise MalformedBody from None


def _integer(text: str) -> int | float:
    """Return an integer as orjson does: one that 64 bits do not hold is a float."""
    if len(text) <= _DIGITS and _LEAST <= (value := int(text)) <= _MOST:
        return value
    return float(text)


def _refuse(constant: str) -> None:
    raise ValueError(constant)
