"""Tables of a study, in Markdown, in the shapes of the paper's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

import numpy as np

from sad_eval.study.arms import ARMS
from sad_eval.study.claims import counterpart, figure
from sad_eval.study.comparisons import compare
from sad_eval.study.plan import REFERENCES, run_name
from sad_eval.study.results import METRICS, Evaluation, WorldResults
from sad_eval.study.statistics import Interval, holm, interval

ABLATIONS = {
    "What each part contributes (the paper's Tables 5 and 6)": (
        "sad-offline",
        "sad-no-reasoning",
        "sad-no-action",
        "sad-random-mask",
        "token-offline",
    ),
    "Weight of reasoning to weight of action (Table 13)": ("sad-2-1", "sad-offline", "sad-1-2"),
    "Curriculum (Table 15)": ("sad-offline", "sad-curriculum"),
}
"""Tables of ways that differ in one thing; flat token KL is SAD without segmentation."""


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    return "\n".join(["| " + " | ".join(header) + " |", "|---" * len(header) + "|", *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main_table(world: WorldResults) -> str:
    """Every way and size with all metrics: the shape of the paper's Table 3."""
    rows = [_row(name, "", [world.evaluations.get(name)]) for name in (*REFERENCES, "teacher")]
    for size in world.settings["students"]:
        rows.append(_row(size, "SFT start", world.runs(size, "start").values()))
        rows += [_row(size, ARMS[arm].title, world.runs(size, arm).values()) for arm in world.settings["arms"]]
    text = markdown(["student", "way", *(one.title for one in METRICS.values())], rows)
    return f"### {world.name}\n\n{text}\n"


def summary(world: WorldResults) -> list[str]:
    """Success of everybody, a line each, for the terminal.

    Returns:
        E.g. "toy: nano-0.7m, SAD, offline: success 90.0 [84.0, 95.0] %"; ways that have no evaluation are left out.
    """
    lines = []
    for name in (*REFERENCES, "teacher"):
        if name in world.evaluations:
            lines.append((name, [world.evaluations[name]]))
    for size in world.settings["students"]:
        for way in ("start", *_arms(world, size)):
            if runs := list(world.runs(size, way).values()):
                lines.append((f"{size}, {title_of(way)}", runs))
    return [f"{world.name}: {name}: success {cell(runs, 'success')} %" for name, runs in lines]


def ablation_tables(worlds: Sequence[WorldResults]) -> str:
    """The paper's ablations, success by world, on the sizes that they were run on."""
    parts = []
    for title, arms in ABLATIONS.items():
        rows = []
        for arm in arms:
            cells = [cell(_runs(world, world.settings["ablation_students"], arm), "success") for world in worlds]
            rows.append([ARMS[arm].title, *cells])
        header = ["way", *(f"{world.name}: success, %" for world in worlds)]
        parts.append(f"### {title}\n\n{markdown(header, rows)}\n")
    return "\n".join(parts)


def cost_table(world: WorldResults) -> str:
    """What a student of each way took: the mean over seeds."""
    rows = []
    for size in world.settings["students"]:
        for arm in ("start", *_arms(world, size)):
            runs = (run_name(size, arm, seed) for seed in range(int(world.settings["seeds"])))
            costs = [world.costs[run] for run in runs if run in world.costs]
            if costs:
                numbers = map(
                    fmean, zip(*((one.cpu_seconds, one.updates, one.tokens, one.sampled) for one in costs), strict=True)
                )
                rows.append([size, title_of(arm), *(f"{number:,.0f}" for number in numbers)])
    header = ["student", "way", "processor seconds", "updates", "supervised tokens", "sampled tokens"]
    return f"### {world.name}\n\n{markdown(header, rows)}\n"


def tests_table(worlds: Sequence[WorldResults]) -> str:
    """SAD against each other way, success: over all students, and student by student."""
    compared = [compare(worlds, *names, "success") for names in contests(worlds)]
    compared = [one for one in compared if one.overall is not None]
    corrected = holm([one.overall.p for one in compared if one.overall is not None])
    rows = []
    for one, p in zip(compared, corrected, strict=True):
        assert one.overall is not None
        students = [
            f"{name} {pair.size} {pair.seed}: {wins}/{losses} (p {pair.p:.2f})"
            for name, pairs in one.pairs.items()
            for pair in pairs
            for wins, losses in [pair.flips()]
        ]
        names = [title_of(one.first), title_of(one.second)]
        rows.append([*names, figure(one.overall, 100), f"{one.overall.p:.4f}", f"{p:.4f}", "<br>".join(students)])
    header = ["first", "second", "difference, points", "p", "p (Holm)", "student by student: won by one only (McNemar)"]
    return markdown(header, rows) + "\n"


def contests(worlds: Sequence[WorldResults]) -> list[tuple[str, str]]:
    """Pairs of ways that are tested: each SAD arm with its start and with every main arm that is not itself."""
    arms = list(dict.fromkeys(arm for world in worlds for arm in world.settings["arms"]))
    sad = [arm for arm in ("sad-offline", "sad-online") if arm in arms]
    others = ["start", *(arm for arm in arms if not arm.startswith("sad"))]
    found = [(one, other) for one in sad for other in others]
    # What differs in the loss alone comes first.
    found.sort(key=lambda names: names[1] != "start" and counterpart(names[1]) != names[0])
    return [*found, ("sad-online", "sad-offline")] if len(sad) == 2 else found


def title_of(way: str) -> str:
    """What tables call a way."""
    return ARMS[way].title if way in ARMS else "SFT start"


def _arms(world: WorldResults, size: str) -> tuple[str, ...]:
    more = world.settings["ablations"] if size in world.settings["ablation_students"] else ()
    return (*world.settings["arms"], *more)


def _runs(world: WorldResults, sizes: Iterable[str], arm: str) -> list[Evaluation]:
    return [one for size in sizes for one in world.runs(size, arm).values()]


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
