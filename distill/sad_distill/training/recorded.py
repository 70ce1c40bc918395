"""Rows of recorded episodes: in random order or by a curriculum, alone or next to live rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple

from sad_distill.data.curriculum import CurriculumOrder, Difficulty, EpochOrder, Order, complexities
from sad_distill.teachers.difficulty import difficulties_of
from sad_distill.training.build import Parts
from sad_distill.training.ranks import Ranks
from sad_distill.training.source import UpdateRows
from sad_env.errors import ConfigError


class Recorded:
    """A `RowSource` of recorded episodes; the step alone decides an update's rows.

    Args:
        parts: of the run.

    Raises:
        ConfigError: a curriculum by entropy, and no teacher that scores.
    """

    def __init__(self, parts: Parts) -> None:
        self.step = 0
        self._parts = parts
        self._order = order_of(parts)

    @property
    def position(self) -> dict[str, int]:
        """See `RowSource`."""
        return {"step": self.step, "iteration": 0}

    def resume(self, position: Mapping[str, int]) -> None:
        """See `RowSource`."""
        self.step = int(position["step"])

    def updates(self, save: Callable[[], None]) -> Iterator[UpdateRows]:
        """See `RowSource`."""
        config = self._parts.config
        while self.step < config.steps:
            yield UpdateRows([self._parts.rows[index] for index in self._order(self.step)], {})
            self.step += 1
            if self.step % config.save_every == 0 or self.step == config.steps:
                save()


def order_of(parts: Parts) -> Order:
    """Which recorded rows each update learns from.

    Raises:
        ConfigError: a curriculum by entropy, and no teacher that scores.
    """
    config = parts.config
    if config.curriculum == "none":
        return EpochOrder(len(parts.rows), config.batch, config.seed)
    teacher = parts.teacher.scores if parts.teacher else None
    if teacher is None and config.curriculum_entropy:
        raise ConfigError("the curriculum's entropy needs a teacher that scores: give one or --curriculum-entropy 0")
    difficulties = difficulties_of(parts.rows, teacher, parts.learner.device)
    complexity = complexities(
        shared_difficulties(difficulties, parts.ranks),
        config.curriculum_reason,
        config.curriculum_act,
        config.curriculum_entropy,
    )
    return CurriculumOrder(
        parts.rows,
        complexity,
        config.curriculum,
        batch=config.batch,
        steps=config.steps,
        seed=config.seed,
        strength=config.curriculum_strength,
    )


def shared_difficulties(found: dict[str, Difficulty], ranks: Ranks) -> dict[str, Difficulty]:
    """The first process's difficulties: the order that all follow must not depend on one device's rounding."""
    lines = [json.dumps(astuple(difficulty)) for difficulty in found.values()]
    return {name: Difficulty(*json.loads(line)) for name, line in zip(found, ranks.gather(lines)[0], strict=True)}
