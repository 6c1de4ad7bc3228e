"""A line chart as SVG for a page: text that can be selected, in the page's own colours, light or dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

Number = float | int
Points = Sequence[tuple[Number, Number]]

WIDTH, HEIGHT = 420, 200
"""Of a chart without its legend. Units are CSS pixels where the page is as wide."""
TOP, RIGHT, BOTTOM = 8, 8, 30
GAP, ROW = 6, 14
"""Below the legend, and the height of each of its rows."""
LETTER = 6.0
"""Width of a letter, about."""
MOST_IN_LEGEND = 8
COLORS = ("#3b82f6", "#ea580c", "#16a34a", "#db2777", "#a16207", "#8b5cf6", "#0891b2", "#dc2626")
"""Of a contrast of at least 3 with white and with black."""


@dataclass(frozen=True)
class Line:
    """A curve. `dashed`: a limit of the others, in the color of the text."""

    label: str
    points: Points
    dashed: bool = False


def line_chart(title: str, x_label: str, lines: Sequence[Line]) -> str:
    """The <svg> element of a chart; points that are not finite are left out.

    Its <title> tells the last values to a screen reader, and the name of each curve to a mouse.

    >>> chart = line_chart("loss", "epoch", [Line("loss", [(0, 2.0), (1, 1.0)])])
    >>> "<title>loss, over epoch 0 to 1. Last: loss 1</title>" in chart
    True
    """
    lines = [Line(line.label, _finite(line.points), line.dashed) for line in lines]
    lines = [line for line in lines if line.points]
    xs, ys = ([point[axis] for line in lines for point in line.points] or [0.0] for axis in (0, 1))
    x_ticks, y_ticks = ticks(min(xs), max(xs), 6), ticks(min(ys), max(ys), 4, around=True)
    legend, rows = _legend(lines) if 1 < len(lines) <= MOST_IN_LEGEND else ("", 0)
    above = ROW * rows + GAP if rows else 0
    left, top = 10 + LETTER * max(len(text) for _, text in y_ticks), above + TOP
    right, bottom = WIDTH - RIGHT, above + HEIGHT - BOTTOM
    x_scale, y_scale = _scale(xs, left, right), _scale([value for value, _ in y_ticks], bottom, top)
    grid = "".join(_y_tick(y_scale(value), text, left) for value, text in y_ticks)
    grid += "".join(_x_tick(x_scale(value), text, top, bottom) for value, text in x_ticks)
    curves = ""
    for line, color in zip(lines, _colors(lines), strict=True):
        curves += _curve(line, color, [(x_scale(x), y_scale(y)) for x, y in line.points])
    return (
        f'<svg role="img" viewBox="0 0 {WIDTH} {HEIGHT + above}" font-size="11" fill="currentColor">'
        f"<title>{escape(_summary(title, x_label, xs, lines))}</title>{legend}{grid}"
        f'<text x="{(left + right) / 2:.1f}" y="{bottom + 27:.1f}" text-anchor="middle">{escape(x_label)}</text>'
        f'<g fill="none" stroke-width="1.5" stroke-linejoin="round">{curves}</g></svg>'
    )


def ticks(low: Number, high: Number, most: int, around: bool = False) -> list[tuple[float, str]]:
    """Round numbers from low to high, 1, 2 or 5 times a power of ten apart, and how they are written.

    At most `most` + 1, and two more where they lie `around` low and high.

    >>> [text for _, text in ticks(0.13, 0.92, 4)]
    ['0.2', '0.4', '0.6', '0.8']
    >>> [text for _, text in ticks(0.13, 0.92, 4, around=True)]
    ['0.0', '0.2', '0.4', '0.6', '0.8', '1.0']
    >>> [text for _, text in ticks(0, 2e-5, 4)]
    ['0', '5e-6', '1e-5', '1.5e-5', '2e-5']
    """
    low, high = float(low), float(high)
    if _equal(low, high):
        return [(low, f"{low:.6g}")]
    size = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(size * factor for factor in (1, 2, 5, 10) if (high - low) / (size * factor) <= most * (1 + 1e-9))
    floor, ceil = (math.floor, math.ceil) if around else (math.ceil, math.floor)
    slack = 1e-9 if around else -1e-9
    values = [n * step for n in range(floor(low / step + slack), ceil(high / step - slack) + 1)]
    return [(value, _written(value, step, max(map(abs, values)))) for value in values]


def _written(value: Number, step: Number, largest: Number) -> str:
    place = math.floor(math.log10(step) + 1e-9)
    if place >= -4 and largest < 1e6:
        return f"{value:.{max(-place, 0)}f}"
    if value == 0:
        return "0"
    number, exponent = f"{value:.{max(math.floor(math.log10(abs(value)) + 1e-9) - place, 0)}e}".split("e")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}e{int(exponent)}"


def _equal(low: Number, high: Number) -> bool:
    """But for rounding."""
    return high - low <= 1e-9 * max(abs(low), abs(high))


def _finite(points: Points) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _scale(values: Sequence[Number], start: Number, end: Number) -> Callable[[Number], float]:
    """From values to pixels; in the middle where all are equal."""
    low, high = min(values), max(values)
    low, span = (low - 0.5, 1.0) if _equal(low, high) else (low, high - low)
    return lambda value: start + (end - start) * (value - low) / span


def _summary(title: str, x_label: str, xs: Sequence[Number], lines: Sequence[Line]) -> str:
    text = f"{title}, over {x_label} {min(xs):.4g} to {max(xs):.4g}"
    if len(lines) > MOST_IN_LEGEND:
        return f"{text}: {len(lines)} curves"
    return f"{text}. Last: " + ", ".join(f"{line.label} {line.points[-1][1]:.4g}" for line in lines)


def _colors(lines: Sequence[Line]) -> list[str]:
    order = iter(range(len(lines)))
    return ["currentColor" if line.dashed else COLORS[next(order) % len(COLORS)] for line in lines]


def _stroke(line: Line, color: str) -> str:
    return f'stroke="{color}"' + (' stroke-dasharray="5 4" stroke-opacity="0.6"' if line.dashed else "")


def _legend(lines: Sequence[Line]) -> tuple[str, int]:
    """In rows above the curves, and how many rows."""
    parts, x, row = [], 8.0, 0
    for line, color in zip(lines, _colors(lines), strict=True):
        width = 30 + LETTER * len(line.label)
        if x > 8 and x + width > WIDTH:
            x, row = 8.0, row + 1
        y = TOP + ROW * row + 4
        parts.append(f'<path d="M{x:.1f} {y:.1f}h14" fill="none" stroke-width="2" {_stroke(line, color)}/>')
        parts.append(f'<text x="{x + 18:.1f}" y="{y + 4:.1f}">{escape(line.label)}</text>')
        x += width
    return "".join(parts), row + 1


def _y_tick(y: Number, text: str, left: Number) -> str:
    rule = f'<path d="M{left:.1f} {y:.1f}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity="0.15"/>'
    return f'{rule}<text x="{left - 5:.1f}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'


def _x_tick(x: Number, text: str, top: Number, bottom: Number) -> str:
    rule = f'<path d="M{x:.1f} {top:.1f}V{bottom:.1f}" stroke="currentColor" stroke-opacity="0.15"/>'
    return f'{rule}<text x="{x:.1f}" y="{bottom + 14:.1f}" text-anchor="middle">{text}</text>'


def _curve(line: Line, color: str, pixels: Points) -> str:
    if len(pixels) < 3:  # dots as well: one point has no line
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color}"/>' for x, y in pixels)
    else:
        dots = ""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in _thinned(pixels))
    return f'<g><title>{escape(line.label)}</title><path d="M{path}" {_stroke(line, color)}/>{dots}</g>'


def _thinned(pixels: Points) -> Points:
    """Of the points of one column of pixels the highest and the lowest: what is drawn stays the same."""
    columns: dict[int, list[tuple[Number, Number]]] = {}
    for point in pixels:
        columns.setdefault(int(point[0]), []).append(point)
    kept = []
    for points in columns.values():
        ends = {min(points, key=lambda point: point[1]), max(points, key=lambda point: point[1])}
        kept += [point for point in points if point in ends] if len(points) > 2 else points
    return kept
