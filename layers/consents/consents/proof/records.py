"""Records of the ledger as the log commits to them: their JSON, their salt, their commitment.

An item comes as DynamoDB has it: `{"pk": {"S": "..."}}`, binary values as bytes or in base64.
"""

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

type Item = Mapping[str, Any]

SALT = "salt"
SALT_BYTES = 16
_HASH = re.compile("[0-9a-f]{64}")


def is_record(item: Item) -> bool:
    """Return whether an item of the ledger is a record, and not an agreement text."""
    return bool(item["sk"] != {"S": "text"})


def subject(item: Item) -> tuple[str, str]:
    """Return the organization and the contact of an item."""
    org_id, _, contact = item["pk"]["S"].partition("#")
    return org_id, contact


def commitment(item: Item, bucket_key: bytes) -> bytes:
    """Return the commitment to an item."""
    return hmac.digest(salt(item, bucket_key), record_json(item), "sha256")


def salt(item: Item, bucket_key: bytes) -> bytes:
    """Return the salt in an item, or the one derived for an item that has none."""
    stored = _bytes(item.get(SALT, {}).get("B", b""))
    if len(stored) == SALT_BYTES:
        return stored
    key = f"consent-ledger/salt/v1\n{item['pk']['S']}\n{item['sk']['S']}"
    return hmac.digest(bucket_key, key.encode(), "sha256")[:SALT_BYTES]


def text_hashes(items: Iterable[Item]) -> set[str]:
    """Return the hashes of the agreement texts that items name."""
    evidences = (item.get("evidence", {}).get("M", {}) for item in items)
    named = {one.get("agreement_text_hash", {}).get("S", "") for one in evidences}
    return {one for one in named if _HASH.fullmatch(one)}


def record_json(item: Item) -> bytes:
    """Return the JSON of an item without its salt: sorted names, no spaces, UTF-8.

    Its values are strings, and a map of strings in `evidence`. An item with any other attribute is
    written with the types that DynamoDB has for them.
    """
    attributes = {name: value for name, value in item.items() if name != SALT}
    try:
        plain = {name: _plain(name, value) for name, value in attributes.items()}
    except KeyError:
        return orjson.dumps(_typed({"M": attributes})["M"], option=orjson.OPT_SORT_KEYS)
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)


def _plain(name: str, value: Mapping[str, Any]) -> str | dict[str, str]:
    """Return a string or the map of evidence; KeyError for any other value."""
    if name == "evidence" and "M" in value:
        return {key: one["S"] for key, one in value["M"].items()}
    return str(value["S"])


def _typed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an attribute as JSON, alike however it was read: sets sorted, bytes in base64."""
    ((kind, content),) = value.items()
    match kind:
        case "M":
            return {kind: {name: _typed(one) for name, one in content.items()}}
        case "L":
            return {kind: [_typed(one) for one in content]}
        case "SS" | "NS":
            return {kind: sorted(content)}
        case "B":
            return {kind: _base64(content)}
        case "BS":
            return {kind: sorted(map(_base64, content))}
        case _:
            return {kind: content}


def _base64(content: bytes | str) -> str:
    return content if isinstance(content, str) else b64encode(content).decode()


def _bytes(content: bytes | str) -> bytes:
    return b64decode(content) if isinstance(content, str) else content
