"""Figures as plain geometry in a fixed box; the template draws them, so that every label is escaped like all text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sad_env.charts import BOX, COLOURS, Plot, Series, Tick, nice_step
from sad_env.safe_text import one_line
from sad_eval.report.model import RunReport


def _height(share: float) -> float:
    return round(BOX.top + (1 - share) * (BOX.height - BOX.top - BOX.bottom), 2)


def _across(share: float) -> float:
    return round(BOX.left + share * (BOX.width - BOX.left - BOX.right), 2)


def _percent_ticks() -> tuple[Tick, ...]:
    return tuple(Tick(_height(quarter / 4), f"{25 * quarter} %") for quarter in range(5))


def steps_plot(runs: Sequence[RunReport]) -> Plot | None:
    """Share of episodes solved within so many steps, one staircase a run; None when no run has an episode."""
    longest = max((len(run.solved_within) - 1 for run in runs), default=0)
    if longest < 1:
        return None
    series = []
    for colour, run in enumerate(runs):
        if not run.solved_within:
            continue
        shares = [*run.solved_within, *[run.solved_within[-1]] * (longest + 1 - len(run.solved_within))]
        points = [f"M{_across(0)} {_height(shares[0])}"]
        points += [f"H{_across(step / longest)}V{_height(share)}" for step, share in enumerate(shares) if step]
        end = _height(shares[-1])
        series.append(Series(_label(run), colour % COLOURS, "".join(points), _across(1), end, end, end))
    step = nice_step(longest)
    ticks = tuple(Tick(_across(at / longest), str(at)) for at in range(0, longest + 1, step))
    return Plot("Solved within so many steps", "environment steps", ticks, _percent_ticks(), tuple(series))


def size_plot(runs: Sequence[RunReport]) -> Plot | None:
    """Success rate with its interval against the number of parameters; None unless two sizes are known."""
    known = [run for run in runs if run.parameters and "success_rate" in run.results.metrics]
    sizes = [math.log10(run.parameters or 1) for run in known]
    if len(set(sizes)) < 2:
        return None
    low, high = math.floor(min(sizes) - 0.05), math.ceil(max(sizes) + 0.05)
    series = []
    for run, size in zip(known, sizes, strict=True):
        rate = run.results.metrics["success_rate"]
        x = _across((size - low) / (high - low))
        colour = list(runs).index(run) % COLOURS
        series.append(Series(_label(run), colour, "", x, _height(rate.value), _height(rate.low), _height(rate.high)))
    ticks = tuple(Tick(_across((power - low) / (high - low)), _count(power)) for power in range(low, high + 1))
    return Plot("Success against size", "parameters", ticks, _percent_ticks(), tuple(series))


def _label(run: RunReport) -> str:
    return one_line(run.name if run.name == run.agent else f"{run.agent} · {run.name}", 60)


def _count(power: int) -> str:
    thousands, rest = divmod(power, 3)
    return f"{10**rest}{['', 'k', 'M', 'B', 'T', 'P'][min(max(thousands, 0), 5)]}"
