"""The four panels of scaling: success, reasoning length, CoT match, latency by size (the paper's Figures 3 and 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sad_env.files import atomic_bytes
from sad_eval.records import Estimate
from sad_eval.study.figures import COLOURS, MARKERS, METADATA, STYLE, short_name
from sad_eval.study.plan import TEACHER
from sad_eval.study.results import COLUMNS, WorldResults
from sad_eval.study.tables import pooled, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = ("success", "arl", "cot_recall", "latency")
"""Columns of a study, in the order of the paper's panels: success rate, reasoning length, CoT match, latency."""


class ScalingLine(NamedTuple):
    """A method over the sizes of students.

    Attributes:
        title: of the method.
        values: by column and size; without those that have no figure.
    """

    title: str
    values: Mapping[str, Mapping[str, Estimate]]


def scaling_lines(world: WorldResults) -> list[ScalingLine]:
    """Every main method that has figures; seeds are pooled."""
    found = []
    for method in ("start", *world.settings["arms"]):
        values: dict[str, dict[str, Estimate]] = {column: {} for column in PANELS}
        for size in world.settings["students"]:
            runs = list(world.runs(size, method).values())
            for column in PANELS:
                if (estimate := pooled(runs, column)) is not None:
                    values[column][size] = estimate
        if values["success"]:
            found.append(ScalingLine(title_of(method), values))
    return found


def write_scaling(out: Path, world: WorldResults) -> list[str]:
    """Write the figure of a world as SVG, PNG and PDF; matplotlib has to be there.

    Returns:
        The name of its files without their endings; nothing where there are not two sizes to compare.
    """
    import matplotlib

    sizes = tuple(reversed(world.settings["students"]))
    lines = scaling_lines(world)
    if len({size for line in lines for size in line.values["success"]}) < 2:
        return []
    teacher = world.evaluations.get(TEACHER)
    levels = {} if teacher is None else {column: teacher.value(column) for column in PANELS}
    name = f"{world.name}-scaling"
    with matplotlib.rc_context(STYLE):
        figure = scaling_figure(world.name, sizes, lines, levels)
        for ending, metadata in METADATA.items():
            with atomic_bytes(out / f"{name}.{ending}") as file:
                figure.savefig(file, format=ending, metadata=metadata, dpi=160)
    return [name]


def scaling_figure(
    world: str, sizes: Sequence[str], lines: Sequence[ScalingLine], teacher: Mapping[str, float | None]
) -> Figure:
    """Four panels with a line a method over the sizes, smallest first, and the teacher as a dashed line.

    Args:
        world: for the title.
        sizes: of students.
        lines: with 95 % intervals.
        teacher: by column.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 5.6), layout="constrained")
    figure.suptitle(f"{world}: students by size", fontsize=10)
    for axes, column in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        _panel(axes, column, sizes, lines, teacher.get(column))
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _panel(axes: Axes, column: str, sizes: Sequence[str], lines: Sequence[ScalingLine], teacher: float | None) -> None:
    scale = COLUMNS[column].scale
    for number, line in enumerate(lines):
        there = [size for size in sizes if size in line.values[column]]
        found = [line.values[column][size] for size in there]
        shift = 0.03 * (number - (len(lines) - 1) / 2)
        axes.errorbar(
            [sizes.index(size) + shift for size in there],
            [scale * one.value for one in found],
            yerr=(
                [scale * max(0.0, one.value - one.low) for one in found],
                [scale * max(0.0, one.high - one.value) for one in found],
            ),
            marker=MARKERS[number % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            linewidth=1,
            label=line.title,
        )
    if teacher is not None and lines:
        axes.axhline(scale * teacher, linestyle="--", color="0.35", linewidth=1, label="teacher")
    axes.set_xticks(range(len(sizes)), [short_name(size) for size in sizes])
    axes.set_xlim(-0.4, len(sizes) - 0.6)
    axes.set_title(COLUMNS[column].title)
    axes.grid(axis="y")
