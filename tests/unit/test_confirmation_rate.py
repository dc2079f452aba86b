"""When so few challenges are confirmed that an alarm says so."""

import pytest
from consents.opt_in.challenge import Rate


@pytest.mark.parametrize(
    ("opened", "confirmed", "is_low"),
    [(49, 0, False), (50, 0, True), (50, 2, True), (50, 3, False), (100, 5, False), (100, 4, True)],
)
def test_a_rate_is_low_below_five_percent_of_fifty(
    opened: int, confirmed: int, is_low: bool
) -> None:
    assert Rate(opened, confirmed).is_low is is_low
