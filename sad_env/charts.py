"""Charts as plain geometry in a fixed box; `charts.html.j2` draws them and escapes their labels like all text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from sad_env.safe_text import one_line

_STEEP = 20
"""A line whose highest point is this many times its median shows nothing else on a plain scale."""
_DEPTH = 1e3
"""A logarithmic scale goes down to its highest point over this."""
COLOURS = 8
"""Series beyond this many reuse colours; each still has its own label."""


class Box(NamedTuple):
    """A figure's size and its margins, in pixels."""

    width: int = 640
    height: int = 300
    left: int = 64
    right: int = 16
    top: int = 14
    bottom: int = 44


BOX = Box()


class Tick(NamedTuple):
    """A mark on an axis: where, and what is written there."""

    at: float
    label: str


class Series(NamedTuple):
    """A line through points, or one point with an interval; `colour` counts from 0."""

    label: str
    colour: int
    path: str
    x: float
    y: float
    low: float
    high: float


class Plot(NamedTuple):
    """A figure in pixels of the `BOX`."""

    title: str
    x_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    series: tuple[Series, ...]


def nice_step(span: float, most: int = 8) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that divides `span` into at most `most` parts.

    >>> nice_step(7), nice_step(20), nice_step(50)
    (1, 5, 10)
    """
    power = 1
    while True:
        for factor in (1, 2, 5):
            if span <= most * factor * power:
                return factor * power
        power *= 10


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from below `low` to above `high`, at most `most` steps of 1, 2 or 5 times a power of ten.

    >>> nice_ticks(0.0, 1.0), nice_ticks(0.0, 0.00031)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 0.0001, 0.0002, 0.0003, 0.0004])
    >>> nice_ticks(2.0, 2.0)
    [1.9, 1.95, 2.0, 2.05, 2.1]
    """
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        margin = max(abs(low) / 20, 1e-9)
        low, high = low - margin, high + margin
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(factor * power for factor in (1, 2, 5, 10) if (high - low) / (factor * power) <= most * (1 + 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{at * step:.10g}") for at in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic axis from below `low` to above `high`, both positive.

    >>> log_ticks(0.13, 11.0), log_ticks(0.004, 900.0)
    ([0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0], [0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 4 else (1,)
    marks = [float(f"{factor}e{power}") for power in powers for factor in factors]
    first = max((place for place, mark in enumerate(marks) if mark <= low), default=0)
    last = min((place for place, mark in enumerate(marks) if mark >= high), default=len(marks) - 1)
    return marks[first : last + 1]


def tick_text(value: float) -> str:
    """A number at an axis, short.

    >>> [tick_text(value) for value in (0.0, 0.0003, 0.25, 1500.0, 20000.0)]
    ['0', '3e-4', '0.25', '1,500', '20,000']
    """
    if value and abs(value) < 1e-2:
        mantissa, _, power = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(power)}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def line_plot(title: str, x_label: str, lines: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> Plot | None:
    """Lines through points (x, y); None when there is no point. All numbers have to be finite.

    What begins far above where it stays, as a loss does, is drawn on a logarithmic scale, and the title says so.
    """
    lines = [(label, points) for label, points in lines if points]
    if not lines:
        return None
    xs = [x for _, points in lines for x, _ in points]
    ys = [y for _, points in lines for _, y in points]
    floor = max(ys) / _DEPTH
    steep = min(ys) >= 0 and max(ys) > _STEEP * max(median(ys), floor)
    if steep:
        title = f"{title}, logarithmic"
        y_ticks = log_ticks(max(min(ys), floor), max(ys))
    else:
        # Most of what is drawn cannot be negative, and small changes far from 0 should not look large.
        y_ticks = nice_ticks(min(0.0, *ys), max(0.0, *ys)) if any(ys) else [0.0, 1.0]
    scaled = (lambda y: math.log10(max(y, y_ticks[0]))) if steep else float
    low, high, left = scaled(y_ticks[0]), scaled(y_ticks[-1]), min(xs)
    right = max(max(xs), left + 1)

    def across(x: float) -> float:
        return round(BOX.left + (x - left) / (right - left) * (BOX.width - BOX.left - BOX.right), 1)

    def height(y: float) -> float:
        return round(BOX.top + (high - scaled(y)) / (high - low) * (BOX.height - BOX.top - BOX.bottom), 1)

    series = []
    for colour, (label, points) in enumerate(lines):
        path = "M" + "L".join(f"{across(x)} {height(y)}" for x, y in points)
        x, y = points[-1]
        end = height(y)
        path += "h0.1" if len(points) == 1 else ""
        series.append(Series(one_line(label, 60), colour % COLOURS, path, across(x), end, end, end))
    x_ticks = tuple(Tick(across(x), tick_text(x)) for x in nice_ticks(left, right) if left <= x <= right)
    return Plot(title, x_label, x_ticks, tuple(Tick(height(y), tick_text(y)) for y in y_ticks), tuple(series))
