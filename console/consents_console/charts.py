"""Charts of a value per day, as bars."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

DAYS = 14
WIDTH, BASE = 320, 72
_GAP, _LEAST_HEIGHT = 4, 1.5


@dataclass(frozen=True, slots=True)
class Bar:
    """A day as a rectangle."""

    day: date
    value: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A value per day, oldest first."""

    title: str
    days: Sequence[tuple[date, int]]

    @property
    def total(self) -> int:
        """The sum of all days."""
        return sum(value for _, value in self.days)

    def bars(self) -> Iterator[Bar]:
        """Return a bar per day; the greatest value has the full height, zero a line."""
        greatest = max(value for _, value in self.days) or 1
        step = WIDTH / len(self.days)
        for number, (day, value) in enumerate(self.days):
            height = max(_LEAST_HEIGHT, round(BASE * value / greatest, 1))
            left, width = round(number * step, 1), round(step - _GAP, 1)
            yield Bar(day, value, left, BASE - height, width, height)


def start_of(now: datetime) -> datetime:
    """Return the beginning of the first day that charts show."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=DAYS - 1)


def chart(title: str, values: Mapping[date, float], now: datetime) -> Chart:
    """Return the last days of a value; a day without one has zero."""
    days = [(start_of(now) + timedelta(days=number)).date() for number in range(DAYS)]
    return Chart(title, [(day, round(values.get(day, 0))) for day in days])
