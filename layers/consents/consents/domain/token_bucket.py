"""The token bucket of an organization, held as one number: the instant at which it is full again.

A full bucket holds one minute's allowance. Spending moves the instant into the future by the time
that the spent records take to refill (GCRA, the generic cell rate algorithm); a bucket whose
instant is past is full. Instants and spans are whole ticks, so that an allowance that does not
divide a minute neither gains nor loses a record: of 7 a minute exactly 7 fit.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

TICKS_PER_SECOND = 10**15
"""Fine enough for 240 million records a minute; an instant has 25 digits of DynamoDB's 38."""

WINDOW_SECONDS = 60
CAPACITY = WINDOW_SECONDS * TICKS_PER_SECOND
"""How far ahead of now the instant of an empty bucket lies."""

MAX_LEADS = 2
MAX_LEAD = MAX_LEADS * CAPACITY
"""No bucket is further from full, however clocks differ by up to a window; one that is was written
under a clock that has been set back since."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Level:
    """What a caller may know of a bucket. `reset` is in whole seconds, until it is full."""

    capacity: int
    left: int
    reset: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much may be spent within so many seconds."""

    amount: int
    seconds: int = WINDOW_SECONDS

    @property
    def capacity(self) -> int:
        """How far ahead of now the instant of an empty bucket lies, in ticks."""
        return self.seconds * TICKS_PER_SECOND


def ticks(at: datetime) -> int:
    """Return an instant in ticks since 1970."""
    return (at - _EPOCH) // _MICROSECOND * (TICKS_PER_SECOND // 10**6)


def cost(records: int, per_window: int, capacity: int = CAPACITY) -> int:
    """Return how many ticks so many records take to refill; by default of so many a minute."""
    return records * (capacity // per_window)


def level(full_at: int, now: int, per_window: int, capacity: int = CAPACITY) -> Level:
    """Return the level at `now` of a bucket that is full at `full_at`."""
    lead = max(full_at - now, 0)
    left = max(capacity - lead, 0) // cost(1, per_window, capacity)
    return Level(per_window, min(left, per_window), _seconds(lead))


def retry_after(full_at: int, now: int, cost: int, capacity: int = CAPACITY) -> int:
    """Return whole seconds, never too few, until a bucket holds a cost, if nobody else spends."""
    return max(1, _seconds(full_at + cost - capacity - now))


def _seconds(span: int) -> int:
    return -(-span // TICKS_PER_SECOND)
