"""Tables of a study, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sad_distill.study.arms import ARMS
from sad_distill.study.plan import REFERENCES
from sad_distill.study.results import METRICS, Evaluation, WorldResults
from sad_distill.study.statistics import Interval, interval


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text[1] = "|" + "---|" * len(header)
    return "\n".join(text)


def main_table(world: WorldResults) -> str:
    """Every way and size with all metrics: the shape of the paper's Table 3."""
    sizes = world.settings["students"]
    rows = [_row(name, "", [world.evaluations.get(name)]) for name in (*REFERENCES, "teacher")]
    for size in sizes:
        rows.append(_row(size, "SFT start", world.runs(size, "start").values()))
        for arm in world.settings["arms"]:
            rows.append(_row(size, ARMS[arm].title, world.runs(size, arm).values()))
    return f"## {world.name}\n\n" + markdown(["student", "way", *(one.title for one in METRICS.values())], rows) + "\n"


def _row(name: str, way: str, evaluations: Iterable[Evaluation | None]) -> list[str]:
    found = [one for one in evaluations if one is not None]
    return [name, way, *(cell(found, metric) for metric in METRICS)]


def pooled(evaluations: Sequence[Evaluation], metric: str) -> Interval | None:
    """A metric over several evaluations on the same tasks; None where it applies to none."""
    if not evaluations:
        return None
    parts = np.stack([one.parts[metric] for one in evaluations])
    wholes = np.stack([one.wholes[metric] for one in evaluations])
    return interval(parts, wholes, share=metric == "success") if wholes.sum() else None


def cell(evaluations: Sequence[Evaluation], metric: str) -> str:
    """A figure with its interval, "—" where there is none."""
    found = pooled(evaluations, metric)
    if found is None:
        return "—"
    scale = METRICS[metric].scale
    return f"{scale * found.value:.1f} [{scale * found.low:.1f}, {scale * found.high:.1f}]"
