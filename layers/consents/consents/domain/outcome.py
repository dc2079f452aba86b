"""What became of one record of a call: accepted, refused for its faults, or not stored."""

from enum import Enum, auto
from typing import NamedTuple


class Fault(NamedTuple):
    """One field that breaks its rule. `field` is a dotted path, empty for the whole record."""

    field: str
    message: str


class Rejected(NamedTuple):
    """A record refused for all its faults, in field order, under its wire's code."""

    code: str
    faults: tuple[Fault, ...]


class Stored(Enum):
    """Whether a record without faults is in the ledger."""

    ACCEPTED = auto()
    UNAVAILABLE = auto()


type Outcome = Rejected | Stored


class Arrival(Enum):
    """What became of a row without faults: its own record, one that was there before, or lost."""

    NEW = auto()
    DUPLICATE = auto()
    LOST = auto()

    @classmethod
    def of(cls, holder: str | None, row: str) -> "Arrival":
        """Tell by the receipt that holds a record, None where nothing does, and the row's own."""
        if holder is None:
            return cls.LOST
        return cls.NEW if holder == row else cls.DUPLICATE
