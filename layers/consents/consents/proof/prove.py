"""Make the proof pack of a contact: read the log and the ledger, and judge what they show.

The log is read first. So a record without a leaf is newer than the log, or was never logged; and a
leaf without its record shows that the record was removed or changed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from consents.domain.errors import LogBehind
from consents.proof import anchors, archive, lag, records
from consents.proof.cover_page import Report, cover_page
from consents.proof.encoding import json_line
from consents.proof.openings import Differences, Openings
from consents.proof.pack import evidence_files
from consents.proof.records import Item
from consents.proof.snapshot import Snapshot, find
from consents.proof.stores import AssignedBatches
from consents.proof.subject import KeyTable, Subject

type Texts = Callable[[str, Iterable[str]], Mapping[str, str]]
"""Returns the agreement texts of an organization that there are, by their hashes."""

type Judge = Callable[[bytes, bytes], Report]
"""Returns the verifier's report on a pack under a policy."""


class Question(NamedTuple):
    """Whose proof is asked for, the kept sizes to compare, and the least size of the log."""

    org_id: str
    contact: str
    kept: Sequence[int] = ()
    min_size: int = 0


class Pack(NamedTuple):
    """A pack, the size of the log that it is about, and the verifier's report on it."""

    content: bytes
    size: int
    report: Report


class Contacts(Protocol):
    """Where the items of contacts are."""

    def items(self, org_id: str, contact: str, time_left: Callable[[], float]) -> Sequence[Item]:
        """Return all items of a contact, or raise `Unavailable`."""


class LogReads(Protocol):
    """What a proof needs of the log's objects."""

    def snapshot(self) -> Snapshot | None:
        """Return the log up to the published checkpoint, or None before the first."""

    def anchor_sizes(self) -> Iterable[int]:
        """Return the sizes that are anchored."""

    def read_anchor(self, size: int) -> anchors.Anchor:
        """Return the anchor of a size."""

    def batches(self, names: Sequence[str]) -> Iterable[bytes]:
        """Return the entries of batches."""


class Positions(AssignedBatches, Protocol):
    """What a proof needs of the log's table."""

    def key_table(self, org_id: str) -> KeyTable | None:
        """Return the key table of an organization, or None where it has no entry."""


@dataclass(frozen=True, slots=True)
class Prover:
    """Makes proof packs."""

    contacts: Contacts
    texts: Texts
    log: LogReads
    positions: Positions
    policy: Callable[[], bytes]
    """Returns the keys of the log and its witnesses, as a tlog-policy."""

    judge: Judge

    def prove(self, question: Question, now: datetime, time_left: Callable[[], float]) -> Pack:
        """Return the pack of a contact.

        Raises:
            LogBehind: the published log lacks something of the contact that it is about to have.
            Unavailable: the ledger did not answer in time.
        """
        log = self.log.snapshot()
        if log is None or log.size < question.min_size:
            raise LogBehind
        org_id, contact = question.org_id, question.contact
        items = self.contacts.items(org_id, contact, time_left)
        subject = Subject(org_id, contact, self.positions.key_table(org_id))
        found = find(log, subject)
        openings = Openings(items, found.subject.key or b"")
        if self._is_behind(log, subject, openings.differences(found.leaves), now):
            raise LogBehind
        texts = self.texts(org_id, records.text_hashes(items))
        files = evidence_files(log, found, openings, texts)
        times = self._times(log, found.leaves, question.kept)
        return self._pack(log, files | {"times.json": times, "policy": self.policy()}, now)

    def _is_behind(
        self, log: Snapshot, subject: Subject, differences: Differences, now: datetime
    ) -> bool:
        if any(lag.awaits_leaf(item, now) for item in differences.loose):
            return True
        return any(differences) and lag.has_pending(
            self.positions, self.log.batches, log.size, subject.tags
        )

    def _times(self, log: Snapshot, leaves: Iterable[int], kept: Sequence[int]) -> bytes:
        sizes = (size for size in self.log.anchor_sizes() if size <= log.size)
        older = [size for size in kept if size < log.size]
        found = anchors.times(log.tree, self.log.read_anchor, anchors.around(sizes, leaves), older)
        return json_line([*found])

    def _pack(self, log: Snapshot, files: dict[str, bytes], now: datetime) -> Pack:
        """Return the pack of some files, with the cover that follows from the verifier's report."""
        draft = archive.write_pack(log.checkpoint, files | {"COVER.html": b""}, now)
        report = self.judge(draft, files["policy"])
        cover = cover_page(report, files, now)
        content = archive.write_pack(log.checkpoint, files | {"COVER.html": cover}, now)
        return Pack(content, log.size, report)
