"""Two methods compared on the same seeds, sizes and tasks, in every world and over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sad_env.errors import DataError
from sad_eval.metrics.statistics import Floats, mcnemar
from sad_eval.study.results import COLUMNS, Evaluation, WorldResults
from sad_eval.study.statistics import Effect, effect_of, paired_effect, seed_draws, seeds_and_tasks_drawn, task_draws


@dataclass(frozen=True)
class StudentPair:
    """Two students of one size and seed, trained by different methods.

    Attributes:
        size: of both.
        seed: of both.
        first: evaluation of the first.
        second: evaluation of the second, on the same tasks.
    """

    size: str
    seed: int
    first: Evaluation
    second: Evaluation

    def flips(self) -> tuple[int, int]:
        """Tasks that only the first solved, and tasks that only the second solved."""
        change = self.first.parts["success"] - self.second.parts["success"]
        return int((change > 0).sum()), int((change < 0).sum())

    @property
    def p(self) -> float:
        """McNemar's exact test of these two students' successes."""
        return mcnemar(*self.flips())


@dataclass(frozen=True)
class MethodComparison:
    """First minus second in one metric.

    Attributes:
        first: name of a method.
        second: name of another.
        column: one of `COLUMNS`.
        worlds: difference in each world, over all its sizes and seeds.
        overall: mean over worlds; None where no world has both.
        pairs: students compared, by world.
    """

    first: str
    second: str
    column: str
    worlds: dict[str, Effect]
    overall: Effect | None
    pairs: dict[str, tuple[StudentPair, ...]]

    @property
    def gain(self) -> float:
        """1 where more is better, -1 where less is."""
        return 1.0 if COLUMNS[self.column].higher else -1.0


def pairs_of(world: WorldResults, first: str, second: str) -> Iterator[StudentPair]:
    """Students of two methods that share size and seed.

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
                    " changed between them: delete the world's folders eval and episodes and run the study again"
                )
            yield StudentPair(size, seed, one, other)


def compare_methods(worlds: Sequence[WorldResults], first: str, second: str, column: str) -> MethodComparison:
    """Compare two methods in all worlds that have both."""
    found: dict[str, Effect] = {}
    pairs: dict[str, tuple[StudentPair, ...]] = {}
    resampled = []
    for world in worlds:
        students = tuple(pairs_of(world, first, second))
        if not students:
            continue
        sides = stacked([pair.first for pair in students], column), stacked([pair.second for pair in students], column)
        if not all(wholes.sum() for _, wholes in sides):
            continue
        found[world.name], changes = paired_effect(*sides, task_draws(len(students[0].first.tasks), world.name))
        pairs[world.name] = students
        resampled.append(changes)
    value = float(np.mean([effect.value for effect in found.values()])) if found else 0.0
    overall = effect_of(value, np.mean(resampled, axis=0)) if found else None
    return MethodComparison(first, second, column, found, overall, pairs)


def with_seeds_drawn(comparison: MethodComparison) -> tuple[Effect | None, dict[str, Effect]]:
    """The same differences where seeds are drawn in addition to tasks: over all worlds, and in each.

    Two or three seeds show too little of their spread for a p that can be trusted, and a start that they share none.

    Returns:
        None and nothing where a world has a single seed.
    """
    found: dict[str, Effect] = {}
    resampled = []
    for world, pairs in comparison.pairs.items():
        seeds = sorted({pair.seed for pair in pairs})
        if len(seeds) < 2:
            return None, {}
        first = stacked([pair.first for pair in pairs], comparison.column)
        second = stacked([pair.second for pair in pairs], comparison.column)
        runs = seed_draws(len(seeds), world)[:, [seeds.index(pair.seed) for pair in pairs]]
        changes = seeds_and_tasks_drawn(first, second, runs, task_draws(len(pairs[0].first.tasks), world))
        found[world] = effect_of(comparison.worlds[world].value, changes)
        resampled.append(changes)
    if comparison.overall is None:
        return None, {}
    return effect_of(comparison.overall.value, np.mean(resampled, axis=0)), found


def stacked(evaluations: Sequence[Evaluation], column: str) -> tuple[Floats, Floats]:
    """Parts and wholes of a metric, [evaluations, tasks] each."""
    return (
        np.stack([evaluation.parts[column] for evaluation in evaluations]),
        np.stack([evaluation.wholes[column] for evaluation in evaluations]),
    )
