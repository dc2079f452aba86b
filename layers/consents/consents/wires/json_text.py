"""JSON as clients send it."""

import gc
import json
from typing import Any

import orjson

from consents.domain.errors import MalformedBody


def parse(text: bytes | str) -> Any:
    """Return the value of a JSON text.

    What orjson refuses is read again by the standard library, which is slower and accepts two
    things that are JSON by its grammar: half a surrogate pair (a text cut in the middle of an
    emoji) and a number too large for a double. Both are then the fault of one record, not of the
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
    """Return JSON with two spaces a level, as the attested wire publishes its answers."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def _parse_slowly(text: bytes | str) -> Any:
    try:
        decoded = text if isinstance(text, str) else text.decode()
        return json.loads(decoded, parse_int=float, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise MalformedBody from None


def _refuse(constant: str) -> None:
    raise ValueError(constant)
