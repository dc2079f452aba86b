"""Decision ids: a keyed digest of all that an answer said of one contact. Nothing is stored."""

import hmac
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import orjson


class Circumstances(NamedTuple):
    """What an answer says of all its contacts."""

    org_id: str
    asked_at: str
    sender_id: str
    rules_version: int


class DecisionIds:
    """Makes and compares decision ids, under a key derived from the stack's secret."""

    def __init__(self, pepper: Callable[[], bytes]) -> None:
        """`pepper` returns the secret."""
        self._pepper = pepper

    def sign(self, circumstances: Circumstances, result: Mapping[str, Any]) -> str:
        """Return the id of a result without one: 32 hex digits.

        Raises:
            TypeError: no JSON that this service writes holds such a value.
        """
        said = orjson.dumps([*circumstances, result], option=orjson.OPT_SORT_KEYS)
        return hmac.digest(self._key, said, "sha256").hex()[:32]

    def is_genuine(self, circumstances: Circumstances, result: Mapping[str, Any]) -> bool:
        """Return whether a result, with its id, was signed in these circumstances."""
        shown = result.get("decision_id")
        unsigned = {name: value for name, value in result.items() if name != "decision_id"}
        try:
            expected = self.sign(circumstances, unsigned)
        except TypeError:  # half a surrogate pair, a number beyond 64 bits
            return False
        if not isinstance(shown, str) or not shown.isascii():
            return False
        return hmac.compare_digest(shown, expected)

    @cached_property
    def _key(self) -> bytes:
        return hmac.digest(self._pepper(), b"decision_id", "sha256")
