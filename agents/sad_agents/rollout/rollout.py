"""The rollout: one loop that drives an agent through many live episodes and yields them as they end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sad_agents.agent import Agent, Decision, EpisodeStart, concurrent, flow_of
from sad_agents.rollout.calls import Calls
from sad_agents.rollout.episodes import (
    NO_LIMITS,
    Finished,
    Job,
    Limits,
    LiveEpisode,
    Task,
    checked,
    episode_seed,
    verdict,
)
from sad_agents.rollout.flow import Flow
from sad_agents.rollout.world_pool import Event, LocalPool, Pool, ProcessPool, Slot, check
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.rollout.world_worker import ResetRequest, StepRequest, WorldResponse
from sad_env import registry
from sad_env.errors import CheckpointError, ConfigError, DataError, InfrastructureError, UnknownNameError
from sad_env.records import Status
from sad_env.safe_text import one_line

__all__ = ["Finished", "Job", "Limits", "WorldRecipe", "episode_seed", "rollout"]

_GRACE_SECONDS = 0.02
"""How long the first worlds that answer wait for the others, at least."""
_FAILED_CALLS = 3
"""Calls of the agent in a row that reach no model before the rollout gives up."""
_SETUP = (CheckpointError, ConfigError, DataError, UnknownNameError)
"""What says that an agent was set up wrongly: no episode of it would say anything of the agent."""


def rollout(
    agent: Agent,
    jobs: Iterable[Job],
    world: WorldRecipe,
    *,
    live: int = 16,
    workers: int = 0,
    limits: Limits = NO_LIMITS,
) -> Iterator[Finished]:
    """Play the jobs and yield each as it ends, in any order.

    An episode that ends in ENV_ERROR or INFRA_ERROR is played again with the same seeds, in a fresh process when there
    are workers, up to `limits.attempts` times. Closing the iterator, or Ctrl-C, ends all workers at once.

    Args:
        agent: serves all live episodes. Its `act` gets all that wait for it in one call, or, where the agent says that
            it is concurrent, each by itself, in threads; with worlds in this process, one that has a flow
            (`DecisionFlow`) takes them in one by one.
        jobs: consumed as slots become free.
        world: how to make the world.
        live: episodes at once.
        workers: processes that hold the worlds; 0 runs them in this process, where a crash is a crash.
        limits: what ends an episode.

    Raises:
        ConfigError: the world cannot be made with these options, a task does not exist, or the agent says that it does
            not fit. As with the others, what had ended has been yielded before.
        UnknownNameError: the agent asks for something that is not registered.
        CheckpointError: the agent's checkpoint cannot be used.
        DataError: data are missing or corrupt.
        InfrastructureError: the agent's model did not answer several times in a row; what was live has been yielded
            as INFRA_ERROR before.
    """
    if live < 1 or workers < 0:
        raise ConfigError(f"at least 1 live episode and 0 workers are needed, not {live} and {workers}")
    pool: Pool
    if workers:
        count = min(workers, live)
        pool = ProcessPool(world, count, live, step_seconds=limits.step_seconds, reset_seconds=limits.reset_seconds)
    else:
        pool = LocalPool(world, live)
    loop = _Rollout(agent, iter(jobs), world, pool, limits, threads=live if concurrent(agent) else 0)
    try:
        yield from loop.run()
    finally:
        loop.close()


class _Rollout:
    """State of one rollout."""

    def __init__(
        self, agent: Agent, jobs: Iterator[Job], world: WorldRecipe, pool: Pool, limits: Limits, *, threads: int
    ) -> None:
        self._agent = agent
        self._jobs = jobs
        self._world = world.name
        self._pool = pool
        self._limits = limits
        self._max_steps = limits.max_steps or registry.world(world.name).limit(world.options)
        self._again: deque[Task] = deque()
        """Episodes that lost their world by no fault of it, so that any slot will do."""
        self._retries: deque[Task] = deque()
        self._live: dict[Slot, LiveEpisode] = {}
        self._ready: list[LiveEpisode] = []
        self._finished: list[Finished] = []
        self._numbers = 0
        self._exhausted = False
        self._failed_calls = 0
        self._why = ""
        self._act_seconds = 0.0
        self._calls: Calls[LiveEpisode, Decision] | Flow | None = None
        """Where each episode acts by itself; otherwise all that are ready act in one call."""
        if threads:
            self._calls = Calls(lambda episode: self._decide([episode])[0], threads)
            pool.watch(self._calls)
        elif isinstance(pool, LocalPool) and (flow := flow_of(agent)) is not None:
            self._calls = Flow(agent, flow, self._decide)

    def run(self) -> Iterator[Finished]:
        try:
            yield from self._play()
        except _SETUP:
            yield from self._drain()
            raise

    def _play(self) -> Iterator[Finished]:
        while True:
            self._fill()
            if not self._live:
                if self._finished:
                    yield from self._drain()
                    continue
                return
            if self._calls is None:
                self._act_together()
            else:
                self._act_apart(self._calls)
            yield from self._drain()
            if self._failed_calls >= _FAILED_CALLS:
                yield from self._give_up()

    def close(self) -> None:
        """End the worlds, and let the agent forget what was live."""
        if self._calls is not None:
            self._calls.close()
        self._pool.close()
        for episode in self._live.values():
            if episode.known_to_agent:
                self._agent.end(episode.number)
        self._live.clear()

    def _drain(self) -> Iterator[Finished]:
        finished, self._finished = self._finished, []
        yield from finished

    # --- beginning -----------------------------------------------------------------------------------------

    def _fill(self) -> None:
        while self._retries and (slot := self._pool.acquire(fresh=True)):
            self._begin(self._retries.popleft(), slot)
        while True:
            if not self._again and self._exhausted:
                return
            slot = self._pool.acquire(fresh=False)
            if slot is None:
                return
            task = self._again.popleft() if self._again else self._next_task()
            if task is None:
                self._pool.release(slot)
                return
            self._begin(task, slot)

    def _next_task(self) -> Task | None:
        job = next(self._jobs, None)
        self._exhausted = job is None
        return None if job is None else Task(job)

    def _begin(self, task: Task, slot: Slot) -> None:
        self._numbers += 1
        self._live[slot] = LiveEpisode(self._numbers, task, slot, time.monotonic())
        self._pool.submit(slot, ResetRequest(task.job.task_id, task.job.seed))

    # --- the world's side ----------------------------------------------------------------------------------

    def _collect(self) -> None:
        """Wait for the worlds: for all of them where they are quick, for some where others are slow.

        Full batches serve a model best, and make the batches of two equal runs equal.
        """
        grace = max(_GRACE_SECONDS, self._act_seconds / 2)
        deadline: float | None = None
        while len(self._ready) < len(self._live):
            if deadline is None and (self._ready or self._finished):
                deadline = time.monotonic() + grace
            wait = 3600.0 if deadline is None else deadline - time.monotonic()
            if wait <= 0:
                return
            for event in self._pool.events(wait=wait):
                self._handle(event)
            self._fill()

    def _handle(self, event: Event) -> None:
        episode = self._live.get(event.slot)
        if episode is None:
            return
        response = event.response
        if response is None:
            self._lost(episode, event)
        elif response.fault:
            check(response)
            status = Status.INFRA_ERROR if response.fault == "infrastructure" else Status.ENV_ERROR
            self._end(episode, status, response.observation)
        elif episode.decision is None:
            self._begun(episode, response)
        else:
            self._stepped(episode, response)

    def _lost(self, episode: LiveEpisode, event: Event) -> None:
        if event.crashed:
            self._end(episode, Status.ENV_ERROR, event.reason)
        else:
            self._leave(episode)
            self._again.append(episode.task)

    def _begun(self, episode: LiveEpisode, response: WorldResponse) -> None:
        job = episode.task.job
        episode.observation, episode.info, episode.data = response.observation, response.info, response.data
        visible = _without_verdict(response.info)
        start = EpisodeStart(self._world, job.task_id, response.observation, visible, episode_seed(job), job.seed)
        try:
            prompt = self._agent.begin(episode.number, start)
            if not isinstance(prompt, str):
                raise TypeError(f"begin gave a {type(prompt).__name__} where the prompt, a str, is expected")
        except _SETUP:
            raise
        except Exception as error:
            self._blame(episode, error)
            return
        episode.prompt = prompt
        episode.known_to_agent = True
        self._ready.append(episode)

    def _stepped(self, episode: LiveEpisode, response: WorldResponse) -> None:
        decision = episode.decision
        assert decision is not None
        episode.record(decision, response.observation, response)
        if self._tell_agent(episode, decision, response.observation):
            if response.terminated:
                self._end(episode, verdict(response.info))
            else:
                self._go_on(episode)

    # --- the agent's side ----------------------------------------------------------------------------------

    def _act_together(self) -> None:
        if len(self._ready) < len(self._live):
            self._collect()
        ready, self._ready = sorted(self._ready, key=lambda episode: episode.number), []
        if not ready:
            return
        began = time.perf_counter()
        decisions = self._decide(ready)
        self._act_seconds = time.perf_counter() - began
        self._count(decisions, self._failed_calls)
        for episode, decision in zip(ready, decisions, strict=True):
            self._play_on(episode, decision)

    def _act_apart(self, calls: Calls[LiveEpisode, Decision] | Flow) -> None:
        """Ask for those that are ready, and go on with those whose world or agent has answered meanwhile."""
        if isinstance(calls, Flow):
            self._serve_worlds()
        ready, self._ready = self._ready, []
        for episode in ready:
            episode.failed_before = self._failed_calls
            calls.ask(episode)
        for event in self._pool.events(wait=3600.0):
            self._handle(event)
        for episode, decision, error in calls.answers():
            if error is not None:
                raise error
            assert decision is not None
            if self._live.get(episode.slot) is episode:  # it may have lost its world
                self._count([decision], episode.failed_before)
                self._play_on(episode, decision)

    def _serve_worlds(self) -> None:
        """Let worlds in this process answer, and episodes begin in the place of those that ended by it.

        They join the next pass of a flow then, and do not wait for another episode's decision before.
        """
        for _ in range(2):
            for event in self._pool.events(wait=0.0):
                self._handle(event)
            self._fill()

    def _play_on(self, episode: LiveEpisode, decision: Decision) -> None:
        episode.decision = decision
        episode.tokens += decision.generated_tokens
        if decision.stop is not None:
            self._end(episode, decision.stop, decision.error)
        elif decision.complaint:
            self._complain(episode, decision)
        else:
            self._pool.submit(episode.slot, StepRequest(decision.action))

    def _decide(self, episodes: list[LiveEpisode]) -> list[Decision]:
        try:
            return checked(self._agent.act([episode.number for episode in episodes]), len(episodes))
        except InfrastructureError as error:
            return [Decision.stopped(Status.INFRA_ERROR, one_line(str(error)))] * len(episodes)
        except _SETUP:
            raise
        except Exception as error:
            if len(episodes) == 1:
                return [Decision.stopped(Status.AGENT_ERROR, _reason(error))]
            # One by one, so that one episode's fault is not the others'.
            return [decision for episode in episodes for decision in self._decide([episode])]

    def _count(self, decisions: Sequence[Decision], failed_before: int) -> None:
        """Count calls that reached no model; those that were under way at the same time count once."""
        if any(decision.stop is not Status.INFRA_ERROR for decision in decisions):
            self._failed_calls = 0
        elif failed_before == self._failed_calls:
            self._failed_calls += 1
            self._why = decisions[0].error

    def _give_up(self) -> Iterator[Finished]:
        for episode in list(self._live.values()):
            self._end(episode, Status.INFRA_ERROR, self._why, final=True)
        for task in (*self._retries, *self._again):
            if task.attempts:
                self._finished.append(Finished(task.job, task.attempts[-1], tuple(task.attempts[:-1])))
        yield from self._drain()
        raise InfrastructureError(self._why)

    def _complain(self, episode: LiveEpisode, decision: Decision) -> None:
        text = f"No action was taken: {decision.complaint}."
        episode.info = {**episode.info, "valid_action": False}
        episode.record(decision, text, None)
        if self._tell_agent(episode, decision, text):
            self._go_on(episode)

    def _tell_agent(self, episode: LiveEpisode, decision: Decision, observation: str) -> bool:
        try:
            self._agent.observe(episode.number, decision, observation, _without_verdict(episode.info))
        except _SETUP:
            raise
        except Exception as error:
            self._blame(episode, error)
            return False
        return True

    def _blame(self, episode: LiveEpisode, error: Exception) -> None:
        """End an episode whose agent raised."""
        if isinstance(error, InfrastructureError):
            self._end(episode, Status.INFRA_ERROR, one_line(str(error)))
        else:
            self._end(episode, Status.AGENT_ERROR, _reason(error))

    def _go_on(self, episode: LiveEpisode) -> None:
        status = episode.spent(self._limits, self._max_steps)
        if status is None:
            self._ready.append(episode)
        else:
            self._end(episode, status)

    # --- ending --------------------------------------------------------------------------------------------

    def _leave(self, episode: LiveEpisode) -> None:
        del self._live[episode.slot]
        if episode in self._ready:
            self._ready.remove(episode)
        if episode.known_to_agent:
            self._agent.end(episode.number)
        self._pool.release(episode.slot)

    def _end(self, episode: LiveEpisode, status: Status, error: str = "", *, final: bool = False) -> None:
        self._leave(episode)
        task = episode.task
        trajectory = episode.trajectory(self._world, self._agent, status, error)
        retry = status in (Status.ENV_ERROR, Status.INFRA_ERROR) and not final
        if retry and len(task.attempts) + 1 < self._limits.attempts:
            task.attempts.append(trajectory)
            (self._retries if status is Status.ENV_ERROR else self._again).append(task)
        else:
            self._finished.append(Finished(task.job, trajectory, tuple(task.attempts)))


def _without_verdict(info: Mapping[str, Any]) -> dict[str, Any]:
    """What an agent sees of a world's info."""
    visible = dict(info)
    visible.pop("success", None)
    visible.pop("score", None)
    return visible


def _reason(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")
