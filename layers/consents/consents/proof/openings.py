"""What opens the leaves of a contact: the items of the ledger to which they commit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from consents.proof import records
from consents.proof.encoding import base64_text
from consents.proof.entries import body_of, is_about_record
from consents.proof.records import Item


class Differences(NamedTuple):
    """What only the ledger has, and what only the log has."""

    loose: list[Item]
    unopened: list[int]
    """Leaves."""


class Openings:
    """The ledger's items of a contact, by their commitments."""

    def __init__(self, items: Sequence[Item], bucket_key: bytes) -> None:
        """`bucket_key` is empty where the log has no entry of the organization."""
        self._items = {
            records.commitment(item, bucket_key): item for item in items if records.is_record(item)
        }
        self._key = bucket_key

    def lines(self, leaves: Mapping[int, bytes]) -> Iterator[dict[str, Any]]:
        """Return a line per leaf, opened where an item opens it, then the items without a leaf."""
        for leaf, entry in leaves.items():
            opening = self._opening(entry)
            yield {"leaf": leaf, "entry": base64_text(entry)} | (opening or {})
        loose = map(self._described, self.differences(leaves).loose)
        for line in sorted(loose, key=lambda line: line["record"]):
            yield {"leaf": None} | line

    def differences(self, leaves: Mapping[int, bytes]) -> Differences:
        """Return what ledger and log do not both have."""
        logged = {body_of(entry): leaf for leaf, entry in leaves.items() if is_about_record(entry)}
        return Differences(
            [item for body, item in self._items.items() if body not in logged],
            [leaf for body, leaf in logged.items() if body not in self._items],
        )

    def _opening(self, entry: bytes) -> dict[str, str] | None:
        item = self._items.get(body_of(entry))
        return self._described(item) if item else None

    def _described(self, item: Item) -> dict[str, str]:
        salt = records.salt(item, self._key)
        return {"record": records.record_json(item).decode(), "salt": base64_text(salt)}
