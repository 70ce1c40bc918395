"""Intervals and tests of a study. Tasks are the clusters: all students that played a task are drawn with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt

import numpy as np

from sad_eval.study.results import Floats

RESAMPLES = 10_000
_SEED = 20250519
"""Any number; a stated one, so that a report can be made again."""


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """First minus second.

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
        """The difference that a test at 5 % would have found four times in five."""
        return 2.8 * self.error


def weights(tasks: int, name: str = "", resamples: int = RESAMPLES) -> Floats:
    """How often each task is drawn in each resample, [resamples, tasks].

    Args:
        tasks: how many there are.
        name: of the world; draws of two worlds are independent.
        resamples: rows.
    """
    generator = np.random.default_rng([_SEED, *name.encode()])
    return generator.multinomial(tasks, np.full(tasks, 1 / tasks), size=resamples).astype(np.float64)


def ratio(parts: Floats, wholes: Floats, drawn: Floats) -> tuple[float, Floats]:
    """Sum of parts over sum of wholes, of the sample and of each resample.

    Args:
        parts: [runs, tasks].
        wholes: [runs, tasks].
        drawn: see `weights`.
    """
    part, whole = parts.sum(0), wholes.sum(0)
    # A resample may hold no task to which the metric applies.
    resampled = (drawn @ part) / np.maximum(drawn @ whole, 1e-12)
    return float(part.sum() / whole.sum()), resampled


def interval(parts: Floats, wholes: Floats, *, share: bool = False) -> Interval:
    """A figure over several students' evaluations on the same tasks, with a bootstrap over tasks.

    Args:
        parts: [runs, tasks].
        wholes: [runs, tasks].
        share: every part is 0 or 1 and every whole 1. Where all are equal, resampling knows no spread, and Wilson's
            interval for as many tasks stands in.
    """
    tasks = parts.shape[1]
    value, resampled = ratio(parts, wholes, weights(tasks))
    if share and value in (0.0, 1.0):
        low, high = wilson(round(value * tasks), tasks)
    else:
        low, high = np.percentile(resampled, (2.5, 97.5))
    return Interval(value, float(low), float(high))


def difference(first: tuple[Floats, Floats], second: tuple[Floats, Floats], drawn: Floats) -> tuple[Difference, Floats]:
    """A paired comparison: both sides of a resample hold the same tasks.

    Args:
        first: parts and wholes, [runs, tasks] each.
        second: the same of the other side: equal tasks in equal order, and the same seeds and sizes.
        drawn: see `weights`.

    Returns:
        The difference, and its resamples, which may be averaged with those of other worlds.
    """
    value, resampled = ratio(*first, drawn)
    other, other_resampled = ratio(*second, drawn)
    change = resampled - other_resampled
    return summary(value - other, change), change


def summary(value: float, resampled: Floats) -> Difference:
    """A difference from its resamples."""
    low, high = np.percentile(resampled, (2.5, 97.5))
    # One more on each side: no number of resamples shows that a chance is zero.
    below = (1 + np.sum(resampled <= 0)) / (1 + len(resampled))
    above = (1 + np.sum(resampled >= 0)) / (1 + len(resampled))
    return Difference(value, float(low), float(high), float(min(1.0, 2 * min(below, above))), float(resampled.std()))


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p of McNemar's test, from the tasks that only one of two students won.

    >>> mcnemar(1, 5)
    0.21875
    """
    flips = only_first + only_second
    if not flips:
        return 1.0
    tail = sum(comb(flips, k) for k in range(min(only_first, only_second) + 1)) / 2**flips
    return float(min(1.0, 2 * tail))


def holm(p_values: Sequence[float]) -> list[float]:
    """Chances corrected for being several, in the order they came in (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def wilson(successes: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    >>> [round(end, 4) for end in wilson(0, 10)]
    [0.0, 0.2775]
    """
    z = 1.959964
    share, scale = successes / count, 1 + z * z / count
    centre = (share + z * z / (2 * count)) / scale
    half = z / scale * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)
