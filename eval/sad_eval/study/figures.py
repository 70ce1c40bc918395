"""Figures of a study: success by method and size, and success against what training cost. Needs the extra `plots`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sad_env.files import atomic_bytes
from sad_env.safe_text import one_line
from sad_eval.records import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METADATA: dict[str, dict[str, str | None]] = {
    "svg": {"Date": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
}
"""By format; nothing that changes from run to run, so that equal figures are equal files."""
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "sad-study",
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "grid.color": "0.9",
    "legend.frameon": False,
    "lines.markersize": 5,
    "errorbar.elinewidth": 1,
    "text.parse_math": False,
}
COSTS = {"seconds": "processor seconds of training", "tokens": "supervised tokens"}
"""What success is drawn against, by the end of the file's name; a figure without any known cost is left out."""
MARKERS = "osD^vP"
COLOURS = ("#777777", "#332288", "#88CCEE", "#44AA99", "#117733", "#DDCC77", "#CC6677", "#882255", "#AA4499")
"""Paul Tol's muted scheme, which colour-blind readers can tell apart; grey, the first, is for the SFT start."""
_SIZE_COLOURS = ("#332288", "#CC6677", "#117733", "#DDCC77", "#88CCEE")
_DASHES = ((0, (6, 2)), (0, (3, 2)), (0, (1, 2)))
_SIDE_BY_SIDE = 7.0
"""Points of the page between marks of almost the same cost."""


class Point(NamedTuple):
    """Students of one method and size.

    Attributes:
        method: title of the method.
        size: of the students.
        success: a share and its interval.
        costs: mean cost of training by its unit; without those that are not known.
    """

    method: str
    size: str
    success: Estimate
    costs: dict[str, float]


References = Sequence[tuple[str, float]]
"""Agents that are drawn as lines, with their success."""


def write_figures(out: Path, world: str, points: Sequence[Point], references: References) -> list[str] | None:
    """Write the figures of a world as SVG, PNG and PDF.

    Returns:
        Names of the figures' files without their endings; None where matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        return None
    with matplotlib.rc_context(STYLE):
        figures = {f"{world}-success": success_figure(world, points, references)}
        for name, unit in COSTS.items():
            if any(point.costs.get(unit, 0) > 0 for point in points):
                figures[f"{world}-{name}"] = cost_figure(world, unit, points, references)
        for name, figure in figures.items():
            for ending, metadata in METADATA.items():
                with atomic_bytes(out / f"{name}.{ending}") as file:
                    figure.savefig(file, format=ending, metadata=metadata, dpi=160)
    return list(figures)


def short_name(size: str) -> str:
    """The last part of a hub id or folder, at most 16 characters: whole paths would leave a figure no room."""
    return one_line(size.rstrip("/").rpartition("/")[2], 16)


def success_figure(world: str, points: Sequence[Point], references: References) -> Figure:
    """Success of each method, a row a method, a mark a size, with 95 % intervals."""
    methods, sizes = _distinct(point.method for point in points), _distinct(point.size for point in points)
    figure, axes = _empty(1.6 + 0.32 * len(methods), f"{world}: success by method and size")
    for number, size in enumerate(sizes):
        drawn = [point for point in points if point.size == size]
        axes.errorbar(
            [100 * point.success.value for point in drawn],
            [methods.index(point.method) + 0.2 * (number - (len(sizes) - 1) / 2) for point in drawn],
            xerr=_errors(drawn),
            fmt=MARKERS[number % len(MARKERS)],
            color=_SIZE_COLOURS[number % len(_SIZE_COLOURS)],
            label=short_name(size),
        )
    _reference_lines(axes.axvline, references)
    axes.set_yticks(range(len(methods)), methods)
    axes.set_ylim(max(1, len(methods)) - 0.5, -0.5)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("success, % (95 % interval over tasks)")
    axes.grid(axis="x")
    _legend(figure, axes)
    return figure


def cost_figure(world: str, unit: str, points: Sequence[Point], references: References) -> Figure:
    """Success against the cost of training on a logarithmic scale; marks of almost equal cost are set side by side."""
    from matplotlib.ticker import LogLocator, NullFormatter
    from matplotlib.transforms import ScaledTranslation

    methods, sizes = _distinct(point.method for point in points), _distinct(point.size for point in points)
    drawn = sorted((point for point in points if point.costs.get(unit, 0) > 0), key=lambda point: point.costs[unit])
    figure, axes = _empty(4.2, f"{world}: success against cost")
    for point, shift in zip(drawn, _shifts([point.costs[unit] for point in drawn]), strict=True):
        mark = axes.errorbar(
            [point.costs[unit]],
            [100 * point.success.value],
            yerr=_errors([point]),
            fmt=MARKERS[sizes.index(point.size) % len(MARKERS)],
            color=COLOURS[methods.index(point.method) % len(COLOURS)],
        )
        for artist in mark.get_children():
            artist.set_transform(artist.get_transform() + ScaledTranslation(shift / 72, 0, figure.dpi_scale_trans))
    _reference_lines(axes.axhline, references)
    for number, method in enumerate(methods):
        axes.fill_between([], [], color=COLOURS[number % len(COLOURS)], label=method)
    for number, size in enumerate(sizes if len(sizes) > 1 else ()):
        axes.plot([], [], marker=MARKERS[number % len(MARKERS)], linestyle="", color="0.3", label=short_name(size))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda cost, _: _short(cost))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.12)
    axes.set_ylim(-2, 102)
    axes.set_xlabel(f"{unit} (mean over seeds)")
    axes.set_ylabel("success, %")
    axes.grid(axis="y")
    _legend(figure, axes)
    return figure


def _legend(figure: Figure, axes: Axes) -> None:
    """A legend beside the axes, where anything has a label: in a study whose training failed nothing is drawn."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside right upper")


def _empty(height: float, title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def _shifts(costs: Sequence[float]) -> list[float]:
    """How far each of the ascending costs is moved, so that marks within 5 % of their neighbour do not overlap.

    >>> _shifts([1.0, 1.01, 1.02, 5.0])
    [-7.0, 0.0, 7.0, 0.0]
    """
    groups: list[list[float]] = []
    for cost in costs:
        if groups and cost <= 1.05 * groups[-1][-1]:
            groups[-1].append(cost)
        else:
            groups.append([cost])
    return [_SIDE_BY_SIDE * (place - (len(group) - 1) / 2) for group in groups for place in range(len(group))]


def _short(cost: float) -> str:
    """A cost for an axis.

    >>> _short(0.5), _short(20000), _short(3e6)
    ('0.5', '20 k', '3 M')
    """
    for scale, sign in ((1e6, " M"), (1e3, " k")):
        if cost >= scale:
            return f"{cost / scale:g}{sign}"
    return f"{cost:g}"


def _errors(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Lengths of the intervals' arms, in per cent; a mean of draws may round past the value that it surrounds."""
    low = [100 * max(0.0, point.success.value - point.success.low) for point in points]
    return low, [100 * max(0.0, point.success.high - point.success.value) for point in points]


def _reference_lines(draw: Callable[..., object], references: References) -> None:
    for number, (name, share) in enumerate(references):
        style = {"linestyle": _DASHES[number % len(_DASHES)], "color": "0.35", "linewidth": 1, "zorder": 1}
        draw(100 * share, label=f"{name}, {100 * share:.0f} %", **style)


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
