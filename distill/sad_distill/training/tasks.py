"""Which tasks a student plays: in training, in groups, and those that are held out."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sad_agents.rollout.rollout import Job
from sad_agents.rollout.world_recipe import WorldRecipe

from sad_distill.config import TrainConfig
from sad_env import registry
from sad_env.errors import ConfigError

_REDRAWN = 1_000_000
"""Repeats of episodes that were drawn in place of others begin at this many groups."""


@dataclass(frozen=True)
class TaskStream:
    """The tasks that are played, and how.

    Attributes:
        world: how to make it.
        tasks: task ids to draw from.
        longest: steps of an episode at most.
        live: episodes at once.
        workers: processes for the worlds.
        group: successive episodes on one task.
    """

    world: WorldRecipe
    tasks: tuple[str, ...]
    longest: int
    live: int = 16
    workers: int = 0
    group: int = 1

    def jobs(self, iteration: int, count: int, seed: int) -> list[Job]:
        """The tasks of an iteration, by its number alone; every task comes once before any comes again."""
        each = count // self.group
        jobs: list[Job] = []
        for place in range(iteration * each, (iteration + 1) * each):
            epoch, index = divmod(place, len(self.tasks))
            order = list(self.tasks)
            random.Random(f"tasks {seed} {epoch}").shuffle(order)
            jobs += self._group(order[index], seed, epoch)
        return jobs

    def redrawn(self, iteration: int, draw: int, groups: int, seed: int, played: Collection[str] = ()) -> list[Job]:
        """Groups on other tasks in place of some of an iteration, at its draw number `draw`.

        Args:
            iteration: its number.
            draw: how often it has drawn before.
            groups: how many.
            seed: of the run.
            played: tasks of this iteration, which are drawn only where too few others are left.
        """
        others = [task for task in self.tasks if task not in played]
        left = others if len(others) >= groups else list(self.tasks)
        chosen = random.Random(f"redraw {seed} {iteration} {draw}").sample(left, min(groups, len(left)))
        number = _REDRAWN + 1000 * iteration + draw
        return [job for task in chosen for job in self._group(task, seed, number)]

    def _group(self, task: str, seed: int, number: int) -> Iterator[Job]:
        return (Job(task, seed=seed, repeat=number * self.group + member) for member in range(self.group))

    @classmethod
    def of(cls, config: TrainConfig) -> TaskStream:
        """As the settings name it.

        Raises:
            ConfigError: more steps than the world allows, or no task that is not held out.
        """
        recipe = WorldRecipe.of(config.data.env, config.data.data, config.data.split)
        names = recipe.panel().task_ids
        tasks = names[: len(names) - len(held_out(config, names))]
        tasks = tasks[: config.data.tasks or len(tasks)]
        limit = registry.world(config.data.env).max_steps
        longest = config.online.max_steps or limit
        if longest > limit:
            raise ConfigError(
                f"--max-steps {longest}: {config.data.env} ends episodes after {limit} itself: give at most that, or"
                " leave it out"
            )
        return cls(recipe, tasks, longest, config.online.rollouts, config.online.workers, config.online.group)


def held_out(config: TrainConfig, names: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks of a split that training does not play, since validation does, here or in another stage.

    Raises:
        ConfigError: nothing would be left.
    """
    count = config.validation.untrained
    if 0 < len(names) <= count:
        raise ConfigError(
            f"--validate-episodes {count}: the split has {len(names)} tasks, of which some are to be trained on"
        )
    return names[len(names) - count :]
