"""Compare the records of the ledger with the leaves of the log, on disk: they fit no memory."""

import sqlite3
from collections.abc import Iterable, Iterator

from consents.proof.entries import Kind, body_of, entry, tag_of

_SCHEMA = """
CREATE TABLE record (body BLOB PRIMARY KEY, tag BLOB, received_at TEXT) WITHOUT ROWID;
CREATE TABLE leaf (body BLOB PRIMARY KEY, number INTEGER, kind INTEGER) WITHOUT ROWID;
"""
_WITHOUT_LEAF = """
FROM record LEFT JOIN leaf USING (body)
WHERE number IS NULL AND received_at >= ? AND received_at < ?
"""
_WITHOUT_RECORD = """
SELECT number FROM leaf LEFT JOIN record USING (body)
WHERE tag IS NULL AND body <> zeroblob(32) AND kind <> ? ORDER BY number
"""

_COMPARED = {Kind.RECORD, Kind.CHANGED, Kind.ORGANIZATION, Kind.BACKFILLED}
"""The kinds of entries of what there is, unless it was removed since."""


class Comparison:
    """Records and leaves, each with the commitment by which they belong together."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # a temporary file, which SQLite removes
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Remove the file."""
        self._database.close()

    def add_records(self, records: Iterable[tuple[bytes, str]]) -> int:
        """Add the entries of records and when each was received, and return how many there are."""
        rows = ((body_of(one), tag_of(one), at) for one, at in records)
        self._database.executemany("INSERT OR IGNORE INTO record VALUES (?, ?, ?)", rows)
        return int(self._database.execute("SELECT count(*) FROM record").fetchone()[0])

    def add_leaves(self, leaves: Iterable[tuple[int, bytes]]) -> None:
        """Add the entries of leaves, in order: of equal ones the first counts."""
        rows = ((body_of(one), number, one[0]) for number, one in leaves if one[0] in _COMPARED)
        self._database.executemany("INSERT OR IGNORE INTO leaf VALUES (?, ?, ?)", rows)

    def has_leaf(self, body: bytes) -> bool:
        """Return whether there is a leaf with a body."""
        found = self._database.execute("SELECT 1 FROM leaf WHERE body = ?", [body])
        return found.fetchone() is not None

    def count_without_leaf(self, since: str, before: str) -> int:
        """Return how many of the records received in a time have no leaf."""
        found = self._database.execute(f"SELECT count(*) {_WITHOUT_LEAF}", [since, before])
        return int(found.fetchone()[0])

    def without_leaf(self, kind: Kind, since: str, before: str) -> Iterator[bytes]:
        """Return the entries, of a kind, of records received in a time that have no leaf."""
        found = self._database.execute(f"SELECT tag, body {_WITHOUT_LEAF}", [since, before])
        return (entry(kind, tag, body) for tag, body in found)

    def without_record(self) -> Iterator[int]:
        """Return the leaves whose record is not in the ledger; the end of a backfill has none."""
        found = self._database.execute(_WITHOUT_RECORD, [Kind.ORGANIZATION])
        return (number for (number,) in found)
