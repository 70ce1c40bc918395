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

Pacing = Literal["sample", "sort", "walk"]
"""sample: episodes drawn with probability exp(-g C), g falling to 0. sort: drawn from the easiest share of them, which
grows to all (self-paced, appendix N). walk: in the order of C, the easiest first, in every epoch (§3.8)."""


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
    difficulties: Mapping[str, Difficulty],
    alpha: float = 1.0,
    beta: float = 1.0,
    gamma: float = 1.0,
    scale: Literal["scores", "raw"] = "scores",
) -> dict[str, float]:
    """C of Eq. 13 for each episode: alpha len(reasoning) + beta len(action) + gamma entropy.

    Args:
        difficulties: of the episodes.
        alpha: weight of the reasoning's length.
        beta: weight of the actions' length.
        gamma: weight of the entropy.
        scale: "raw" takes tokens and nats as Eq. 13 is printed, "scores" the standard scores over the pool, since
            lengths in tokens drown an entropy in nats.
    """
    columns = [[getattr(one, name) for one in difficulties.values()] for name in ("reason", "act", "entropy")]
    scores = columns if scale == "raw" else [_standardised(column) for column in columns]
    return {
        name: alpha * scores[0][index] + beta * scores[1][index] + gamma * scores[2][index]
        for index, name in enumerate(difficulties)
    }


def _standardised(values: Sequence[float]) -> list[float]:
    mean, spread = fmean(values), pstdev(values)
    return [(value - mean) / spread if spread else 0.0 for value in values]


class Curriculum:
    """Draws names, easy ones first.

    Args:
        complexity: C of each name.
        pacing: see `Pacing`.
        steps: updates in all.
        seed: seeds the draws.
        strength: g at the first step of "sample"; it falls linearly to 0.
        start: share of the names that "sort" begins with.
    """

    def __init__(
        self,
        complexity: Mapping[str, float],
        pacing: Pacing,
        *,
        steps: int,
        seed: int,
        strength: float = 1.0,
        start: float = 0.1,
    ) -> None:
        self.pacing, self.steps, self.seed = pacing, steps, seed
        self.strength, self.start = strength, start
        self.names = sorted(complexity, key=complexity.__getitem__)
        """All of them, the easiest first; equals in the order they came in."""
        self._complexity = [complexity[name] for name in self.names]

    def of(self, names: Sequence[str]) -> Curriculum:
        """The same curriculum of some of its names."""
        of_name = dict(zip(self.names, self._complexity, strict=True))
        complexity = {name: of_name[name] for name in names}
        return Curriculum(
            complexity, self.pacing, steps=self.steps, seed=self.seed, strength=self.strength, start=self.start
        )

    def draw(self, step: int, count: int, draw: random.Random) -> list[str]:
        """Names for update `step`; in pacing "walk" those whose turn it is, where each update takes as many."""
        if self.pacing == "walk":
            return [self.names[place % len(self.names)] for place in range(step * count, (step + 1) * count)]
        if self.pacing == "sort":
            return draw.choices(self.names[: max(1, round(self.competence(step) * len(self.names)))], k=count)
        g = self.strength * max(0.0, 1 - step / max(1, self.steps - 1))
        easiest = self._complexity[0]
        return draw.choices(self.names, [math.exp(-g * (c - easiest)) for c in self._complexity], k=count)

    def competence(self, step: int) -> float:
        """Share of the names in play (Platanios et al. 2019): sqrt(n (1 - c0^2) / N + c0^2), at most 1."""
        return min(1.0, math.sqrt(step * (1 - self.start**2) / max(1, self.steps) + self.start**2))


class CurriculumOrder:
    """An `Order` by a curriculum of episodes.

    In pacings "sample" and "sort" an episode is drawn, then a row of it, so that an episode's length does not change
    its chance. In pacing "walk" the rows stand in the order of their episodes, and each comes once an epoch.

    Args:
        rows: all rows; a row's `episode` names its episode.
        curriculum: of the episodes.
        batch: rows of an update.
    """

    def __init__(self, rows: Sequence[Row], curriculum: Curriculum, batch: int) -> None:
        self.curriculum, self.batch = curriculum, batch
        self._indices: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            self._indices[row.episode].append(index)
        self._walk = [index for name in curriculum.names for index in self._indices[name]]

    def __call__(self, step: int) -> list[int]:
        """See `Order`."""
        if self.curriculum.pacing == "walk":
            places = range(step * self.batch, (step + 1) * self.batch)
            return [self._walk[place % len(self._walk)] for place in places]
        draw = random.Random(f"curriculum {self.curriculum.seed} {step}")
        names = self.curriculum.draw(step, self.batch, draw)
        return [draw.choice(self._indices[name]) for name in names]


def horizon(iteration: int, start: int, every: int, longest: int) -> int:
    """Steps an online episode may take: min(start + iteration // every, longest); start 0 is no limit (TCOD)."""
    return longest if start == 0 else min(start + iteration // max(1, every), longest)
