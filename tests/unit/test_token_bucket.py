"""The arithmetic of the token bucket, against a bucket that counts in fractions."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from math import ceil, floor

import pytest
from consents.domain import token_bucket
from consents.domain.token_bucket import (
    CAPACITY,
    MAX_LEAD,
    TICKS_PER_SECOND,
    WINDOW_SECONDS,
    cost,
    level,
    retry_after,
    ticks,
)
from hypothesis import example, given
from hypothesis import strategies as st

MAX_PER_MINUTE = 10_000_000
MICROSECOND = TICKS_PER_SECOND // 10**6
NOON = ticks(datetime(2026, 4, 26, 12, tzinfo=UTC))
DYNAMODB_DIGITS = 38

ALLOWANCES = [1, 2, 3, 7, 59, 60, 61, 999, 1000, 1001, 60_000, 999_983, 9_999_991, MAX_PER_MINUTE]

allowances = st.sampled_from(ALLOWANCES) | st.integers(1, MAX_PER_MINUTE)
leads = st.integers(-CAPACITY, MAX_LEAD)
moments = st.datetimes(timezones=st.timezones() | st.just(UTC), allow_imaginary=False)


@dataclass
class Bucket:
    """A bucket that is held as one number, and spent from as the contract says."""

    per_minute: int
    now: int = NOON
    full_at: int = NOON

    def spend(self, records: int) -> bool:
        after = max(self.full_at, self.now) + cost(records, self.per_minute)
        admitted = after <= self.now + CAPACITY
        self.full_at = after if admitted else self.full_at
        return admitted

    @property
    def left(self) -> int:
        return level(self.full_at, self.now, self.per_minute).left


class Reference:
    """A bucket that counts its records, in fractions that are never rounded."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.records = Fraction(per_minute)

    def wait(self, span: int) -> None:
        refilled = Fraction(span, TICKS_PER_SECOND) * self.per_minute / 60
        self.records = min(Fraction(self.per_minute), self.records + refilled)

    def missing_seconds(self, records: int) -> Fraction:
        return (records - self.records) * 60 / self.per_minute


def test_a_full_bucket_holds_one_minute() -> None:
    assert (
        CAPACITY
        == WINDOW_SECONDS * TICKS_PER_SECOND
        == ticks(datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    )


@pytest.mark.parametrize("per_minute", [n for n in ALLOWANCES if n <= 60_000])
def test_a_burst_of_single_records_spends_just_the_allowance(
    per_minute: int,
) -> None:
    bucket = Bucket(per_minute)
    assert all(bucket.spend(1) for _ in range(per_minute))
    assert bucket.left == 0
    assert not bucket.spend(1)


@given(allowances)
def test_exactly_the_allowance_fits_for_every_allowance(per_minute: int) -> None:
    assert Bucket(per_minute).spend(per_minute)
    assert not Bucket(per_minute).spend(per_minute + 1)
    assert per_minute * cost(1, per_minute) <= CAPACITY < (per_minute + 1) * cost(1, per_minute)


@given(allowances, st.data())
def test_a_burst_of_any_batches_spends_just_the_allowance(
    per_minute: int, data: st.DataObject
) -> None:
    bucket, left = Bucket(per_minute), per_minute
    for records in data.draw(st.lists(st.integers(1, per_minute), max_size=20)):
        assert bucket.spend(records) is (records <= left)
        left -= records if records <= left else 0
        assert bucket.left == left
    assert bucket.spend(left) or left == 0
    assert not bucket.spend(1)


@given(allowances, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_batch_costs_what_its_parts_cost(per_minute: int, some: int, more: int) -> None:
    assert cost(some + more, per_minute) == cost(some, per_minute) + cost(more, per_minute)


@given(allowances)
def test_a_record_costs_its_refill_time_to_the_tick(per_minute: int) -> None:
    assert 0 <= Fraction(CAPACITY, per_minute) - cost(1, per_minute) < 1
    assert cost(1, per_minute) > 0


@given(
    allowances,
    st.lists(
        st.tuples(
            st.integers(0, 120 * 10**6) | st.sampled_from([0, 1, 10**6, 60 * 10**6]),
            st.integers(1, 10**4) | st.integers(1, MAX_PER_MINUTE),
        ),
        max_size=40,
    ),
)
def test_a_bucket_is_at_most_a_tick_per_record_ahead_of_exact(
    per_minute: int, requests: list[tuple[int, int]]
) -> None:
    bucket, reference, spent = Bucket(per_minute), Reference(per_minute), 0
    for microseconds, wanted in requests:
        records = 1 + (wanted - 1) % per_minute
        bucket.now += microseconds * MICROSECOND
        reference.wait(microseconds * MICROSECOND)

        missing = reference.missing_seconds(records) * TICKS_PER_SECOND
        admitted = bucket.spend(records)
        assert admitted or missing > 0, "a record was lost"
        assert not admitted or missing <= spent, "a record came early"  # ticks: 1e-15 s each
        if admitted:
            reference.records -= records
            spent += records
        exact = (per_minute - reference.records) * CAPACITY / per_minute
        assert 0 <= exact - max(bucket.full_at - bucket.now, 0) <= spent
        early = Fraction(spent * per_minute, CAPACITY)
        assert floor(reference.records) <= bucket.left <= floor(reference.records + early)


@given(allowances, st.integers(0, 24 * 60))
def test_a_day_of_spending_gains_under_a_record_in_a_billion(per_minute: int, minutes: int) -> None:
    span = (minutes + 1) * CAPACITY  # the full bucket, and what it refills
    admitted, exact = span // cost(1, per_minute), (minutes + 1) * per_minute
    assert exact <= admitted <= exact + exact // 10**9


@given(leads, allowances)
@example(-1, 7).via("just full")
@example(0, 7).via("full")
@example(1, 7).via("a tick from full")
@example(CAPACITY, 7).via("empty")
@example(CAPACITY + 1, 7).via("written under a clock that is ahead")
def test_a_level_is_between_empty_and_full(lead: int, per_minute: int) -> None:
    found = level(NOON + lead, NOON, per_minute)

    assert found.capacity == per_minute
    assert 0 <= found.left <= per_minute
    assert found.reset == ceil(Fraction(max(lead, 0), TICKS_PER_SECOND))
    assert (found.left == per_minute) >= (lead <= 0)
    assert (found.left == 0) >= (lead >= CAPACITY)
    assert (found.reset == 0) is (lead <= 0)


@given(leads, allowances)
def test_what_is_left_can_be_spent_and_one_more_cannot(lead: int, per_minute: int) -> None:
    bucket = Bucket(per_minute, full_at=NOON + lead)
    left = bucket.left

    assert not bucket.spend(left + 1)
    assert left == 0 or bucket.spend(left)


@given(leads, leads, allowances)
def test_a_fuller_bucket_never_has_less_left(one: int, other: int, per_minute: int) -> None:
    nearer, farther = (level(NOON + lead, NOON, per_minute) for lead in sorted((one, other)))

    assert nearer.left >= farther.left
    assert nearer.reset <= farther.reset


@given(leads, st.integers(0, 2 * 60 * 10**6), allowances)
def test_a_bucket_that_is_not_spent_from_only_fills(
    lead: int, microseconds: int, per_minute: int
) -> None:
    before = level(NOON + lead, NOON, per_minute)
    after = level(NOON + lead, NOON + microseconds * MICROSECOND, per_minute)
    assert after.left >= before.left
    assert after.reset <= before.reset


@given(leads, allowances)
def test_a_bucket_is_full_at_its_reset_and_not_a_second_before(lead: int, per_minute: int) -> None:
    def at(seconds: int) -> token_bucket.Level:
        return level(NOON + lead, NOON + seconds * TICKS_PER_SECOND, per_minute)

    reset = at(0).reset
    assert (at(reset).left, at(reset).reset) == (per_minute, 0)
    assert reset == 0 or at(reset - 1).reset == 1


@given(leads, allowances, st.data())
def test_retry_after_is_exact_to_the_second(
    lead: int, per_minute: int, data: st.DataObject
) -> None:
    records = data.draw(st.integers(1, per_minute))
    missing = lead + cost(records, per_minute) - CAPACITY
    found = retry_after(NOON + lead, NOON, cost(records, per_minute))

    def admits(seconds: int) -> bool:
        now = NOON + seconds * TICKS_PER_SECOND
        return Bucket(per_minute, now, NOON + lead).spend(records)

    assert found >= 1
    assert admits(found)
    assert admits(0) is (missing <= 0)
    assert found == 1 or not admits(found - 1)


@given(moments)
@example(datetime.min.replace(tzinfo=UTC)).via("the first instant")
@example(datetime.max.replace(tzinfo=UTC)).via("the last instant")
@example(datetime(2026, 4, 26, 12, 0, 0, 1, tzinfo=UTC)).via("one microsecond past")
def test_ticks_name_every_instant_exactly(at: datetime) -> None:
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = since.days * 86_400 + since.seconds + Fraction(since.microseconds, 10**6)
    assert ticks(at) == seconds * TICKS_PER_SECOND


@given(moments, st.timedeltas(timedelta(microseconds=-(10**9)), timedelta(days=1)))
def test_ticks_between_two_instants_are_the_time_between_them(
    at: datetime, span: timedelta
) -> None:
    at = at.replace(year=2026, day=min(at.day, 28), fold=0).astimezone(UTC)
    assert ticks(at + span) - ticks(at) == span // timedelta(microseconds=1) * MICROSECOND


def test_one_instant_has_the_same_ticks_in_every_zone() -> None:
    noon = datetime(2026, 4, 26, 12, tzinfo=UTC)
    assert ticks(noon.astimezone(timezone(timedelta(hours=5, minutes=45)))) == NOON


@given(moments, leads, allowances)
def test_every_number_fits_dynamodbs_digits(at: datetime, lead: int, per_minute: int) -> None:
    for number in (ticks(at) + lead, ticks(at) + MAX_LEAD, cost(1000, per_minute)):
        assert len(str(abs(number))) <= DYNAMODB_DIGITS
