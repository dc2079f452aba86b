"""ULIDs agree with an implementation of others."""

from datetime import UTC, datetime

from consents.domain.ulid import new_ulid
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

# Hypothesis takes bounds without a time zone.
BOUNDS = datetime(1970, 1, 1), datetime(9999, 1, 1)  # noqa: DTZ001
TIMES = st.datetimes(*BOUNDS, timezones=st.just(UTC))


@given(TIMES)
def test_a_ulid_has_the_milliseconds_of_its_time(now: datetime) -> None:
    made = new_ulid(now)

    assert str(ULID.from_str(made)) == made
    assert ULID.from_str(made).milliseconds == ULID.from_datetime(now).milliseconds


def test_ulids_of_one_instant_differ_in_80_random_bits() -> None:
    now = datetime.now(UTC)
    random = [int.from_bytes(ULID.from_str(new_ulid(now)).bytes[6:]) for _ in range(200)]

    assert len(set(random)) == 200
    for bit in range(80):
        assert {number >> bit & 1 for number in random} == {0, 1}
