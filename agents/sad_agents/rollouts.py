"""The rollout: one loop that drives an agent through many live episodes and yields them as they end."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sad_agents.agent import Agent, Decision, EpisodeStart
from sad_agents.world_host import Answer, Command
from sad_agents.world_pool import Event, LocalPool, Pool, ProcessPool, Seat, WorldRecipe, check
from sad_env import registry
from sad_env.errors import InfrastructureError
from sad_env.records import Status, Step, Trajectory
from sad_env.safe_text import one_line

_GRACE_SECONDS = 0.02
_FAILED_CALLS = 3
_VERDICTS = frozenset({"success", "score"})
_KNOWN_FIGURES = frozenset({"score", "progress"})


@dataclass(frozen=True)
class Job:
    """An episode to be played. Task, seed and repeat decide all draws of world and agent."""

    task_id: str
    seed: int = 0
    repeat: int = 0


@dataclass(frozen=True)
class Limits:
    """What ends an episode, and what is a fault.

    Attributes:
        max_steps: steps of an episode; None takes the world's own limit.
        max_tokens: generated tokens of an episode; it ends as BUDGET.
        seconds: wall time of an episode; it ends as BUDGET.
        invalid_actions: this many in a row end the episode as INVALID_ACTIONS.
        step_seconds: a world's step that takes longer is a hang (only with workers).
        reset_seconds: the same for a reset, the making of the world included.
        attempts: tries of an episode that ends in ENV_ERROR or INFRA_ERROR.
    """

    max_steps: int | None = None
    max_tokens: int | None = None
    seconds: float | None = None
    invalid_actions: int = 25
    step_seconds: float = 60.0
    reset_seconds: float = 300.0
    attempts: int = 3


class Finished(NamedTuple):
    """An episode that ended, and the attempts at it that had to be thrown away before."""

    job: Job
    trajectory: Trajectory
    attempts: tuple[Trajectory, ...]


@dataclass(eq=False)
class _Task:
    """A job and what happened to it so far."""

    job: Job
    attempts: list[Trajectory] = field(default_factory=list)


@dataclass(eq=False)
class _Episode:
    """A live episode."""

    number: int
    task: _Task
    seat: Seat
    began: float
    observation: str = ""
    prompt: str = ""
    data: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    decision: Decision | None = None
    known_to_agent: bool = False
    tokens: int = 0
    invalid_run: int = 0


def episode_seed(job: Job) -> int:
    """The seed of an agent's draws in an episode: all of task, seed and repeat go into it."""
    text = f"{job.seed}\0{job.repeat}\0{job.task_id}"
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:6], "big")


def rollout(
    agent: Agent,
    jobs: Iterable[Job],
    world: WorldRecipe,
    *,
    live: int = 16,
    workers: int = 0,
    limits: Limits = Limits(),
) -> Iterator[Finished]:
    """Play the jobs and yield each as it ends, in any order.

    An episode that ends in ENV_ERROR or INFRA_ERROR is played again with the same seeds, in a fresh process when there
    are workers, up to `limits.attempts` times. Closing the iterator, or Ctrl-C, ends all workers at once.

    Args:
        agent: serves all live episodes; its `act` gets all that wait for it in one call.
        jobs: consumed as seats become free.
        world: how to make the world.
        live: episodes at once.
        workers: processes that hold the worlds; 0 runs them in this process, where a crash is a crash.
        limits: what ends an episode.

    Raises:
        ConfigError, DataError: the world cannot be made, or a task does not exist or is damaged.
        InfrastructureError: the agent's model did not answer several times in a row; what was live has been yielded
            as INFRA_ERROR before.
    """
    pool: Pool
    if workers:
        count = min(workers, live)
        pool = ProcessPool(world, count, live, step_seconds=limits.step_seconds, reset_seconds=limits.reset_seconds)
    else:
        pool = LocalPool(world, live)
    loop = _Rollout(agent, iter(jobs), world.name, pool, limits)
    try:
        yield from loop.run()
    finally:
        pool.close()
        loop.release_agent()


class _Rollout:
    """State of one rollout."""

    def __init__(self, agent: Agent, jobs: Iterator[Job], world: str, pool: Pool, limits: Limits) -> None:
        self._agent = agent
        self._jobs = jobs
        self._world = world
        self._pool = pool
        self._limits = limits
        self._max_steps = limits.max_steps or registry.world(world).max_steps
        self._again: deque[_Task] = deque()
        """The world was not at fault, so any seat will do."""
        self._retries: deque[_Task] = deque()
        self._live: dict[Seat, _Episode] = {}
        self._ready: list[_Episode] = []
        self._finished: list[Finished] = []
        self._numbers = 0
        self._exhausted = False
        self._failed_calls = 0
        self._why = ""
        self._act_seconds = 0.0

    def run(self) -> Iterator[Finished]:
        while True:
            self._fill()
            if not self._live:
                if self._finished:
                    yield from self._drain()
                    continue
                return
            if len(self._ready) < len(self._live):
                self._collect()
            if self._ready:
                self._ask_agent()
            yield from self._drain()
            if self._failed_calls >= _FAILED_CALLS:
                yield from self._give_up()

    def release_agent(self) -> None:
        for episode in self._live.values():
            if episode.known_to_agent:
                self._agent.end(episode.number)
        self._live.clear()

    def _drain(self) -> Iterator[Finished]:
        finished, self._finished = self._finished, []
        yield from finished

    # --- beginning -----------------------------------------------------------------------------------------

    def _fill(self) -> None:
        while self._retries and (seat := self._pool.seat(fresh=True)):
            self._begin(self._retries.popleft(), seat)
        while True:
            if not self._again and self._exhausted:
                return
            seat = self._pool.seat(fresh=False)
            if seat is None:
                return
            task = self._again.popleft() if self._again else self._next_task()
            if task is None:
                self._pool.free(seat)
                return
            self._begin(task, seat)

    def _next_task(self) -> _Task | None:
        job = next(self._jobs, None)
        self._exhausted = job is None
        return None if job is None else _Task(job)

    def _begin(self, task: _Task, seat: Seat) -> None:
        self._numbers += 1
        self._live[seat] = _Episode(self._numbers, task, seat, time.monotonic())
        self._pool.submit(seat, Command(0, None, task.job.task_id, task.job.seed))

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
        episode = self._live.get(event.seat)
        if episode is None:
            return
        answer = event.answer
        if answer is None:
            self._lost(episode, event)
        elif answer.fault:
            check(answer)
            status = Status.INFRA_ERROR if answer.fault == "infrastructure" else Status.ENV_ERROR
            self._end(episode, status, answer.observation)
        elif episode.decision is None:
            self._begun(episode, answer)
        else:
            self._stepped(episode, answer)

    def _lost(self, episode: _Episode, event: Event) -> None:
        if event.guilty:
            self._end(episode, Status.ENV_ERROR, event.reason)
        else:
            self._leave(episode)
            self._again.append(episode.task)

    def _begun(self, episode: _Episode, answer: Answer) -> None:
        job = episode.task.job
        episode.observation, episode.info, episode.data = answer.observation, answer.info, answer.data
        visible = _without_verdict(answer.info)
        start = EpisodeStart(self._world, job.task_id, answer.observation, visible, episode_seed(job), job.seed)
        try:
            episode.prompt = self._agent.begin(episode.number, start)
        except InfrastructureError as error:
            self._end(episode, Status.INFRA_ERROR, one_line(str(error)))
            return
        except Exception as error:
            self._end(episode, Status.AGENT_ERROR, _reason(error))
            return
        episode.known_to_agent = True
        self._ready.append(episode)

    def _stepped(self, episode: _Episode, answer: Answer) -> None:
        decision = episode.decision
        assert decision is not None
        before, info = episode.info, answer.info
        episode.info = info
        self._record(episode, decision, answer.observation, before, answer)
        if not self._tell_agent(episode, decision, answer.observation, info):
            return
        if info["success"] and answer.terminated:
            self._end(episode, Status.SUCCESS)
        elif answer.terminated:
            self._end(episode, Status.FORCED_FINISH if info.get("forced_finish") else Status.FAILURE)
        else:
            self._go_on(episode, valid=info["valid_action"])

    # --- the agent's side ----------------------------------------------------------------------------------

    def _ask_agent(self) -> None:
        ready, self._ready = self._ready, []
        ready.sort(key=lambda episode: episode.number)
        began = time.perf_counter()
        decisions = self._decide(ready)
        self._act_seconds = time.perf_counter() - began
        for episode, decision in zip(ready, decisions, strict=True):
            episode.decision = decision
            episode.tokens += decision.generated_tokens
            if decision.stop is not None:
                self._end(episode, decision.stop, decision.error)
            elif decision.complaint:
                self._complain(episode, decision)
            else:
                self._pool.submit(episode.seat, Command(0, decision.action))

    def _decide(self, episodes: list[_Episode]) -> list[Decision]:
        try:
            decisions = self._agent.act([episode.number for episode in episodes])
        except InfrastructureError as error:
            self._count_failure(one_line(str(error)))
            return [_stopped(Status.INFRA_ERROR, one_line(str(error)))] * len(episodes)
        except Exception as error:
            if len(episodes) == 1:
                return [_stopped(Status.AGENT_ERROR, _reason(error))]
            # One by one, so that one episode's fault is not the others'.
            return [decision for episode in episodes for decision in self._decide([episode])]
        if len(decisions) != len(episodes):
            reason = f"{len(decisions)} decisions for {len(episodes)} episodes"
            return [_stopped(Status.AGENT_ERROR, reason)] * len(episodes)
        if any(decision.stop is not Status.INFRA_ERROR for decision in decisions):
            self._failed_calls = 0
        else:
            self._count_failure(decisions[0].error)
        return decisions

    def _count_failure(self, reason: str) -> None:
        self._failed_calls += 1
        self._why = reason

    def _give_up(self) -> Iterator[Finished]:
        for episode in list(self._live.values()):
            self._end(episode, Status.INFRA_ERROR, self._why, final=True)
        for task in (*self._retries, *self._again):
            if task.attempts:
                self._finished.append(Finished(task.job, task.attempts[-1], tuple(task.attempts[:-1])))
        yield from self._drain()
        raise InfrastructureError(self._why)

    def _complain(self, episode: _Episode, decision: Decision) -> None:
        text = f"No action was taken: {decision.complaint}."
        info = {**episode.info, "valid_action": False}
        self._record(episode, decision, text, episode.info, None)
        if self._tell_agent(episode, decision, text, info):
            self._go_on(episode, valid=False)

    def _tell_agent(self, episode: _Episode, decision: Decision, observation: str, info: Mapping[str, Any]) -> bool:
        try:
            self._agent.observe(episode.number, decision, observation, _without_verdict(info))
        except Exception as error:
            self._end(episode, Status.AGENT_ERROR, _reason(error))
            return False
        return True

    def _go_on(self, episode: _Episode, *, valid: bool) -> None:
        limits = self._limits
        episode.invalid_run = 0 if valid else episode.invalid_run + 1
        if len(episode.steps) >= self._max_steps:
            # A world may be won without being over.
            self._end(episode, Status.SUCCESS if episode.info["success"] else Status.MAX_STEPS)
        elif episode.invalid_run >= limits.invalid_actions:
            self._end(episode, Status.INVALID_ACTIONS)
        elif self._spent(episode):
            self._end(episode, Status.BUDGET)
        else:
            self._ready.append(episode)

    def _spent(self, episode: _Episode) -> bool:
        limits = self._limits
        if limits.max_tokens is not None and episode.tokens >= limits.max_tokens:
            return True
        return limits.seconds is not None and time.monotonic() - episode.began >= limits.seconds

    # --- ending --------------------------------------------------------------------------------------------

    def _record(
        self, episode: _Episode, decision: Decision, observation: str, before: Mapping[str, Any], answer: Answer | None
    ) -> None:
        admissible = before.get("admissible_actions")
        progress = episode.info.get("progress")
        episode.steps.append(
            Step(
                completion=decision.completion,
                spans=decision.spans,
                reasoning=decision.reasoning,
                action=decision.action,
                observation=observation,
                reward=float(answer.reward) if answer else 0.0,
                parsed=answer is not None,
                valid=bool(answer is not None and answer.info["valid_action"]),
                admissible=None if admissible is None else tuple(admissible),
                progress=None if progress is None else float(progress),
                token_ids=decision.token_ids,
                token_labels=decision.token_labels,
                generated_tokens=decision.generated_tokens,
                agent_seconds=decision.seconds,
                world_seconds=answer.seconds if answer else 0.0,
            )
        )

    def _leave(self, episode: _Episode) -> None:
        del self._live[episode.seat]
        if episode in self._ready:
            self._ready.remove(episode)
        if episode.known_to_agent:
            self._agent.end(episode.number)
        self._pool.free(episode.seat)

    def _end(self, episode: _Episode, status: Status, error: str = "", *, final: bool = False) -> None:
        self._leave(episode)
        task, trajectory = episode.task, self._trajectory(episode, status, error)
        retry = status in (Status.ENV_ERROR, Status.INFRA_ERROR) and not final
        if retry and len(task.attempts) + 1 < self._limits.attempts:
            task.attempts.append(trajectory)
            (self._retries if status is Status.ENV_ERROR else self._again).append(task)
        else:
            self._finished.append(Finished(task.job, trajectory, tuple(task.attempts)))

    def _trajectory(self, episode: _Episode, status: Status, error: str) -> Trajectory:
        info, job = episode.info, episode.task.job
        return Trajectory(
            world=self._world,
            data=episode.data,
            split=str(info.get("split", "")),
            task_id=job.task_id,
            task_type=str(info.get("task_type", "")),
            seed=job.seed,
            repeat=job.repeat,
            agent=self._agent.name,
            prompt=episode.prompt,
            observation=episode.observation,
            steps=tuple(episode.steps),
            status=status,
            success=bool(info.get("success", False)),
            score=float(info.get("score", 0.0)),
            error=error,
            seconds=time.monotonic() - episode.began,
            extra=_figures(info),
        )


def _without_verdict(info: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in info.items() if key not in _VERDICTS}


def _figures(info: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in info.items() if type(value) is float and key not in _KNOWN_FIGURES}


def _stopped(status: Status, error: str) -> Decision:
    return Decision("", (), "", "", stop=status, error=error)


def _reason(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")
