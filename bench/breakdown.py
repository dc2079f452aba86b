"""`python -m bench.breakdown`: where the CPU time of a request of 1000 records goes.

Draws `docs/design/request-time.svg`, and prints its numbers as rows of a Markdown table: with the
lean client, with boto3 in its place, and the plain idiom.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import processes
from bench.result import ROUNDS

PLOT = Path(__file__).parents[1] / "docs" / "design" / "request-time.svg"
REQUEST, VALIDATION = "1000 records, 0 % bad", "validation: 1000 records, none bad"
SIDES: Mapping[str, tuple[str, dict[str, str]]] = {
    "lean client": ("bench.ours", {}),
    "with boto3": ("bench.ours", {"DYNAMODB_TRANSPORT": "boto3"}),
    "plain idiom": ("bench.idiom.side", {}),
}
PARTS = {"validation": "#5aa469", "calls of DynamoDB": "#b04a2f", "the rest": "#9aa5b1"}
WIDTH, ROW, LEFT, TOP = 640, 46, 100, 40


@dataclass(frozen=True)
class Bar:
    """The milliseconds of a request of one side: CPU by part, and wall."""

    name: str
    parts: Mapping[str, float]
    wall_ms: float

    @property
    def cpu_ms(self) -> float:
        """All CPU time."""
        return sum(self.parts.values())


def measure() -> list[Bar]:
    """Return the medians of each side; the sides take turns."""
    with ExitStack() as stack:
        endpoint = stack.enter_context(processes.stub())
        sides = {
            name: stack.enter_context(processes.side(module, endpoint, **variables))
            for name, (module, variables) in SIDES.items()
        }
        rounds = [
            {
                name: [side.round(case, f"{name} {number}") for case in (REQUEST, VALIDATION)]
                for name, side in sides.items()
            }
            for number in range(ROUNDS + 2)
        ][2:]
    bars = []
    for name in sides:
        requests, validations = zip(*(each[name] for each in rounds), strict=True)
        cpu = median(one.cpu_ms for one in requests)
        validation = median(one.cpu_ms for one in validations)
        calls = median(one.client_ms for one in requests)
        parts = dict(zip(PARTS, (validation, calls, cpu - validation - calls), strict=True))
        bars.append(Bar(name, parts, median(one.wall_ms for one in requests)))
    return bars


def plot(bars: list[Bar]) -> str:
    """Return the bars as an SVG."""
    scale = (WIDTH - LEFT - 90) / max(bar.cpu_ms for bar in bars)
    height = TOP + ROW * len(bars) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        "<title>CPU milliseconds of a request of 1000 records</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for number, (part, colour) in enumerate(PARTS.items()):
        x = LEFT + 150 * number
        lines.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{colour}"/>')
        lines.append(f'<text x="{x + 18}" y="22">{part}</text>')
    for row, bar in enumerate(bars):
        y, left = TOP + ROW * row, float(LEFT)
        lines.append(f'<text x="{LEFT - 8}" y="{y + 20}" text-anchor="end">{bar.name}</text>')
        for part, value in bar.parts.items():
            width = value * scale
            place = f'x="{left:.1f}" y="{y}" width="{width:.1f}" height="30"'
            lines.append(f'<rect {place} fill="{PARTS[part]}"/>')
            left += width
        lines.append(f'<text x="{left + 6:.1f}" y="{y + 14}">{bar.cpu_ms:.0f} ms CPU</text>')
        lines.append(
            f'<text x="{left + 6:.1f}" y="{y + 28}" fill="#555">{bar.wall_ms:.0f} ms wall</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


def main() -> None:
    """Measure, draw and print."""
    bars = measure()
    PLOT.write_text(plot(bars))
    for bar in bars:
        values = " | ".join(f"{value:.1f}" for value in (*bar.parts.values(), bar.cpu_ms))
        print(f"| {bar.name} | {values} | {bar.wall_ms:.0f} |")


if __name__ == "__main__":
    main()
