"""The witnesses that a log asks, and which of them suffice (C2SP tlog-policy).

Only the lines `witness`, `group` and `quorum`: the line of the log follows from its key.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from consents.proof.notes import InvalidNote, Note, SignatureType, VerifierKey, parse_key

MAX_BYTES = 16 * 1024
MAX_WITNESSES = 32
"""Half of the signatures that a note may have: auditors add theirs later."""

_NONE = "none"
_SCHEMES = ("http://", "https://")


class InvalidPolicy(ValueError):
    """The text is no policy; the message says why."""


class Witness(NamedTuple):
    """A witness: its name in the policy, its key, and its URL; empty if it is not to be asked."""

    name: str
    key: VerifierKey
    url: str


class Group(NamedTuple):
    """How many of some witnesses and groups suffice."""

    least: int
    members: frozenset[str]


@dataclass(slots=True)
class WitnessPolicy:
    """Witnesses, groups of them, and the group or witness that suffices: `none` asks for none."""

    witnesses: dict[str, Witness] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = ""

    def cosigners(self, note: Note) -> set[str]:
        """Return the names of the witnesses that cosigned a checkpoint."""
        return {one.name for one in self.witnesses.values() if one.key.has_signed(note)}

    def is_met(self, cosigners: Iterable[str]) -> bool:
        """Return whether the cosignatures of some witnesses suffice."""
        met = {_NONE, *cosigners}
        for name, group in self.groups.items():  # a group follows its members
            if len(group.members & met) >= group.least:
                met.add(name)
        return self.quorum in met


def parse_witness_policy(text: str) -> WitnessPolicy:
    """Parse a policy; an empty text has no witnesses and needs none.

    Raises:
        InvalidPolicy: a line is invalid.
    """
    policy = WitnessPolicy()
    if len(text.encode()) > MAX_BYTES:
        raise InvalidPolicy(f"more than {MAX_BYTES} bytes")
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            try:
                _add_line(policy, words)
            except (InvalidNote, ValueError) as error:
                raise InvalidPolicy(f"line {number}: {error}") from None
    policy.quorum = policy.quorum or ("" if policy.witnesses else _NONE)
    if not policy.quorum:
        raise InvalidPolicy("no line `quorum`")
    return policy


def _add_line(policy: WitnessPolicy, words: Sequence[str]) -> None:
    names = {_NONE, *policy.witnesses, *policy.groups}
    match words:
        case ["witness", name, key, *url] if name not in names and len(url) <= 1:
            policy.witnesses[name] = _witness(policy.witnesses, name, key, "".join(url))
        case ["group", name, least, *members] if name not in names:
            policy.groups[name] = _group(policy.groups, names, least, members)
        case ["quorum", name] if name in names and not policy.quorum:
            policy.quorum = name
        case _:
            raise ValueError("an unknown line, or a name that is unknown or used twice")


def _witness(others: Mapping[str, Witness], name: str, key: str, url: str) -> Witness:
    witness = Witness(name, parse_key(key), url.rstrip("/"))
    if witness.key.type is not SignatureType.COSIGNATURE:
        raise ValueError("the key is not that of a witness: its type must be 4")
    if any(one.key.public_key == witness.key.public_key for one in others.values()):
        raise ValueError("a key is there twice")
    if url and not url.startswith(_SCHEMES):
        raise ValueError("a URL must begin with https:// or http://")
    if len(others) == MAX_WITNESSES:
        raise ValueError(f"more than {MAX_WITNESSES} witnesses")
    return witness


def _group(
    others: Mapping[str, Group], names: set[str], least: str, members: Sequence[str]
) -> Group:
    """Return a group; a witness or a group is a member of one group at most."""
    free = names - {_NONE} - {one for group in others.values() for one in group.members}
    named = {"any": 1, "all": len(members)}
    group = Group(named[least] if least in named else int(least), frozenset(members))
    if not 1 <= group.least <= len(group.members & free) == len(members):
        raise ValueError("a group has unknown members, or another threshold than it may")
    return group
