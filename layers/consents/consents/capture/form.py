"""The `Items` of a form-encoded body, in every form that released clients send."""

import re
from binascii import a2b_qp
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from consents.domain.errors import MalformedBody
from consents.http import json_text

_PERCENT, _PLUS = b"%+"
_QUOTED_PRINTABLE = bytes.maketrans(b"%+", b"= ")

_LISTED = {"Items", "Items[]"}
_INDEXED = re.compile(r"Items\[([0-9]{1,9})\]")
_INDEXED_FIELD = re.compile(r"Items\[([0-9]{1,9})\]\[([^\]]*)\].*", re.DOTALL)
_FIELD = re.compile(r"Items\[([^\]]+)\].*", re.DOTALL)


def items(body: bytes, limit: int) -> list[Any]:
    """Return the items of a body in the caller's order; None for one that is not JSON.

    More than `limit` items are only counted: texts in an array are not parsed then, since a body
    may hold millions.

    `Items=` and `Items[]=` count in order of appearance, `Items[0]=` and `Items[0][status]=` by
    their index, and `Items[status]=` is one object. Listed items come before indexed ones.
    """
    listed: list[Any] = []
    indexed: defaultdict[int, list[Any]] = defaultdict(list)
    objects: defaultdict[int, dict[str, str]] = defaultdict(dict)
    alone: dict[str, str] = {}
    for name, value in pairs(body):
        if name in _LISTED:
            listed += _spliced(value)
        elif match := _INDEXED.fullmatch(name):
            indexed[int(match[1])] += _spliced(value)
        elif match := _INDEXED_FIELD.fullmatch(name):
            objects[int(match[1])][match[2]] = value
        elif match := _FIELD.fullmatch(name):
            alone[match[1]] = value
    for index, item in objects.items():
        indexed[index].append(item)
    by_index = [item for index in sorted(indexed) for item in indexed[index]]
    found = listed + by_index + ([alone] if alone else [])
    if len(found) > limit:
        return found
    return [_parsed(item) if isinstance(item, str) else item for item in found]


def pairs(body: bytes) -> Iterator[tuple[str, str]]:
    """Return the names and values of a body, five times as fast as `parse_qsl`."""
    if not body.isascii() or b"\n" in body or b"\r" in body:  # no client sends these unescaped
        yield from parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
        return
    for pair in body.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            yield _unquoted(name), _unquoted(value)


def _unquoted(text: bytes) -> str:
    """Return a text without its `+` and `%XX`.

    Quoted-printable is the same code with `=` for `%`, and is decoded in C. It leaves a longer text
    where a sign is not followed by two hex digits.
    """
    escapes = text.count(_PERCENT)
    if not escapes and _PLUS not in text:
        return text.decode()
    decoded = a2b_qp(text.replace(b"=", b"=3D").translate(_QUOTED_PRINTABLE))
    if len(decoded) != len(text) - 2 * escapes:
        return unquote_plus(text.decode())
    return decoded.decode(errors="replace")


def _spliced(text: str) -> list[Any]:
    """Return the items in a value: an array is spliced, a JSON string is parsed again (Go)."""
    value = _parsed(text)
    if isinstance(value, str):
        value = _parsed(value)
        value = None if isinstance(value, str) else value
    return value if isinstance(value, list) else [value]


def _parsed(text: str) -> Any:
    try:
        return json_text.parse(text)
    except MalformedBody:
        return None
