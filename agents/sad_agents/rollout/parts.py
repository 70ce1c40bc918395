"""What other processes play: a part of the jobs, each attempt sent back as a line of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sad_agents.agent import Agent
from sad_agents.rollout.rollout import Finished, Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_env.records import Status, Trajectory

PlayedLines = list[tuple[Job, list[str]]]
"""Jobs with the lines of their attempts; the last is the one that counts."""


class Part(NamedTuple):
    """How a worker plays its part of the jobs: see `rollout`."""

    world: WorldRecipe
    live: int
    workers: int
    limits: Limits


def play_lines(agent: Agent, how: Part, jobs: Sequence[Job]) -> PlayedLines:
    """Play jobs in the process of a worker."""
    return [
        (one.job, [trajectory.to_json() for trajectory in (*one.attempts, one.trajectory)])
        for one in rollout(agent, jobs, how.world, live=how.live, workers=how.workers, limits=how.limits)
    ]


def finished_of(lines: PlayedLines) -> Iterator[Finished]:
    """What a worker has sent."""
    for job, texts in lines:
        *attempts, last = (Trajectory.from_json(text) for text in texts)
        yield Finished(job, last, tuple(attempts))


def lost(agent: str, world: str, jobs: Sequence[Job], reason: str) -> Iterator[Finished]:
    """Jobs whose worker has died: they are owed."""
    for job in jobs:
        trajectory = Trajectory(
            world=world,
            data="",
            split="",
            task_id=job.task_id,
            seed=job.seed,
            repeat=job.repeat,
            agent=agent,
            observation="",
            steps=(),
            status=Status.INFRA_ERROR,
            success=False,
            error=reason,
        )
        yield Finished(job, trajectory, ())
