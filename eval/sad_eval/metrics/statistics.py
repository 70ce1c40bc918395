"""Intervals, paired tests and ties: what a number of episodes can and cannot tell. Plain Python and numpy."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
RESAMPLES = 2000
_CHUNK = 1_000_000
"""Task draws that are made at once; bounds memory at large numbers of tasks."""

Floats = npt.NDArray[np.float64]
Cluster = TypeVar("Cluster", str, int)
"""What names a task."""


class Interval(NamedTuple):
    """Both ends of an interval."""

    low: float
    high: float

    def has_no_width(self) -> bool:
        """Whether the ends are one number, up to rounding."""
        return math.isclose(self.low, self.high, rel_tol=0, abs_tol=1e-12)


def wilson(successes: float, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a share of successes.

    Args:
        successes: how many; a fraction where several tries at a task make one trial.
        n: of how many.
        confidence: between 0 and 1.

    Raises:
        ValueError: no trial, or more successes than trials.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).

    >>> [round(end, 3) for end in wilson(0, 20)]
    [0.0, 0.161]
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes of {n} trials have no interval")
    z = statistics.NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the edges centre and half are equal up to rounding; the interval ends there exactly.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low, high)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value of McNemar's test.

    Args:
        only_first: pairs that only the first solved.
        only_second: pairs that only the second solved.

    Returns:
        The binomial probability, doubled and at most 1, of a split at least this uneven when both are equally good.
        1.0 without any discordant pair.

    >>> mcnemar(6, 0)
    0.03125
    """
    n = only_first + only_second
    tail = sum(math.comb(n, k) for k in range(min(only_first, only_second) + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2**n)))


def sign_flips(differences: Sequence[int]) -> float:
    """Two-sided exact p-value of the permutation test of paired differences: McNemar's, when all are 1, 0 or -1.

    Args:
        differences: one a task, second minus first, in whole units, e.g. tries that were won.

    Returns:
        The chance that the sum lies at least this far from 0 when each difference might as well have the other sign.

    >>> sign_flips([1, 1, 1, 1, 1, 1]), sign_flips([3])
    (0.03125, 1.0)
    """
    chances = np.ones(1)  # of every sum, from the lowest to the highest
    for size in map(abs, differences):
        wider = np.zeros(len(chances) + 2 * size)
        wider[: len(chances)] += chances / 2
        wider[2 * size :] += chances / 2
        chances = wider
    total = len(chances) // 2
    as_far = np.abs(np.arange(-total, total + 1)) >= abs(sum(differences))
    return min(1.0, float(chances[as_far].sum()))


def alike(value: float, n: int, low: float, high: float, confidence: float = CONFIDENCE) -> Interval:
    """Interval of a mean when all `n` draws gave `value`, so that resampling them sees no spread.

    Draws that did not come up may still have a share: Clopper and Pearson's bound for none of `n`. At worst all of
    them lie at `low`, or at `high`, the ends of what a draw can be.

    >>> [round(end, 3) for end in alike(-1.0, 5, -1.0, 1.0)]
    [-1.0, 0.044]
    """
    unseen = 1 - ((1 - confidence) / 2) ** (1 / n)
    return Interval(value - unseen * (value - low), value + unseen * (high - value))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for testing all of them at once, in the given order (Holm 1979).

    >>> [round(p, 6) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def pass_hat_k(successes: int, trials: int, k: int) -> float:
    """Unbiased estimate of the chance that `k` independent tries at one task all succeed.

    Args:
        successes: tries at the task that succeeded.
        trials: tries at the task.
        k: 1 to `trials`.

    Raises:
        ValueError: k tries were not made.

    >>> [pass_hat_k(3, 4, k) for k in (1, 2, 3, 4)]
    [0.75, 0.5, 0.25, 0.0]
    """
    if not 1 <= k <= trials or not 0 <= successes <= trials:
        raise ValueError(f"pass^{k} of {successes} successes in {trials} tries does not exist")
    return math.comb(successes, k) / math.comb(trials, k)


def pass_hat(successes: int, trials: int) -> list[float]:
    """`pass_hat_k` for every k from 1 to `trials`, each binomial coefficient computed from the one before it.

    >>> pass_hat(3, 4)
    [0.75, 0.5, 0.25, 0.0]
    """
    found, part, whole = [], 1, 1
    for k in range(trials):
        part, whole = part * (successes - k) // (k + 1), whole * (trials - k) // (k + 1)
        found.append(part / whole)
    return found


def cluster_bootstrap(
    numerators: Floats,
    denominators: Floats,
    clusters: Sequence[Cluster],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Interval]:
    """Percentile intervals of ratios of sums, tasks being drawn with replacement and kept whole.

    Args:
        numerators: [episodes, metrics].
        denominators: [episodes, metrics]; 0 where a metric does not apply to an episode.
        clusters: the task of each episode.
        confidence: between 0 and 1.
        resamples: how many draws.
        seed: of the draws; the same data give the same interval.

    Returns:
        One interval a metric, of sum(numerators) / sum(denominators) over the episodes of the drawn tasks. Draws whose
        denominators sum to 0 say nothing of a metric and are left out.

    Raises:
        ValueError: no episode, or a metric that applies to none.
    """
    ratios = _resampled(numerators, denominators, clusters, resamples, seed)
    return [Interval(float(a), float(b)) for a, b in zip(*percentile_ends(ratios, confidence), strict=True)]


def _resampled(
    numerators: Floats, denominators: Floats, clusters: Sequence[Cluster], resamples: int, seed: int
) -> Floats:
    """Ratio of sums in each resample, [resamples, metrics]; nan where a denominator is 0."""
    if not len(numerators) or not (np.sum(denominators, axis=0) > 0).all():
        raise ValueError("an empty list has no mean")
    # In sorted order, so that the order in which episodes happened to end decides nothing.
    number = {cluster: place for place, cluster in enumerate(sorted(set(clusters)))}
    index = np.array([number[cluster] for cluster in clusters])
    tops, bottoms = (np.zeros((len(number), numerators.shape[1])) for _ in range(2))
    np.add.at(tops, index, numerators)
    np.add.at(bottoms, index, denominators)
    generator = np.random.default_rng(seed)
    ratios = []
    chunk = max(1, _CHUNK // len(number))
    for start in range(0, resamples, chunk):
        ratios.append(resampled_ratios(tops, bottoms, _draw(generator, len(number), min(chunk, resamples - start))))
    return np.concatenate(ratios)


def resampled_ratios(parts: Floats, wholes: Floats, draws: Floats) -> Floats:
    """Ratio of sums in each resample, [resamples] or [resamples, metrics]; nan where a denominator is 0.

    Args:
        parts: numerators, [tasks] or [tasks, metrics].
        wholes: denominators, of the same shape.
        draws: how often each task is in each resample, [resamples, tasks].
    """
    with np.errstate(invalid="ignore"):
        return np.asarray((draws @ parts) / (draws @ wholes))


def percentile_ends(resampled: Floats, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """Both ends of percentile intervals over the first axis; resamples that are nan are left out."""
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail], axis=0)
    return low, high


def _draw(generator: np.random.Generator, clusters: int, resamples: int) -> Floats:
    """How often each cluster is in each resample, [resamples, clusters]; every row sums to `clusters`."""
    drawn = generator.integers(0, clusters, size=(resamples, clusters))
    drawn += np.arange(resamples)[:, None] * clusters
    return np.bincount(drawn.ravel(), minlength=resamples * clusters).reshape(resamples, clusters).astype(np.float64)


class Difference(NamedTuple):
    """A paired difference, second minus first, and its interval."""

    value: float
    low: float
    high: float


class Ratios(NamedTuple):
    """Metrics of one run as ratios of sums; both arrays are [episodes, metrics]."""

    parts: Floats
    wholes: Floats


def paired_bootstrap(
    first: Ratios,
    second: Ratios,
    clusters: Sequence[Cluster],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Difference]:
    """Second minus first for each metric, with percentile intervals; the pairs of one task are drawn together.

    Args:
        first: row i and row i of `second` are a pair.
        second: as `first`.
        clusters: the task of each pair.
        confidence: between 0 and 1.
        resamples: how many draws.
        seed: of the draws.

    Raises:
        ValueError: no pair, or a metric that applies to none.
    """
    parts, wholes = np.hstack([first.parts, second.parts]), np.hstack([first.wholes, second.wholes])
    ratios = _resampled(parts, wholes, clusters, resamples, seed)
    values = parts.sum(axis=0) / wholes.sum(axis=0)
    half = first.parts.shape[1]
    ends = percentile_ends(ratios[:, half:] - ratios[:, :half], confidence)
    return [
        Difference(float(value), float(low), float(high))
        for value, low, high in zip(values[half:] - values[:half], *ends, strict=True)
    ]


class Rank(NamedTuple):
    """Best and worst place that an entry may hold; equal where it is certain."""

    best: int
    worst: int

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}-{self.worst}"


def ranks(count: int, above: Collection[tuple[int, int]]) -> list[Rank]:
    """Places of `count` entries, from pairs of a better and a worse one; pairs that are not told apart tie.

    >>> [str(rank) for rank in ranks(3, {(0, 1), (0, 2)})]
    ['1', '2-3', '2-3']
    """
    return [
        Rank(1 + sum(worse == one for _, worse in above), count - sum(better == one for better, _ in above))
        for one in range(count)
    ]


def resolution(n: int) -> str:
    """What `n` tasks can separate, in plain words.

    The half-width is Wilson's at 50 %, where it is widest. On the same tasks a paired test needs less.

    >>> resolution(20).partition("; ")[2]
    'telling two agents apart takes at least 6 tasks that only one of them wins.'
    """
    if n < 1:
        raise ValueError("without an episode there is nothing to say")
    interval = wilson(n // 2, n)
    half = round(50 * (interval.high - interval.low))
    words = f"With {n:,} tasks a success rate is known to ±{half} points at worst"
    flips = next((count for count in range(1, n + 1) if mcnemar(count, 0) < 1 - CONFIDENCE), None)
    if flips is None:
        return f"{words}; that is too few for any paired test."
    return f"{words}; telling two agents apart takes at least {flips} tasks that only one of them wins."
