"""Which rows come when: epochs in random order, or easy episodes first (Eq. 13 and appendix N)."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Literal

from sad_distill.data.rows import Row

Pacing = Literal["none", "sample", "sort"]
"""none: epochs in random order. sample: episodes drawn with probability exp(-g C), g falling to 0. sort: the easiest
share of the episodes, growing to all of them."""


Order = Callable[[int], list[int]]
"""Gives the indices of the rows of an update by its step alone, so that a resumed run needs no state."""


class EpochOrder:
    """All rows once an epoch, each epoch in an order of its own.

    Args:
        rows: how many there are.
        batch: rows of an update.
        seed: seeds the orders.
    """

    def __init__(self, rows: int, batch: int, seed: int) -> None:
        self.rows, self.batch, self.seed = rows, batch, seed
        self._epoch, self._order = -1, list[int]()

    def __call__(self, step: int) -> list[int]:
        """See `Order`."""
        return [self._at(place) for place in range(step * self.batch, (step + 1) * self.batch)]

    def _at(self, place: int) -> int:
        epoch, index = divmod(place, self.rows)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, list(range(self.rows))
            random.Random(f"order {self.seed} {epoch}").shuffle(self._order)
        return self._order[index]


@dataclass(frozen=True)
class Difficulty:
    """What makes an episode hard.

    Attributes:
        reason: tokens of its reasoning.
        act: tokens of its actions.
        entropy: the teacher's mean entropy over both.
    """

    reason: float
    act: float
    entropy: float


def complexities(
    difficulties: Mapping[str, Difficulty], alpha: float = 1.0, beta: float = 1.0, gamma: float = 1.0
) -> dict[str, float]:
    """C of Eq. 13 for each episode: alpha z(reasoning length) + beta z(action length) + gamma z(entropy).

    z is the score over the pool: raw lengths in tokens would drown an entropy in nats.
    """
    columns = [[getattr(one, name) for one in difficulties.values()] for name in ("reason", "act", "entropy")]
    scores = [_standardised(column) for column in columns]
    return {
        name: alpha * scores[0][index] + beta * scores[1][index] + gamma * scores[2][index]
        for index, name in enumerate(difficulties)
    }


def _standardised(values: Sequence[float]) -> list[float]:
    mean, spread = fmean(values), pstdev(values)
    return [(value - mean) / spread if spread else 0.0 for value in values]


class CurriculumOrder:
    """Draws episodes by their complexity, then a row of each: an episode's length does not change its chance.

    Args:
        rows: all rows; a row's `episode` names its episode.
        complexity: C of each episode.
        pacing: "sample" or "sort".
        batch: rows of an update.
        steps: updates in all.
        seed: seeds the draws.
        strength: g at the first step of "sample"; it falls linearly to 0.
        start: share of the episodes that "sort" begins with.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        complexity: Mapping[str, float],
        pacing: Literal["sample", "sort"],
        *,
        batch: int,
        steps: int,
        seed: int,
        strength: float = 1.0,
        start: float = 0.1,
    ) -> None:
        self.pacing, self.batch, self.steps, self.seed = pacing, batch, steps, seed
        self.strength, self.start = strength, start
        indices: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            indices[row.episode].append(index)
        names = sorted(indices, key=lambda name: (complexity[name], indices[name]))
        self._episodes = [indices[name] for name in names]
        self._complexity = [complexity[name] for name in names]

    def __call__(self, step: int) -> list[int]:
        """See `Order`."""
        draw = random.Random(f"curriculum {self.seed} {step}")
        if self.pacing == "sample":
            g = self.strength * max(0.0, 1 - step / max(1, self.steps - 1))
            easiest = self._complexity[0]
            weights = [math.exp(-g * (c - easiest)) for c in self._complexity]
            drawn = draw.choices(self._episodes, weights, k=self.batch)
        else:
            count = max(1, round(self.competence(step) * len(self._episodes)))
            drawn = draw.choices(self._episodes[:count], k=self.batch)
        return [draw.choice(rows) for rows in drawn]

    def competence(self, step: int) -> float:
        """Share of the episodes in play (Platanios et al. 2019): sqrt(n (1 - c0^2) / N + c0^2), at most 1."""
        return min(1.0, math.sqrt(step * (1 - self.start**2) / max(1, self.steps) + self.start**2))


def horizon(iteration: int, start: int, every: int, longest: int) -> int:
    """Steps an online episode may take: min(start + iteration // every, longest); start 0 is no limit (TCOD)."""
    return longest if start == 0 else min(start + iteration // max(1, every), longest)
