"""Tables of a study, in Markdown, in the shapes of the paper's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean

from sad_eval.metrics.statistics import holm
from sad_eval.records import Estimate
from sad_eval.study.claims import LEVEL, counterpart, figure, outcome
from sad_eval.study.comparisons import MethodComparison, compare_methods, stacked
from sad_eval.study.methods import METHODS, method_of
from sad_eval.study.plan import BEGIN, REFERENCES, TEACHER, run_name
from sad_eval.study.results import COLUMNS, Evaluation, WorldResults
from sad_eval.study.statistics import pooled_estimate

ABLATION_TABLES = {
    "What each part contributes (of the paper's Table 5)": (
        "sad-offline",
        "sad-no-reasoning",
        "sad-no-action",
        "sad-random-mask",
        "token-offline",
    ),
    "Weight of reasoning to weight of action (Tables 6 and 12 vary it, without 1 : 2)": (
        "sad-2-1",
        "sad-offline",
        "sad-1-2",
    ),
    "Curriculum (Tables 13 and 14)": ("sad-offline", "sad-curriculum"),
}
"""Methods that differ in one thing; flat token KL is SAD without segmentation. They have this study's settings; the
paper's are in `paper_tables`."""


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of the study's own texts, which need no escaping.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]])


def main_table(world: WorldResults) -> str:
    """Every method and size with all metrics: the shape of the paper's Table 3."""
    rows = [
        _row(name, "", [world.evaluations[name]]) if name in world.evaluations else _row(name, "", [])
        for name in (*REFERENCES, TEACHER)
    ]
    for size in world.settings["students"]:
        for method in (*starts_of(world), *world.settings["arms"]):
            rows.append(_row(size, title_of(method), list(world.runs(size, method).values())))
    text = markdown(["student", "method", *(column.title for column in COLUMNS.values())], rows)
    return f"### {world.name}\n\n{text}\n"


def summary(world: WorldResults) -> list[str]:
    """Success of each agent and method, a line each, for the terminal.

    Returns:
        E.g. "toy: nano-0.7m, SAD, offline: success 90.0 [84.0, 95.0] %, 3 seeds 87.0 to 93.0"; without those that
        have no evaluation.
    """
    lines = [(name, [world.evaluations[name]]) for name in (*REFERENCES, TEACHER) if name in world.evaluations]
    for size in world.settings["students"]:
        for method in (*starts_of(world), *_methods(world, size)):
            if runs := list(world.runs(size, method).values()):
                lines.append((f"{size}, {title_of(method)}", runs))
    return [f"{world.name}: {name}: success {cell(runs, 'success')} %{_range(runs)}" for name, runs in lines]


def _range(runs: Sequence[Evaluation]) -> str:
    values = [100 * value for run in runs if (value := run.value("success")) is not None]
    return f", {len(values)} seeds {min(values):.1f} to {max(values):.1f}" if len(values) > 1 else ""


ABLATION_COLUMNS = ("success", "cot_recall", "latency")
"""What the paper's ablation tables print: success, CoT match, latency."""


def ablation_tables(worlds: Sequence[WorldResults]) -> str:
    """The paper's ablations: success, CoT match and latency by world, on the sizes that they were run on."""
    parts = []
    asked = {name for world in worlds for name in (*world.settings["arms"], *world.settings["ablations"])}
    for title, methods in ABLATION_TABLES.items():
        if not asked & set(methods):
            continue
        rows = []
        for method in methods:
            cells = []
            for world in worlds:
                runs = _runs(world, world.settings["ablation_students"], method)
                cells += [cell(runs, column) for column in ABLATION_COLUMNS]
            rows.append([METHODS[method].title, *cells])
        titles = [COLUMNS[column].title for column in ABLATION_COLUMNS]
        header = ["method", *(f"{world.name}: {name}" for world in worlds for name in titles)]
        parts.append(f"### {title}\n\n{markdown(header, rows)}\n")
    return "\n".join(parts)


def cost_table(world: WorldResults) -> str:
    """The cost of training a student by each method: the mean over seeds."""
    rows = []
    for size in world.settings["students"]:
        for method in (*starts_of(world), *_methods(world, size)):
            runs = (run_name(size, method, seed) for seed in range(int(world.settings["seeds"])))
            costs = [world.costs[run] for run in runs if run in world.costs]
            if costs:
                columns = zip(
                    *((cost.cpu_seconds, cost.updates, cost.tokens, cost.sampled) for cost in costs), strict=True
                )
                rows.append([size, title_of(method), *(f"{fmean(column):,.0f}" for column in columns)])
    header = ["student", "method", "processor seconds", "updates", "supervised tokens", "sampled tokens"]
    return f"### {world.name}\n\n{markdown(header, rows)}\n"


def tests_table(worlds: Sequence[WorldResults]) -> str:
    """SAD against each other method, success: over all students, and student by student."""
    compared = [compare_methods(worlds, *names, "success") for names in contests(worlds)]
    effects = [(comparison, comparison.overall) for comparison in compared if comparison.overall is not None]
    corrected = holm([overall.p for _, overall in effects])
    rows = []
    for (comparison, overall), p in zip(effects, corrected, strict=True):
        names = [title_of(comparison.first), title_of(comparison.second)]
        students = "<br>".join(_students(comparison))
        rows.append([*names, figure(overall, 100), f"{overall.p:.4f}", f"{p:.4f}", students])
    header = ["first", "second", "difference, points", "p", "p (Holm)", "student by student: won by one only (McNemar)"]
    return markdown(header, rows) + "\n"


def teacher_table(worlds: Sequence[WorldResults]) -> str:
    """Students against their teacher, success, by world, size and method; "" where none was measured."""
    compared = []
    for world in worlds:
        for size in world.settings["students"]:
            sized = replace(world, settings={**world.settings, "students": [size]})
            for method in _methods(world, size):
                comparison = compare_methods([sized], method, TEACHER, "success")
                compared += [([world.name, size], comparison, effect) for effect in comparison.worlds.values()]
    if not compared:
        return ""
    corrected = holm([effect.p for _, _, effect in compared])
    rows = []
    for (names, comparison, effect), p in zip(compared, corrected, strict=True):
        numbers = [figure(effect, 100), f"{effect.p:.4f}", f"{p:.4f}", outcome(effect, p)]
        rows.append([*names, title_of(comparison.first), *numbers, "<br>".join(_students(comparison))])
    students = "student by student: won by one only (McNemar)"
    header = ["world", "student", "method", "student less teacher, points", "p", "p (Holm)", f"at {LEVEL:g}", students]
    return (
        "## Students against their teacher, success\n\n"
        f"All seeds of a row together; p values are corrected over these {len(rows)} tests (Holm).\n\n"
        f"{markdown(header, rows)}\n"
    )


def _students(comparison: MethodComparison) -> list[str]:
    found = []
    for world, pairs in comparison.pairs.items():
        for pair in pairs:
            wins, losses = pair.flips()
            found.append(f"{world} {pair.size} {pair.seed}: {wins}/{losses} (p {pair.p:.2f})")
    return found


def contests(worlds: Sequence[WorldResults]) -> list[tuple[str, str]]:
    """Pairs of methods that are tested: each SAD method with its start and with every main method that is not SAD."""
    methods = list(dict.fromkeys(method for world in worlds for method in world.settings["arms"]))
    sad = [method for method in ("sad-offline", "sad-online") if method in methods]
    others = ["start", *(method for method in methods if not method.startswith("sad"))]
    found = [(first, second) for first in sad for second in others]
    # Pairs that differ in the loss alone come first.
    found.sort(key=lambda names: names[1] != "start" and counterpart(names[1]) != names[0])
    return [*found, ("sad-online", "sad-offline")] if len(sad) == 2 else found


def title_of(method: str) -> str:
    """What tables call a method."""
    starts = {"start": "SFT start", BEGIN: "start of all methods"}
    return starts[method] if method in starts else method_of(method).title


def starts_of(world: WorldResults) -> tuple[str, ...]:
    """What students are before the methods that are compared."""
    return ("start", BEGIN) if world.settings.get("begin_method") else ("start",)


def _methods(world: WorldResults, size: str) -> tuple[str, ...]:
    more = world.settings["ablations"] if size in world.settings["ablation_students"] else ()
    return (*world.settings["arms"], *more)


def _runs(world: WorldResults, sizes: Iterable[str], method: str) -> list[Evaluation]:
    return [evaluation for size in sizes for evaluation in world.runs(size, method).values()]


def _row(name: str, method: str, evaluations: Sequence[Evaluation]) -> list[str]:
    return [name, method, *(cell(evaluations, column) for column in COLUMNS)]


def pooled(evaluations: Sequence[Evaluation], column: str) -> Estimate | None:
    """A metric over several evaluations on the same tasks; None where it applies to none."""
    if not evaluations:
        return None
    parts, wholes = stacked(evaluations, column)
    return pooled_estimate(parts, wholes, share=column == "success") if wholes.sum() else None


def cell(evaluations: Sequence[Evaluation], column: str) -> str:
    """A figure with its interval, "—" where there is none."""
    found = pooled(evaluations, column)
    if found is None:
        return "—"
    scale = COLUMNS[column].scale
    return f"{scale * found.value:.1f} [{scale * found.low:.1f}, {scale * found.high:.1f}]"
