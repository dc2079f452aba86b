"""The result of a case, and whether its limits hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from bench.cases import Limits
from bench.side import Round

ROUNDS = 15


@dataclass(frozen=True)
class Result:
    """The rounds of a case on each side; the two rounds of a pair follow each other."""

    case: str
    limits: Limits
    ours: Sequence[Round]
    idiom: Sequence[Round]

    def ratios(self, name: str) -> list[float]:
        """Return our time divided by the time of the idiom, per round."""
        pairs = zip(self.ours, self.idiom, strict=True)
        return [getattr(ours, name) / getattr(idiom, name) for ours, idiom in pairs]

    def checks(self) -> Iterator[tuple[str, float, float]]:
        """Return each limit: what is limited, the measured value, and the most it may be."""
        limits = self.limits
        if limits.cpu is not None:
            yield "cpu", median(self.ratios("cpu_ms")), limits.cpu
        if limits.wall is not None:
            yield "wall", median(self.ratios("wall_ms")), limits.wall
        if limits.calls is not None:
            yield "calls", median(each.calls for each in self.ours), limits.calls

    @property
    def target(self) -> str:
        """The limits, as text."""
        return ", ".join(f"{name} <= {most:g}" for name, _, most in self.checks())

    @property
    def holds(self) -> bool:
        """Whether every limit is kept."""
        return all(value <= most for _, value, most in self.checks())

    def as_json(self) -> dict[str, object]:
        """Return the result for `results.json`."""
        cpu, wall = quartiles(self.ratios("cpu_ms")), quartiles(self.ratios("wall_ms"))
        return {
            "case": self.case,
            "ours": medians(self.ours),
            "idiom": medians(self.idiom),
            "cpu_ratio": cpu[1],
            "cpu_quartiles": cpu,
            "wall_ratio": wall[1],
            "wall_quartiles": wall,
            "target": self.target,
            "holds": self.holds,
        }


def quartiles(ratios: Sequence[float]) -> list[float]:
    """Return the three quartiles, of which the second is the median."""
    return [round(quartile, 3) for quartile in quantiles(ratios, n=4)]


def medians(rounds: Sequence[Round]) -> dict[str, float]:
    """Return the medians of a round; they omit the calls that refresh a cached credential."""
    return {
        "cpu_ms": round(median(each.cpu_ms for each in rounds), 2),
        "wall_ms": round(median(each.wall_ms for each in rounds), 2),
        "calls": median(each.calls for each in rounds),
    }
