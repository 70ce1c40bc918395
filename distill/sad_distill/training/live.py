"""The student in live worlds: its episodes, the teacher's guiding hand, and what is not worth learning from."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sad_agents.agent import Agent, Decision, EpisodeStart
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_pool import WorldRecipe

from sad_distill.training.run_dir import read_whole
from sad_env.json_lines import JsonLinesWriter
from sad_env.records import Trajectory


@dataclass(frozen=True)
class Stage:
    """Where episodes are played.

    Attributes:
        world: how to make it.
        tasks: task ids to draw from.
        live: episodes at once.
        workers: processes for the worlds.
    """

    world: WorldRecipe
    tasks: tuple[str, ...]
    live: int = 16
    workers: int = 0

    def jobs(self, iteration: int, count: int, seed: int) -> list[Job]:
        """The tasks of an iteration: a pure function, every task once before any comes again."""
        jobs = []
        for place in range(iteration * count, (iteration + 1) * count):
            epoch, index = divmod(place, len(self.tasks))
            order = list(self.tasks)
            random.Random(f"tasks {seed} {epoch}").shuffle(order)
            jobs.append(Job(order[index], seed=seed, repeat=epoch))
        return jobs


def play(agent: Agent, stage: Stage, jobs: Sequence[Job], path: Path, max_steps: int | None) -> list[Trajectory]:
    """Play jobs and return their episodes in the order of the jobs.

    Each episode is written to `path` as it ends; jobs that stand there already are not played again.
    """
    have = {(one.task_id, one.seed, one.repeat): one for one in read_whole(path)}
    missing = [job for job in jobs if (job.task_id, job.seed, job.repeat) not in have]
    if missing:
        limits = Limits(max_steps=max_steps)
        with JsonLinesWriter(path) as writer:
            for finished in rollout(agent, missing, stage.world, live=stage.live, workers=stage.workers, limits=limits):
                trajectory = finished.trajectory
                writer.append(trajectory.to_json())
                have[trajectory.task_id, trajectory.seed, trajectory.repeat] = trajectory
    return [have[job.task_id, job.seed, job.repeat] for job in jobs]


def without_loops(trajectory: Trajectory, repeats: int = 3) -> Trajectory:
    """The episode up to where the same action has brought the same answer `repeats` times.

    What follows is mostly more of the same, and would outweigh everything else in a batch.
    """
    seen: Counter[tuple[str, str]] = Counter()
    for index, step in enumerate(trajectory.steps):
        seen[step.action, step.observation] += 1
        if seen[step.action, step.observation] > repeats:
            return trajectory.model_copy(update={"steps": trajectory.steps[:index]})
    return trajectory


@dataclass
class GuidedAgent:
    """The student acts; at some turns, chosen by chance, the teacher does.

    Attributes:
        student: an agent.
        teacher: an agent that watches, and takes a turn when it is chosen.
        share: chance that it is chosen.
        seed: first part of the seed of each choice.
    """

    student: Agent
    teacher: Agent
    share: float
    seed: int = 0
    name: str = "guided"
    _starts: dict[int, EpisodeStart] = field(default_factory=dict)
    _turns: dict[int, int] = field(default_factory=dict)

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Both begin; the student's prompt is the episode's."""
        prompt = self.student.begin(episode, start)
        self.teacher.begin(episode, start)
        self._starts[episode], self._turns[episode] = start, 0
        return prompt

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """One decision an episode, by whoever has the turn."""
        guided = [episode for episode in episodes if self._chosen(episode)]
        own = [episode for episode in episodes if not self._chosen(episode)]
        decisions: dict[int, Decision] = {}
        for agent, mine in ((self.teacher, guided), (self.student, own)):
            if mine:
                decisions.update(zip(mine, agent.act(mine), strict=True))
        return [decisions[episode] for episode in episodes]

    def _chosen(self, episode: int) -> bool:
        draw = random.Random(f"guide {self.seed} {self._starts[episode].seed} {self._turns[episode]}")
        return draw.random() < self.share

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """Both see what came back."""
        self._turns[episode] += 1
        self.student.observe(episode, decision, observation, info)
        self.teacher.observe(episode, decision, observation, info)

    def end(self, episode: int) -> None:
        """Both forget."""
        self._starts.pop(episode, None)
        self._turns.pop(episode, None)
        self.student.end(episode)
        self.teacher.end(episode)
