"""Anchor the log: ask the witnesses to cosign the published checkpoint, and keep it with them.

An anchor is written once. Cosignatures that come later are kept beside it: of a witness that did
not respond in time, or of an auditor.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from aws_lambda_powertools import Logger

from consents.aws import metrics
from consents.proof import notes
from consents.proof.cosignatures import with_cosignatures
from consents.proof.notes import Note, Signature
from consents.proof.snapshot import Snapshot
from consents.proof.tiles import TileTree
from consents.proof.witness_policy import InvalidPolicy, Witness, parse_witness_policy

type Ask = Callable[[Iterable[Witness], Note, TileTree], Mapping[str, Signature]]
"""Returns the valid cosignatures of those witnesses that cosign a checkpoint, by their names."""

log = Logger(child=True)


class AnchorObjects(Protocol):
    """What an anchor needs of the log's objects."""

    def cosigned_snapshot(self) -> Snapshot | None:
        """Return the log up to the published checkpoint with all its cosignatures, or None."""

    def witness_policy(self) -> str:
        """Return the policy of the witnesses, empty without witnesses."""

    def write_witness_policy(self, text: str) -> None:
        """Replace the policy of the witnesses, which is valid."""

    def write_anchor(self, size: int, content: bytes) -> bool:
        """Write the anchor of a size unless there is one; return whether it did."""

    def add_cosignature(self, size: int, cosignature: Signature) -> None:
        """Keep a cosignature beside the anchor of a size, unless its key has one there."""


class Anchored(NamedTuple):
    """The size that is anchored, and who cosigned it."""

    size: int
    cosigners: set[str]
    is_met: bool
    """Whether the cosignatures suffice by the policy."""


@dataclass(frozen=True, slots=True)
class Anchorer:
    """Anchors a log."""

    objects: AnchorObjects
    ask: Ask

    def anchor(self) -> Anchored | None:
        """Anchor the published checkpoint; return None before the first."""
        found = self.objects.cosigned_snapshot()
        if found is None:
            return None
        policy = parse_witness_policy(self.objects.witness_policy())
        note = notes.parse_note(found.note)
        known = policy.cosigners(note)
        missing = [one for one in policy.witnesses.values() if one.url and one.name not in known]
        added = self.ask(missing, note, found.tree)
        self._keep(found.size, note, added.values())
        cosigners = known | added.keys()
        return Anchored(found.size, cosigners, policy.is_met(cosigners))

    def _keep(self, size: int, note: Note, added: Iterable[Signature]) -> None:
        content = bytes(with_cosignatures(note, added))
        if not self.objects.write_anchor(size, content):
            # There is one: from an hour in which nothing was added, or by another run.
            for cosignature in added:
                self.objects.add_cosignature(size, cosignature)


def anchor(anchorer: Anchorer, policy: str | None = None) -> int | None:
    """Anchor the log, and return its size, or None before the first checkpoint.

    Log it, and count whether cosignatures are missing. A `policy` first replaces the one of the
    witnesses; an invalid one is logged, counts as missing cosignatures, and replaces nothing.
    """
    is_valid = policy is None or _adopt(anchorer.objects, policy)
    anchored = anchorer.anchor()
    if anchored is None:
        return None
    size, cosigners, is_met = anchored
    log.info("log.anchored", size=size, cosignatures=len(cosigners), is_met=is_met)
    metrics.write({"LogAnchorsWithoutQuorum": 0 if is_met and is_valid else 1})
    return size


def _adopt(objects: AnchorObjects, policy: str) -> bool:
    """Make a policy that of the witnesses, if it is valid; return whether it is."""
    try:
        parse_witness_policy(policy)
    except InvalidPolicy as invalid:
        log.error("witness.policy_invalid", reason=str(invalid))
        return False
    text = policy and f"{policy}\n"
    if text != objects.witness_policy():
        objects.write_witness_policy(text)
    return True
