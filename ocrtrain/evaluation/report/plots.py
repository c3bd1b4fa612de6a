"""Small plots as SVG, coloured by the page's style sheet, so that they follow light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ocrtrain.evaluation.reliability import Kept, Reliability

LEFT, TOP, RIGHT, BOTTOM = 48, 12, 22, 40


class Plot:
    """A plane of `width` x `height` pixels for x and y from 0 to `x_top` and `y_top`."""

    def __init__(
        self, title: str, x: str, y: str, width: int, height: int, x_top: float, y_top: float
    ) -> None:
        self.width, self.height, self.x_top, self.y_top = width, height, x_top, y_top
        self.labels = (title, x, y)
        self.marks: list[str] = []

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Turn values into pixels from the upper left."""
        return LEFT + x / self.x_top * self.width, TOP + self.height - y / self.y_top * self.height

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Draw a line through values (x, y)."""
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in (self.at(*point) for point in points))
        self.marks.append(f'<polyline class="{kind}" points="{path}"/>')

    def dot(self, x: float, y: float, radius: float, kind: str, says: str) -> None:
        """Draw a dot that says something when it is pointed at."""
        px, py = self.at(x, y)
        circle = f'<circle class="{kind}" cx="{px:.1f}" cy="{py:.1f}" r="{radius:.1f}">'
        self.marks.append(f"{circle}<title>{escape(says)}</title></circle>")

    def svg(self, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> str:
        """Write the whole plot; ticks are values, written as percent."""
        title, x_label, y_label = map(escape, self.labels)
        parts = []
        right, bottom = LEFT + self.width, TOP + self.height
        for tick in x_ticks:
            px, _ = self.at(tick, 0)
            parts.append(f'<line class="grid" x1="{px:.1f}" y1="{TOP}" x2="{px:.1f}" y2="{bottom}"/>')
            parts.append(f'<text x="{px:.1f}" y="{bottom + 16}" text-anchor="middle">{percent(tick)}</text>')
        for tick in y_ticks:
            _, py = self.at(0, tick)
            parts.append(f'<line class="grid" x1="{LEFT}" y1="{py:.1f}" x2="{right}" y2="{py:.1f}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{percent(tick)}</text>')
        middle = LEFT + self.width / 2
        parts.append(f'<text x="{middle}" y="{bottom + 34}" text-anchor="middle">{x_label}</text>')
        across = f'x="12" y="{TOP + self.height / 2}" transform="rotate(-90 12 {TOP + self.height / 2})"'
        parts.append(f'<text {across} text-anchor="middle">{y_label}</text>')
        size = f"{right + RIGHT} {bottom + BOTTOM}"
        return (
            f'<svg class="plot" viewBox="0 0 {size}" role="img" aria-label="{title}">'
            f"{''.join(parts)}{''.join(self.marks)}</svg>"
        )


def percent(share: float) -> str:
    """Write a share as percent, as short as can be."""
    return f"{100 * share:.3g}%"


def reliability_plot(reliability: Reliability, before: Reliability | None) -> str:
    """Draw accuracy over confidence, a dot with its interval for each bin; right ones lie on the diagonal."""
    plot = Plot("Reliability diagram", "confidence", "exact lines", 300, 260, 1.0, 1.0)
    plot.line([(0, 0), (1, 1)], "ideal")
    for found, kind in ((before, "before"), (reliability, "now")):
        for each in () if found is None else found.bins:
            low, high = each.interval
            if kind == "now":
                plot.line([(each.confidence, low), (each.confidence, high)], "whisker")
            says = f"{each.lines:,} lines: confidence {each.confidence:.1%}, exact {each.accuracy:.1%}"
            plot.dot(each.confidence, each.accuracy, 4.5, kind, says)
    quarters = (0, 0.25, 0.5, 0.75, 1)
    return plot.svg(quarters, quarters)


def reject_plot(kept: Sequence[Kept]) -> str:
    """Draw the CER of what is kept over the share of lines that is put aside, the least sure first."""
    step = nice_step(max(point.cer for point in kept) or 0.01)
    top = step * (int(max(point.cer for point in kept) / step) + 1)
    plot = Plot("Errors over rejects", "lines put aside", "CER of the rest", 300, 260, 1.0, top)
    points = [(1 - point.share, point.cer) for point in kept]
    plot.line(points, "curve")
    for point in kept:
        says = (
            f"{1 - point.share:.0%} put aside (confidence below {point.threshold:.1%}): CER {point.cer:.2%}, "
            f"{point.line_accuracy:.1%} of the rest exact"
        )
        plot.dot(1 - point.share, point.cer, 3.5, "now", says)
    ticks = [step * i for i in range(round(top / step) + 1)]
    return plot.svg((0, 0.25, 0.5, 0.75, 1), ticks)


def nice_step(top: float, most: int = 5) -> float:
    """Find a step of 1, 2 or 5 times a power of ten of which at most `most` fit below `top`."""
    power = 1e-6
    while True:
        for factor in (1, 2, 5):
            if top / (power * factor) <= most:
                return power * factor
        power *= 10
