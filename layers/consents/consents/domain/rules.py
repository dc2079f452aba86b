"""The rules of an organization: they act when a decision is made, and on no record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MAX_PREFIXES = 50
MAX_DAYS = 3650

NEVER = 0
"""The days of an opt-in that does not expire."""


class OptOutScope(StrEnum):
    """Whom an opt-out stops: its sender, or every sender of the organization."""

    SENDER = "sender"
    ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of an organization's rules; version 0 is the default.

    `opt_in_expires` maps a contact prefix (`+`, `+33`) to days, or to `NEVER`.
    """

    version: int = 0
    opt_out_scope: OptOutScope = OptOutScope.SENDER
    opt_in_expires: Mapping[str, int] = field(default_factory=dict)

    def days(self, contact: str) -> int:
        """Return the days that a contact's opt-in counts, or `NEVER`: of the longest prefix."""
        if not self.opt_in_expires:
            return NEVER
        fitting = (prefix for prefix in self.opt_in_expires if contact.startswith(prefix))
        longest = max(fitting, key=len, default=None)
        return NEVER if longest is None else self.opt_in_expires[longest]


DEFAULT_RULES = Rules()
