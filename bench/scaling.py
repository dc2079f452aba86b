"""`python -m bench.scaling`: draw the time of a request by its records, `docs/design/scaling.svg`.

Prints the numbers as rows of a Markdown table.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from statistics import median

from bench import processes
from bench.cases import SIZES, batch_of
from bench.result import ROUNDS
from bench.side import Round

PLOT = Path(__file__).parents[1] / "docs" / "design" / "scaling.svg"
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 360, 60, 40
COLOURS = {"ours, wall": "#0b6e99", "ours, CPU": "#0b6e99", "plain, wall": "#b04a2f"}
COLOURS |= {"plain, CPU": "#b04a2f"}

type Curve = Sequence[tuple[int, float]]


def measure() -> list[tuple[int, Round, Round]]:
    """Return the median round of our side and of the plain idiom, per number of records."""
    with ExitStack() as stack:
        endpoint = stack.enter_context(processes.stub())
        sides = [stack.enter_context(processes.side(name, endpoint)) for name in processes.SIDES]
        points = []
        for size in SIZES:
            name = batch_of(size).name
            rounds = [
                [side.round(name, f"s{seed}") for side in sides] for seed in range(ROUNDS + 2)
            ]
            ours, plain = (_middle(side) for side in zip(*rounds[2:], strict=True))
            points.append((size, ours, plain))
    return points


def _middle(rounds: Sequence[Round]) -> Round:
    return Round(
        median(each.cpu_ms for each in rounds),
        median(each.wall_ms for each in rounds),
        int(median(each.calls for each in rounds)),
        int(median(each.bytes for each in rounds)),
    )


def plot(curves: dict[str, Curve]) -> str:
    """Return the curves as an SVG, both axes linear."""
    highest = 200 * ceil(max(value for curve in curves.values() for _, value in curve) / 200)

    def place(records: float, value: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - 110) * records / max(SIZES)
        return x, HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 20) * value / highest

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        "<title>Milliseconds per request by number of records</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for step in range(5):
        (x, _), (_, y) = place(step * 250, 0), place(0, step * highest / 4)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 110}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">')
        parts.append(f"{step * highest / 4:.0f} ms</text>")
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 22}" text-anchor="middle">{step * 250}</text>'
        )
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">records per request</text>')
    for name, curve in curves.items():
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in curve))
        dash = ' stroke-dasharray="5 3"' if "CPU" in name else ""
        line = f'fill="none" stroke="{COLOURS[name]}" stroke-width="2"{dash}'
        parts.append(f'<polyline points="{points}" {line}/>')
        x, y = place(*curve[-1])
        parts.append(f'<text x="{x + 6:.1f}" y="{y + 4:.1f}" fill="{COLOURS[name]}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Measure, draw and print."""
    points = measure()
    curves: dict[str, Curve] = {
        "ours, wall": [(size, ours.wall_ms) for size, ours, _ in points],
        "ours, CPU": [(size, ours.cpu_ms) for size, ours, _ in points],
        "plain, wall": [(size, plain.wall_ms) for size, _, plain in points],
        "plain, CPU": [(size, plain.cpu_ms) for size, _, plain in points],
    }
    PLOT.write_text(plot(curves))
    for size, ours, plain in points:
        print(
            f"| {size} | {ours.calls} | {ours.cpu_ms:.0f} | {ours.wall_ms:.0f} "
            f"| {plain.calls} | {plain.cpu_ms:.0f} | {plain.wall_ms:.0f} |"
        )


if __name__ == "__main__":
    main()
