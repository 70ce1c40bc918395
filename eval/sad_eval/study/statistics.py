"""Estimates over the students of a study: all of them that played a task are resampled together with that task.

The draws differ from those of a single run's intervals in number, and in that every world has draws of its own, so that
the resamples of several worlds can be averaged.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from sad_eval.metrics.statistics import Floats, percentile_ends, resampled_ratios, wilson
from sad_eval.records import Estimate

RESAMPLES = 10_000
_SEED = 20250519
"""Any number; fixed, so that a report can be made again."""


class Effect(NamedTuple):
    """A paired difference between two methods, first minus second.

    Attributes:
        value: the difference.
        low: lower end of its 95 % interval.
        high: upper end.
        p: two-sided, of the same bootstrap.
        error: its standard error.
    """

    value: float
    low: float
    high: float
    p: float
    error: float

    @property
    def resolution(self) -> float:
        """The difference that a test at 5 % would find four times in five."""
        return 2.8 * self.error


@functools.lru_cache(maxsize=16)
def task_draws(tasks: int, world: str = "", resamples: int = RESAMPLES) -> Floats:
    """How often each task is in each resample, [resamples, tasks]; the draws of two worlds are independent."""
    generator = np.random.default_rng([_SEED, *world.encode()])
    draws = generator.multinomial(tasks, np.full(tasks, 1 / tasks), size=resamples).astype(np.float64)
    draws.flags.writeable = False
    return draws


@functools.lru_cache(maxsize=16)
def seed_draws(seeds: int, world: str = "", resamples: int = RESAMPLES) -> Floats:
    """How often each training seed is in each resample, [resamples, seeds]; those of two worlds are independent.

    A resample holds one seed fewer than there are, so that the variance of a mean over few seeds comes out unbiased
    (Rao and Wu 1988).
    """
    generator = np.random.default_rng([_SEED, 1, *world.encode()])
    draws = generator.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=resamples).astype(np.float64)
    draws.flags.writeable = False
    return draws


def pooled_ratio(parts: Floats, wholes: Floats, draws: Floats) -> tuple[float, Floats]:
    """Sum of parts over sum of wholes, of the sample and of each resample.

    Args:
        parts: [runs, tasks].
        wholes: [runs, tasks].
        draws: see `task_draws`.
    """
    part, whole = parts.sum(0), wholes.sum(0)
    return float(part.sum() / whole.sum()), resampled_ratios(part, whole, draws)


def pooled_estimate(parts: Floats, wholes: Floats, *, share: bool = False) -> Estimate:
    """A metric over several students' evaluations on the same tasks.

    Args:
        parts: [runs, tasks].
        wholes: [runs, tasks].
        share: every part is 0 or 1 and every whole 1. Where all are equal, resampling sees no spread, and Wilson's
            interval for as many tasks is given.
    """
    tasks = parts.shape[1]
    value, resampled = pooled_ratio(parts, wholes, task_draws(tasks))
    if share and value in (0.0, 1.0):
        low, high = wilson(round(value * tasks), tasks)
    else:
        low, high = map(float, percentile_ends(resampled))
    return Estimate(value=value, low=low, high=high, n=tasks)


def paired_effect(first: tuple[Floats, Floats], second: tuple[Floats, Floats], draws: Floats) -> tuple[Effect, Floats]:
    """A paired comparison: both sides of a resample hold the same tasks.

    Args:
        first: parts and wholes, [runs, tasks] each.
        second: the same of the other side: equal tasks in equal order, and the same seeds and sizes.
        draws: see `task_draws`.

    Returns:
        The difference, and its resamples, which may be averaged with those of other worlds.
    """
    value, resampled = pooled_ratio(*first, draws)
    other, other_resampled = pooled_ratio(*second, draws)
    change = resampled - other_resampled
    return effect_of(value - other, change), change


def seeds_and_tasks_drawn(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats], runs: Floats, tasks: Floats
) -> Floats:
    """Resamples of a paired comparison in which seeds are drawn, too: what other trainings would bring is in it.

    Args:
        first: parts and wholes, [runs, tasks] each.
        second: the same of the other side: equal tasks in equal order, and the same seeds and sizes.
        runs: how often each run is in each resample, [resamples, runs]; those of one seed equally often.
        tasks: see `task_draws`.
    """

    def ratio(parts: Floats, wholes: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            drawn: Floats = ((runs @ parts) * tasks).sum(1) / ((runs @ wholes) * tasks).sum(1)
        return drawn

    return ratio(*first) - ratio(*second)


def effect_of(value: float, resampled: Floats) -> Effect:
    """A difference from its resamples; those that are nan say nothing and are left out."""
    low, high = percentile_ends(resampled)
    count = np.sum(~np.isnan(resampled))
    # One more on each side: no number of resamples shows that a chance is zero.
    below = (1 + np.sum(resampled <= 0)) / (1 + count)
    above = (1 + np.sum(resampled >= 0)) / (1 + count)
    p = float(min(1.0, 2 * min(below, above)))
    return Effect(value, float(low), float(high), p, float(np.nanstd(resampled)))
