"""Two ways side by side: the same seeds, sizes and tasks, in every world and over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sad_env.errors import DataError
from sad_eval.study.results import METRICS, Evaluation, Floats, WorldResults
from sad_eval.study.statistics import Difference, difference, mcnemar, summary, weights


@dataclass(frozen=True)
class Pair:
    """Two students of one size and seed.

    Attributes:
        size: of both.
        seed: of both.
        first: evaluation of the one.
        second: evaluation of the other, on the same tasks.
    """

    size: str
    seed: int
    first: Evaluation
    second: Evaluation

    def flips(self) -> tuple[int, int]:
        """Tasks that only the first won, and tasks that only the second won."""
        change = self.first.parts["success"] - self.second.parts["success"]
        return int((change > 0).sum()), int((change < 0).sum())

    @property
    def p(self) -> float:
        """McNemar's exact test of these two students' successes."""
        return mcnemar(*self.flips())


@dataclass(frozen=True)
class Comparison:
    """First minus second in one metric.

    Attributes:
        first: name of a way.
        second: name of another.
        metric: one of `METRICS`.
        worlds: difference in each world, over all its sizes and seeds.
        overall: mean over worlds; None where no world has both.
        pairs: students compared, by world.
    """

    first: str
    second: str
    metric: str
    worlds: dict[str, Difference]
    overall: Difference | None
    pairs: dict[str, tuple[Pair, ...]]

    @property
    def gain(self) -> float:
        """1 where more is better, -1 where less is."""
        return 1.0 if METRICS[self.metric].higher else -1.0


def pairs_of(world: WorldResults, first: str, second: str) -> Iterator[Pair]:
    """Students of two ways that share size and seed.

    Raises:
        DataError: they did not play the same tasks.
    """
    for size in world.settings["students"]:
        for seed in range(int(world.settings["seeds"])):
            one, other = world.run(size, first, seed), world.run(size, second, seed)
            if one is None or other is None:
                continue
            if one.tasks != other.tasks:
                raise DataError(
                    f"{world.name}: {first} and {second} of {size} did not play the same tasks, so the world's data"
                    " changed between them: delete the world's folder eval and run the study again"
                )
            yield Pair(size, seed, one, other)


def compare(worlds: Sequence[WorldResults], first: str, second: str, metric: str) -> Comparison:
    """Compare two ways in all worlds that have both."""
    found: dict[str, Difference] = {}
    pairs: dict[str, tuple[Pair, ...]] = {}
    resampled = []
    for world in worlds:
        mine = tuple(pairs_of(world, first, second))
        if not mine:
            continue
        sides = _stack([pair.first for pair in mine], metric), _stack([pair.second for pair in mine], metric)
        if not all(wholes.sum() for _, wholes in sides):
            continue
        found[world.name], draws = difference(*sides, weights(len(mine[0].first.tasks), world.name))
        pairs[world.name] = mine
        resampled.append(draws)
    value = float(np.mean([one.value for one in found.values()])) if found else 0.0
    overall = summary(value, np.mean(resampled, axis=0)) if found else None
    return Comparison(first, second, metric, found, overall, pairs)


def _stack(evaluations: Sequence[Evaluation], metric: str) -> tuple[Floats, Floats]:
    return (
        np.stack([one.parts[metric] for one in evaluations]),
        np.stack([one.wholes[metric] for one in evaluations]),
    )
