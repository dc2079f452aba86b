"""ULIDs: identifiers of 26 characters that sort by time, as github.com/ulid/spec defines them."""

from datetime import datetime
from secrets import randbits

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80
_LENGTH = 26


def new_ulid(now: datetime) -> str:
    """Return a ULID: the milliseconds of an instant since 1970, then 80 random bits."""
    number = int(now.timestamp() * 1000) << _RANDOM_BITS | randbits(_RANDOM_BITS)
    return "".join(_CROCKFORD[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))
