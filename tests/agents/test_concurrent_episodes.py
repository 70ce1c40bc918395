from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from sad_agents.agent import Agent, Decision, EpisodeStart, concurrent
from sad_agents.noisy_agent import NoisyAgent
from sad_agents.perturbed_agent import PerturbedAgent
from sad_agents.policies import ExpertAgent, NullAgent
from sad_agents.rollout.rollout import Finished, Job, Limits, rollout

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.records import Status

sys.path.insert(0, str(Path(__file__).parent))
from test_rollouts import TASKS, TOY, by_task, failing

PATIENCE = 20.0
"""Seconds after which a test that would hang fails instead."""


class Apart(ExpertAgent):
    """An expert that is asked in threads."""

    concurrent = True


class Slow(Apart):
    """Does not answer for one task before it is told to."""

    def __init__(self, task: str) -> None:
        super().__init__("toy")
        self.task, self.slow, self.told = task, -1, threading.Event()

    def begin(self, episode: int, start: EpisodeStart) -> str:
        if start.task_id == self.task:
            self.slow = episode
        return super().begin(episode, start)

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        if self.slow in episodes:
            assert self.told.wait(PATIENCE)
        return super().act(episodes)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_slow_answer_holds_up_its_own_episode_only(workers: int) -> None:
    jobs, agent = [Job(task) for task in TASKS[:8]], Slow(TASKS[1])
    ended = []
    for one in rollout(agent, jobs, TOY, live=3, workers=workers):
        ended.append(one.job.task_id)
        if len(ended) == 7:
            agent.told.set()
    assert ended[-1] == TASKS[1]
    assert sorted(ended) == sorted(TASKS[:8])


@pytest.mark.parametrize("workers", [0, 2])
def test_episodes_are_those_of_one_call_for_all(workers: int) -> None:
    jobs = [Job(task, seed=2) for task in TASKS[:12]]
    noisy = by_task(list(rollout(NoisyAgent(ExpertAgent("toy"), 0.3, "toy"), jobs, TOY, live=4)))
    agent = NoisyAgent(Apart("toy"), 0.3, "toy")
    assert by_task(list(rollout(agent, jobs, TOY, live=5, workers=workers))) == noisy


def test_wrappers_are_as_concurrent_as_what_they_wrap() -> None:
    for kind in (ExpertAgent, Apart):
        wrapped: list[Agent] = [NoisyAgent(kind("toy"), 0.1, "toy"), PerturbedAgent(kind("toy"), "typos")]
        assert {concurrent(agent) for agent in wrapped} == {kind is Apart}


class Flaky(NullAgent):
    """Reaches no model in its first calls, all of which are under way at once."""

    concurrent = True

    def __init__(self, failures: int, at_once: int) -> None:
        self.failures, self.calls = failures, 0
        self.barrier = threading.Barrier(at_once)
        self.lock = threading.Lock()

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        with self.lock:
            self.calls += 1
            fails = self.calls <= self.failures
        if fails:
            self.barrier.wait(PATIENCE)
            raise InfrastructureError("the server is unreachable")
        return super().act(episodes)


def test_calls_that_fail_at_the_same_time_are_one_failure() -> None:
    jobs = [Job(task) for task in TASKS[:4]]
    finished = list(rollout(Flaky(8, 4), jobs, TOY, live=4, limits=Limits(max_steps=2)))
    assert [one.trajectory.status for one in finished] == [Status.MAX_STEPS] * 4
    assert [len(one.attempts) for one in finished] == [2] * 4


def test_a_model_that_stays_away_ends_the_rollout_with_everything_accounted_for() -> None:
    finished: list[Finished] = []
    with pytest.raises(InfrastructureError, match="the server is unreachable"):
        finished.extend(rollout(Flaky(99, 2), [Job(task) for task in TASKS[:5]], TOY, live=2))
    assert sorted(one.job.task_id for one in finished) == sorted(TASKS[:2])
    assert {one.trajectory.status for one in finished} == {Status.INFRA_ERROR}


class Broken(Apart):
    """Raises at every call."""

    def __init__(self, error: Exception) -> None:
        super().__init__("toy")
        self.error = error

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        raise self.error


def test_what_act_raises_is_its_episodes_or_says_that_the_set_up_is_wrong() -> None:
    finished = list(rollout(Broken(ValueError("oops")), [Job(task) for task in TASKS[:3]], TOY, live=2))
    assert {one.trajectory.error for one in finished} == {"ValueError: oops"}
    with pytest.raises(ConfigError, match="take another key"):
        list(rollout(Broken(ConfigError("take another key")), [Job(TASKS[0])], TOY))


@pytest.mark.parametrize("how", ["raise", "kill"])
def test_a_worker_may_fail_while_others_are_acting(how: str, failing_world: str, tmp_path: Path) -> None:
    jobs = [Job(task, seed=1) for task in TASKS[:8]]
    calm = by_task(list(rollout(ExpertAgent("toy"), jobs, TOY)))
    finished = list(rollout(Apart("failing"), jobs, failing(failing_world, tmp_path / how, how), live=4, workers=2))
    assert [one.job.task_id for one in finished if one.attempts] == [TASKS[4]]
    for values in calm.values():
        values["world"] = "failing"
    assert by_task(finished) == calm


def test_closing_waits_for_no_answer() -> None:
    agent = Slow(TASKS[1])
    episodes = rollout(agent, [Job(task) for task in TASKS[:4]], TOY, live=2)
    next(episodes)
    episodes.close()
    agent.told.set()
    for thread in threading.enumerate():
        if thread.name.startswith("episode"):
            thread.join(PATIENCE)
            assert not thread.is_alive()
