"""What an expert does in our own harness, which every framework has to repeat."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from sad_agents.policies import ExpertAgent
from sad_agents.rollout.episodes import episode_seed
from sad_agents.rollout.rollout import Job, WorldRecipe, rollout

import sad_env
from sad_env.expert import Expert
from sad_env.records import Status
from sad_env.transcript import compose, parse

EPISODES = 100

Outcomes = dict[str, tuple[bool, int]]
"""Task id to: won, steps."""


class Harness:
    """Our own harness, and the experts that it would have."""

    def play(self, world: str) -> Outcomes:
        """Let the expert play the first tasks of a world's panel, as `sad-eval` does."""
        jobs = [Job(task) for task in sad_env.panel(world, episodes=EPISODES).task_ids]
        recipe = WorldRecipe(world, {"split": sad_env.panel(world).name})
        done = [one.trajectory for one in rollout(ExpertAgent(world), jobs, recipe)]
        return {one.task_id: (one.status is Status.SUCCESS, len(one.steps)) for one in done}

    def expert(self, world: str, task_id: str, observation: str, info: Mapping[str, Any]) -> Expert:
        """The expert of this episode, after its first observation."""
        expert = sad_env.make_expert(world, seed=episode_seed(Job(task_id)))
        expert.begin(observation, info)
        return expert

    def writer(self, world: str) -> Callable[[list[str]], str]:
        """A model that writes what the expert would: from a chat's turns after the system's, the first an observation.

        The expert is made anew for every turn, from nothing but the chat: it has no memory of its own.
        """
        env = sad_env.make(world)
        tasks = {env.reset(options={"task_id": task})[0]: task for task in env.panel.task_ids}

        def write(turns: list[str]) -> str:
            expert = self.expert(world, tasks[turns[0]], turns[0], env.reset(options={"task_id": tasks[turns[0]]})[1])
            for completion, observation in zip(turns[1::2], turns[2::2], strict=True):
                expert.observe(parse(completion).action, observation, {})
            return compose(*expert.decide()).text

        return write

    @contextmanager
    def timed(self, name: str, episodes: int) -> Iterator[None]:
        """Prints episodes per second of wall time; read with -s."""
        began = time.perf_counter()
        yield
        print(f"\n{name}: {episodes / (time.perf_counter() - began):.1f} episodes/s")


@pytest.fixture(scope="session")
def harness() -> Harness:
    return Harness()
