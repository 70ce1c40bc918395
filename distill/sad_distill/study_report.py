"""Tables, paired tests and plots of a study, from its run folders."""

from __future__ import annotations

import html
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from sad_distill.files import write_text
from sad_distill.study import StudyConfig

METRICS = {
    "success_rate": "success",
    "reasoning_per_step": "reasoning tokens a step",
    "cot_f1": "CoT match F1",
    "environment_steps": "steps",
}
"""Columns: what the harness calls a metric, and what the table does."""

# Student's t, 97.5 %, by degrees of freedom: seeds are few.
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}

Parse = Callable[[str], Any]


@dataclass(frozen=True)
class Cell:
    """A figure over seeds.

    Attributes:
        mean: over seeds.
        half: half the 95 % interval over seeds (Student's t); 0 with one seed.
        count: seeds.
    """

    mean: float
    half: float
    count: int

    def text(self, scale: float = 1.0) -> str:
        """The figure for a table."""
        spread = f" ± {scale * self.half:.1f}" if self.count > 1 else ""
        return f"{scale * self.mean:.1f}{spread}"


def cell(values: Sequence[float]) -> Cell | None:
    """Mean and interval; None where nothing was measured.

    >>> cell([1.0, 2.0, 3.0]).text()
    '2.0 ± 2.5'
    """
    if not values:
        return None
    if len(values) == 1:
        return Cell(values[0], 0.0, 1)
    t = _T.get(len(values) - 1, 1.96)
    return Cell(fmean(values), t * stdev(values) / len(values) ** 0.5, len(values))


def write_report(config: StudyConfig, parse: Parse) -> Path:
    """Write `report.md` and the plots; returns the report's path."""
    parts = [f"# Study {Path(config.out).name}\n", _setting(config)]
    for world in config.worlds:
        parts.append(_world(config, world, parse))
    path = Path(config.out) / "report.md"
    write_text(path, "\n".join(parts))
    return path


def _setting(config: StudyConfig) -> str:
    return (
        f"Teacher {config.teacher}; students {', '.join(config.students)}; {config.seeds} seeds;"
        f" {config.episodes} tasks an evaluation, greedy decoding. Every student begins from the same SFT start of its"
        " seed. Figures are means over seeds with 95 % intervals (Student's t over seeds); the paired tests below count"
        " tasks. All commands: `commands.sh`.\n"
    )


def _world(config: StudyConfig, world: str, parse: Parse) -> str:
    folder = Path(config.out) / world / "eval"
    lines = [
        f"## {world}\n",
        "| student | way | " + " | ".join(METRICS.values()) + " |",
        "|---" * (2 + len(METRICS)) + "|",
    ]
    lines.append(_line("teacher", "", [folder / "teacher"], parse))
    points: list[tuple[str, str, float]] = []
    for size in config.students:
        for arm in ("start", *config.arms):
            runs = [folder / f"{size}-{arm}-{seed}" for seed in range(config.seeds)]
            lines.append(_line(size, arm, runs, parse))
            success = cell(_values(runs, "success_rate", parse))
            if success:
                points.append((size, arm, success.mean))
    lines.append("")
    plot = Path(config.out) / f"{world}.svg"
    write_text(plot, svg(world, points))
    lines.append(f"![success]({plot.name})\n")
    lines.append(_tests(config, folder))
    return "\n".join(lines)


def _line(size: str, arm: str, runs: Sequence[Path], parse: Parse) -> str:
    cells = []
    for name in METRICS:
        found = cell(_values(runs, name, parse))
        cells.append("" if found is None else found.text(100 if name in ("success_rate", "cot_f1") else 1))
    return f"| {size} | {arm} | " + " | ".join(cells) + " |"


def _values(runs: Sequence[Path], name: str, parse: Parse) -> list[float]:
    values = []
    for run in runs:
        path = run / "results.json"
        if path.exists():
            metric = parse(path.read_text(encoding="utf-8"))["metrics"].get(name)
            if metric is not None and metric.get("value") is not None:
                values.append(float(metric["value"]))
    return values


def _tests(config: StudyConfig, folder: Path) -> str:
    """The harness's own comparison of SAD with every other way, seed 0 of the first size."""
    best = "sad-online" if "sad-online" in config.arms else config.arms[0]
    size = config.students[0]
    parts = []
    for arm in ("start", *(arm for arm in config.arms if arm != best)):
        runs = [folder / f"{size}-{name}-0" for name in (arm, best)]
        if not all((run / "results.json").exists() for run in runs):
            continue
        command = [sys.executable, "-m", "sad_eval", "compare", *map(str, runs), "--flips", "0"]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        parts.append(f"### {best} against {arm} ({size}, seed 0)\n\n```\n{outcome.stdout.strip()}\n```\n")
    return "\n".join(parts)


def svg(title: str, points: Sequence[tuple[str, str, float]], width: int = 640) -> str:
    """Success of each way and size as bars: size, way, share."""
    height = 40 + 18 * len(points)
    bars = []
    for index, (size, arm, value) in enumerate(points):
        y = 30 + 18 * index
        colour = "#c01515" if arm.startswith("sad") else "#1550c0"
        bars.append(
            f'<text x="200" y="{y + 11}" text-anchor="end">{html.escape(f"{size} {arm}")}</text>'
            f'<rect x="210" y="{y}" width="{max(0.5, 350 * value):.1f}" height="13" fill="{colour}"/>'
            f'<text x="{216 + 350 * value:.1f}" y="{y + 11}">{100 * value:.1f}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        f' font-size="11"><rect width="100%" height="100%" fill="#fff"/><text x="10" y="18" font-size="13">'
        f"{html.escape(title)}: success, %</text>{''.join(bars)}</svg>\n"
    )
