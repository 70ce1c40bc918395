"""Rows of recorded episodes: in random order or by a curriculum, alone or next to live rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import NamedTuple

import torch

from sad_distill.data.curriculum import Curriculum, CurriculumOrder, Difficulty, EpochOrder, Order, complexities
from sad_distill.data.rows import Row
from sad_distill.teachers.difficulty import difficulties_of
from sad_distill.training.build import Parts
from sad_distill.training.learner import Metrics
from sad_distill.training.ranks import Ranks
from sad_env.errors import ConfigError


class UpdateRows(NamedTuple):
    """The rows of one update.

    Attributes:
        rows: learned by the run's objective.
        metrics: what is known of them, shown with the update's numbers.
        recorded: further rows, learned by the learner's objective for recorded text.
        iterations: how many are over with this update; 0 where it ends none.
    """

    rows: Sequence[Row]
    metrics: Metrics
    recorded: Sequence[Row] = ()
    iterations: int = 0


class Recorded:
    """A source of rows: recorded episodes, whose rows of an update depend on its step alone.

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
        """What a state on disk keeps, so that a resumed run goes on with the same rows."""
        return {"step": self.step, "iteration": 0}

    def resume(self, position: Mapping[str, int]) -> None:
        """Go on from the `position` of an earlier source with the same settings."""
        self.step = int(position["step"])

    def updates(self, between: Callable[[bool], None]) -> Iterator[UpdateRows]:
        """The rows of each update that is left; an update is done when the next is asked for.

        Args:
            between: called between two updates wherever a resumed run can go on exactly, with whether a state is due.
        """
        config, pace = self._parts.config, self._parts.pace
        while not pace.over(self.step):
            rows = [self._parts.rows[index] for index in self._order(self.step)]
            yield UpdateRows(rows, {}, iterations=self.step + 1)
            self.step += 1
            between(self.step % config.output.save_every == 0 or pace.over(self.step))


def order_of(parts: Parts) -> Order:
    """Which recorded rows each update learns from.

    Raises:
        ConfigError: a curriculum by entropy, and no teacher that scores.
    """
    config = parts.config
    if config.curriculum.curriculum == "none":
        return EpochOrder(len(parts.rows), config.data.batch, config.data.seed)
    return CurriculumOrder(parts.rows, curriculum_of(parts)[0], config.data.batch)


def curriculum_of(parts: Parts) -> tuple[Curriculum, Mapping[str, Difficulty]]:
    """The curriculum of the recorded episodes, and how hard each of them is.

    Raises:
        ConfigError: a curriculum by entropy, and no teacher that scores.
    """
    config = parts.config.curriculum
    assert config.curriculum != "none"
    teacher = parts.teacher.scores if parts.teacher and config.curriculum_entropy else None
    if teacher is None and config.curriculum_entropy:
        raise ConfigError("the curriculum's entropy needs a teacher that scores: give one or --curriculum-entropy 0")
    learner = parts.learner
    with torch.no_grad():  # a teacher may be a part of the student
        found = learner.within(lambda: difficulties_of(parts.rows, teacher, learner.device))
    difficulties = shared_difficulties(found, parts.ranks)
    complexity = complexities(
        difficulties,
        config.curriculum_reason,
        config.curriculum_act,
        config.curriculum_entropy,
        config.curriculum_scale,
    )
    curriculum = Curriculum(
        complexity,
        config.curriculum,
        steps=parts.config.optimisation.steps,
        seed=parts.config.data.seed,
        strength=config.curriculum_strength,
    )
    return curriculum, difficulties


def shared_difficulties(found: dict[str, Difficulty], ranks: Ranks) -> dict[str, Difficulty]:
    """The first process's difficulties: the order that all follow must not depend on one device's rounding."""
    lines = [json.dumps(astuple(difficulty)) for difficulty in found.values()]
    return {name: Difficulty(*json.loads(line)) for name, line in zip(found, ranks.gather(lines)[0], strict=True)}
