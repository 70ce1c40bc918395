"""Which tasks a student plays when: tasks of the teacher's recorded episodes, the easy ones first (Algorithm 1)."""

from __future__ import annotations

import random
from collections.abc import Collection

from sad_agents.rollout.rollout import Job

from sad_distill.training.build import Parts
from sad_distill.training.recorded import curriculum_of
from sad_env.errors import ConfigError


class TaskOrder:
    """Draws the tasks of an iteration by the complexity of the teacher's episodes on them, as the update number asks.

    Args:
        parts: of the run; its recorded episodes are the teacher's.
        playable: the tasks of the split that is played.

    Raises:
        ConfigError: no recorded episode is of a playable task, or a curriculum by entropy without a teacher.
    """

    def __init__(self, parts: Parts, playable: Collection[str]) -> None:
        self._curriculum, _ = curriculum_of(parts)
        data = parts.config.data
        split = f"{data.env}/{data.split}/"
        self._tasks = {row.episode: row.task.removeprefix(split) for row in parts.rows if row.task.startswith(split)}
        known = set(playable)
        names = [name for name in self._curriculum.names if self._tasks.get(name) in known]
        if not names:
            raise ConfigError(
                f"the curriculum draws tasks of recorded episodes, and none of them is in {data.env} {data.split}: give"
                " the --split they were recorded on"
            )
        self._curriculum = self._curriculum.of(names)

    def jobs(self, iteration: int, step: int, count: int, seed: int) -> list[Job]:
        """The tasks of an iteration that begins at update `step`, by these numbers alone."""
        draw = random.Random(f"curriculum tasks {seed} {iteration}")
        walking = self._curriculum.pacing == "walk"
        names = self._curriculum.draw(iteration if walking else step, count, draw)
        # A task may be drawn twice: each time with draws of its own.
        return [Job(self._tasks[name], seed=seed, repeat=iteration * count + place) for place, name in enumerate(names)]
