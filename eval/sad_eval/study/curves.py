"""Success against processor seconds in a study with a budget: curves, and tests of each method against others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from sad_env.files import atomic_bytes
from sad_eval.metrics.statistics import holm
from sad_eval.records import Estimate
from sad_eval.study.claims import LEVEL, figure, outcome
from sad_eval.study.comparisons import MethodComparison, compare_methods, with_seeds_drawn
from sad_eval.study.figures import COLOURS, METADATA, STYLE, short_name
from sad_eval.study.methods import FIELD_CLAIMS, REFERENCES
from sad_eval.study.plan import run_name
from sad_eval.study.results import WorldResults
from sad_eval.study.statistics import Effect
from sad_eval.study.tables import cell, markdown, pooled, starts_of, title_of

NAME = "curves"
"""End of the names of the figures' files."""

_HOW = (
    "Each method has {seconds:g} processor seconds for acting, scoring and updating, from the same start. The learning"
    " rate of a student that was kept on the way was still to fall: with so small a budget a run would have ended"
    " elsewhere."
)


class CostComparison(NamedTuple):
    """A method against one of `REFERENCES`, success at the whole budget.

    Attributes:
        comparison: first the method.
        overall: its mean over worlds.
        p: of that, corrected over all tests against that reference (Holm).
    """

    comparison: MethodComparison
    overall: Effect
    p: float


def curves_section(out: Path, worlds: Sequence[WorldResults]) -> str:
    """The section of a study whose methods have a budget; empty for others."""
    budgeted = [world for world in worlds if world.settings.get("processor_seconds")]
    if not budgeted:
        return ""
    parts = ["## Success against processor seconds\n"]
    for world in budgeted:
        parts += [f"### {world.name}: curves\n", _HOW.format(seconds=world.settings["processor_seconds"]), ""]
        parts += [_table(world, size) for size in world.settings["students"]]
        if _figure(out, world):
            parts.append(f"![{world.name}: {NAME}]({world.name}-{NAME}.svg)\n")
    return "\n".join([*parts, _tests(budgeted), _claims(budgeted)])


def _table(world: WorldResults, size: str) -> str:
    shares = [*world.settings["keep_at"], 1.0]
    start = cell(list(world.runs(size, starts_of(world)[-1]).values()), "success")
    rows = []
    for method in world.settings["arms"]:
        cells = [cell(list(world.runs(size, method, share).values()), "success") for share in shares]
        rows.append([title_of(method), start, *cells, _used(world, size, method)])
    header = ["method", "start", *(f"{100 * share:g} %" for share in shares), "seconds used"]
    return f"{size}, success in per cent after shares of the budget:\n\n{markdown(header, rows)}\n"


def _used(world: WorldResults, size: str, method: str) -> str:
    runs = (run_name(size, method, seed) for seed in range(int(world.settings["seeds"])))
    used = [world.costs[run].used for run in runs if run in world.costs]
    return f"{fmean(used):,.0f}" if used else "—"


def compared_at_cost(worlds: Sequence[WorldResults]) -> dict[str, list[CostComparison]]:
    """Every method against each of `REFERENCES`, by reference, where both were measured; no pair is tested twice."""
    arms = list(dict.fromkeys(method for world in worlds for method in world.settings["arms"]))
    found = {}
    for number, other in enumerate(REFERENCES, 1):
        tried = [compare_methods(worlds, arm, other, "success") for arm in arms if arm not in REFERENCES[:number]]
        measured = [(comparison, comparison.overall) for comparison in tried if comparison.overall is not None]
        corrected = holm([overall.p for _, overall in measured])
        compared = [CostComparison(*pair, p) for pair, p in zip(measured, corrected, strict=True)]
        if compared:
            found[other] = compared
    return found


def _tests(worlds: Sequence[WorldResults]) -> str:
    planned = sum(len(world.settings["students"]) * int(world.settings["seeds"]) for world in worlds)
    parts = []
    for other, compared in compared_at_cost(worlds).items():
        rows, worldly = [], list[tuple[str, str, str, Effect, Effect | None]]()
        for comparison, overall, p in compared:
            seeded, seeded_worlds = with_seeds_drawn(comparison)
            title, count = title_of(comparison.first), sum(map(len, comparison.pairs.values()))
            numbers = [figure(overall, 100), f"{overall.p:.4f}", f"{p:.4f}", outcome(overall, p), *_seeded(seeded)]
            rows.append([title, f"{count} of {planned}" if count < planned else str(count), *numbers])
            for name, effect in comparison.worlds.items():
                worldly.append((title, name, str(len(comparison.pairs[name])), effect, seeded_worlds.get(name)))
        corrected = holm([effect.p for *_, effect, _ in worldly])
        each = [
            [*names, figure(effect, 100), f"{effect.p:.4f}", f"{p:.4f}", outcome(effect, p), *_seeded(seeded)]
            for (*names, effect, seeded), p in zip(worldly, corrected, strict=True)
        ]
        columns = ["pairs", "points", "p", "p (Holm)", f"at {LEVEL:g}", "with seeds drawn", "p of that"]
        parts.append(
            f"### Each method against {title_of(other)}, at the whole budget\n\n"
            f"Differences of success, method minus {title_of(other)}, mean over worlds, with 95 % intervals; p values"
            f" are corrected over this table's {len(compared)} tests (Holm). A pair is two students of one size and"
            " seed. The last two columns draw seeds in addition to tasks; their p is not corrected, two or three seeds"
            " tell little of how far others would scatter, and of a start that all seeds share they tell nothing.\n\n"
            f"{markdown(['method', *columns], rows)}\n\n"
            f"World by world, corrected over these {len(each)} tests:\n\n"
            f"{markdown(['method', 'world', *columns], each)}\n"
        )
    return "\n".join(parts)


def _claims(worlds: Sequence[WorldResults]) -> str:
    """What the methods' own papers say, tested at this cost; "" where no pair was measured."""
    tried = [(compare_methods(worlds, *names, "success"), source) for names, source in FIELD_CLAIMS.items()]
    measured = [(comparison, comparison.overall, source) for comparison, source in tried if comparison.overall]
    if not measured:
        return ""
    verdicts = {"ahead": "held", "behind": "the opposite held", "undecided": "undecided"}
    rows = []
    for (comparison, overall, source), p in zip(measured, holm([one.p for _, one, _ in measured]), strict=True):
        names = [title_of(comparison.first), title_of(comparison.second)]
        rows.append(
            [*names, source, figure(overall, 100), f"{overall.p:.4f}", f"{p:.4f}", verdicts[outcome(overall, p)]]
        )
    header = ["method", "is ahead of", "says", "points", "p", "p (Holm)", "here"]
    return (
        "### What the methods' papers say, at the whole budget\n\n"
        "Success, first minus second, mean over worlds; their students are of 0.6 B parameters and more and learn for"
        f" far longer. p values are corrected over these {len(rows)} tests (Holm).\n\n{markdown(header, rows)}\n"
    )


def _seeded(effect: Effect | None) -> tuple[str, str]:
    """A difference where seeds are drawn, too, and its p; one seed says nothing of others."""
    return ("—", "—") if effect is None else (figure(effect, 100), f"{effect.p:.4f}")


def _figure(out: Path, world: WorldResults) -> bool:
    """Draw the curves; False without matplotlib or without anything measured."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        return False
    sizes = world.settings["students"]
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(7.2 * len(sizes), 4.6), layout="constrained")
        panels = drawn.subplots(1, len(sizes), squeeze=False)[0]
        for axes, size in zip(panels, sizes, strict=True):
            for number, method in enumerate(world.settings["arms"]):
                if points := _curve(world, size, method):
                    style = ("-", "--", ":")[number // len(COLOURS) % 3]
                    xs, ys = [share for share, _ in points], [100 * one.value for _, one in points]
                    colour = COLOURS[number % len(COLOURS)]
                    axes.plot(xs, ys, style, marker="o", color=colour, label=title_of(method))
            axes.set_title(f"{world.name}, {short_name(size)}: success against processor seconds")
            axes.set_xlabel("processor seconds of acting, scoring and updating")
            axes.set_ylabel("success, %")
            axes.grid(axis="y")
        if not panels[0].lines:
            return False
        drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")
        for ending, metadata in METADATA.items():
            with atomic_bytes(out / f"{world.name}-{NAME}.{ending}") as file:
                drawn.savefig(file, format=ending, metadata=metadata, dpi=160)
    return True


def _curve(world: WorldResults, size: str, method: str) -> list[tuple[float, Estimate]]:
    """Success after seconds of training, from the start of all methods on."""
    found = []
    for share in (0.0, *world.settings["keep_at"], 1.0):
        runs = world.runs(size, method, share) if share else world.runs(size, starts_of(world)[-1])
        if (success := pooled(list(runs.values()), "success")) is not None:
            found.append((share * float(world.settings["processor_seconds"]), success))
    return found if found and len(found) > 1 else []
