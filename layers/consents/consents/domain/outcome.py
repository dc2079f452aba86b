"""The outcome of one record: accepted, rejected for its faults, or not known to be stored."""

from enum import Enum, auto
from typing import NamedTuple


class Fault(NamedTuple):
    """A field that breaks its rule. `field` is a dotted path, empty for the whole record."""

    field: str
    message: str


class Rejected(NamedTuple):
    """A record rejected for all its faults, in field order, under the code of its API."""

    code: str
    faults: tuple[Fault, ...]


class Stored(Enum):
    """Whether the ledger holds a valid record. `UNAVAILABLE`: it may or may not."""

    ACCEPTED = auto()
    UNAVAILABLE = auto()


type Outcome = Rejected | Stored


class InsertResult(Enum):
    """Whether a row's record is new, was in the ledger before, or may not have been stored."""

    NEW = auto()
    DUPLICATE = auto()
    LOST = auto()

    @classmethod
    def of(cls, stored_under: str | None, request_id: str) -> "InsertResult":
        """Compare the request id under which the ledger holds a record with the row's own."""
        if stored_under is None:
            return cls.LOST
        return cls.NEW if stored_under == request_id else cls.DUPLICATE
