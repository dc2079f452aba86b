"""How a proof pack writes bytes and JSON."""

from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import orjson


def base64_text(content: bytes) -> str:
    """Return bytes in base64 (RFC 4648, section 4)."""
    return b64encode(content).decode()


def base64_texts(contents: Iterable[bytes]) -> list[str]:
    """Return a proof, or other bytes, each in base64."""
    return [base64_text(one) for one in contents]


def json_line(value: Any) -> bytes:
    """Return compact JSON with a newline."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
