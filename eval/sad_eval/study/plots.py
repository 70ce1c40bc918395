"""Plots of a study, drawn as SVG: success by way and size, and success against what it cost."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

COLOURS = ("#1550c0", "#c01515", "#0a7d4f", "#8a4bd0", "#b26a00")
"""By size of student."""
_FONT = 'font-family="sans-serif" font-size="11"'


@dataclass(frozen=True)
class Dot:
    """A figure to be drawn.

    Attributes:
        way: what it is of.
        size: of the student, which gives the colour.
        value: a share.
        low: lower end of its interval.
        high: upper end.
        cost: what it took, for plots against cost.
    """

    way: str
    size: str
    value: float
    low: float
    high: float
    cost: float = 0.0


def success_plot(title: str, dots: Sequence[Dot], references: Sequence[tuple[str, float]]) -> str:
    """Success of each way, one line a way, one colour a size, with intervals; references as vertical lines.

    Args:
        title: above it.
        dots: in the order of their lines.
        references: name and share.
    """
    ways, sizes = _distinct(dot.way for dot in dots), _distinct(dot.size for dot in dots)
    left, right, top = 190, 690, 62
    bottom = top + 26 * len(ways)

    def across(share: float) -> float:
        return left + (right - left) * share

    marks = [_text(10, 20, title, size=13), *_legend(sizes, left, 40), *_percent_grid(across, top, bottom)]
    for name, share in references:
        x = across(share)
        marks.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" stroke="#666" stroke-dasharray="4 3"/>')
        marks.append(f'<text x="{x + 3:.1f}" y="{bottom + 30}" fill="#666">{html.escape(name)}</text>')
    for index, way in enumerate(ways):
        y = top + 26 * index + 13
        marks.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{html.escape(way)}</text>')
        mine = [dot for dot in dots if dot.way == way]
        for dot in mine:
            at = y + 7 * (sizes.index(dot.size) - (len(sizes) - 1) / 2)
            ends = f'x1="{across(dot.low):.1f}" x2="{across(dot.high):.1f}" y1="{at:.1f}" y2="{at:.1f}"'
            colour = _colour(sizes, dot.size)
            marks.append(f'<line {ends} stroke="{colour}"/>')
            marks.append(f'<circle cx="{across(dot.value):.1f}" cy="{at:.1f}" r="3.5" fill="{colour}"/>')
    return _svg(730, bottom + 42, marks)


def cost_plot(title: str, axis: str, dots: Sequence[Dot]) -> str:
    """Success against cost, on a logarithmic scale, one colour a size; the way stands beside its dot.

    Args:
        title: above it.
        axis: what the cost is.
        dots: costs are above 0.
    """
    sizes = _distinct(dot.size for dot in dots)
    left, right, top, bottom = 60, 690, 62, 420
    least = math.log10(min((dot.cost for dot in dots), default=1.0)) - 0.05
    most = math.log10(max((dot.cost for dot in dots), default=10.0)) + 0.15

    def across(cost: float) -> float:
        return left + (right - left) * (math.log10(cost) - least) / (most - least)

    def up(share: float) -> float:
        return bottom - (bottom - top) * share

    marks = [_text(10, 20, title, size=13), *_legend(sizes, left, 40)]
    for tenth in range(0, 11, 2):
        y = up(tenth / 10)
        marks.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        marks.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{10 * tenth} %</text>')
    for cost in _ticks(least, most):
        marks.append(f'<text x="{across(cost):.1f}" y="{bottom + 16}" text-anchor="middle">{cost:,g}</text>')
    marks.append(_text(left, bottom + 34, axis))
    for dot in dots:
        x, y, colour = across(dot.cost), up(dot.value), _colour(sizes, dot.size)
        marks.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{up(dot.low):.1f}" y2="{up(dot.high):.1f}" stroke="{colour}"/>'
        )
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
        marks.append(f'<text x="{x + 5:.1f}" y="{y - 4:.1f}" fill="{colour}">{html.escape(dot.way)}</text>')
    return _svg(760, bottom + 44, marks)


def _ticks(least: float, most: float) -> list[float]:
    """Round numbers between two powers of ten.

    >>> _ticks(0.9, 2.05)
    [10.0, 20.0, 50.0, 100.0]
    """
    numbers = [step * 10.0**power for power in range(math.floor(least), math.ceil(most) + 1) for step in (1, 2, 5)]
    return [number for number in numbers if 10**least <= number <= 10**most]


def _percent_grid(across: Callable[[float], float], top: float, bottom: float) -> list[str]:
    marks = []
    for tenth in range(0, 11, 2):
        x = across(tenth / 10)
        marks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="#ddd"/>')
        marks.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{10 * tenth} %</text>')
    return marks


def _legend(sizes: Sequence[str], x: float, y: float) -> list[str]:
    marks = []
    for index, size in enumerate(sizes):
        at = x + 130 * index
        marks.append(f'<circle cx="{at}" cy="{y - 4}" r="3.5" fill="{_colour(sizes, size)}"/>')
        marks.append(_text(at + 8, y, size))
    return marks


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _colour(sizes: Sequence[str], size: str) -> str:
    return COLOURS[sizes.index(size) % len(COLOURS)]


def _text(x: float, y: float, text: str, size: int = 11) -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}">{html.escape(text)}</text>'


def _svg(width: int, height: int, marks: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {_FONT}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *marks, "</svg>"]) + "\n"
