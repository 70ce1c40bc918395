"""Jobs, limits, and the state of an episode that is being played."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import ValidationError

from sad_agents.agent import Agent, Decision, writes
from sad_agents.rollout.world_pool import Slot
from sad_agents.rollout.world_worker import WorldResponse
from sad_env.records import Status, Step, Trajectory
from sad_env.safe_text import one_line

_KNOWN_FIGURES = frozenset({"score", "progress"})
"""Numbers of a world's info that have a field of their own in the records."""


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
        repeats: it ends as MAX_STEPS where the same action has brought the same answer more often than this, in a row
            or not; None lets it go in circles.
        step_seconds: a world's step that takes longer is a hang (only with workers).
        reset_seconds: the same for a reset, the making of the world included.
        attempts: tries of an episode that ends in ENV_ERROR or INFRA_ERROR.
    """

    max_steps: int | None = None
    max_tokens: int | None = None
    seconds: float | None = None
    invalid_actions: int = 25
    repeats: int | None = None
    step_seconds: float = 60.0
    reset_seconds: float = 300.0
    attempts: int = 3


NO_LIMITS = Limits()
"""The world's own step limit, and bounds that only a fault reaches."""


class Finished(NamedTuple):
    """An episode that ended, and the attempts at it that had to be thrown away before."""

    job: Job
    trajectory: Trajectory
    attempts: tuple[Trajectory, ...]


@dataclass(eq=False)
class Task:
    """A job and what happened to it so far."""

    job: Job
    attempts: list[Trajectory] = field(default_factory=list)


@dataclass(eq=False)
class LiveEpisode:
    """An episode that has begun and not ended.

    Attributes:
        number: the agent's name for it.
        task: what is being played.
        slot: where its world is.
        began: monotonic time.
        info: the world's latest.
        decision: the agent's latest; None before the first.
        known_to_agent: the agent has begun it, so its `end` is expected.
        tokens: generated so far.
        invalid_run: invalid actions in a row.
        answered: how often each action brought each answer.
        failed_before: calls of the agent that had failed in a row when it was asked for this episode.
    """

    number: int
    task: Task
    slot: Slot
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
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed_before: int = 0

    def record(self, decision: Decision, observation: str, response: WorldResponse | None) -> None:
        """Add a step; `response` is None when the decision held no action and the world was not asked."""
        admissible = self.info.get("admissible_actions")
        if response is not None:
            self.info = response.info
        valid = response is not None and bool(response.info["valid_action"])
        progress = self.info.get("progress")
        self.invalid_run = 0 if valid else self.invalid_run + 1
        self.answered[decision.action, observation] += 1
        self.steps.append(
            Step(
                **_written(decision),
                observation=observation,
                reward=float(response.reward) if response else 0.0,
                parsed=response is not None,
                valid=valid,
                admissible=None if admissible is None else tuple(admissible),
                progress=None if progress is None else float(progress),
                world_seconds=response.seconds if response else 0.0,
            )
        )

    def spent(self, limits: Limits, max_steps: int) -> Status | None:
        """The limit that it has reached, if any."""
        circling = limits.repeats is not None and max(self.answered.values(), default=0) > limits.repeats
        if circling or len(self.steps) >= max_steps:
            # A world may be won without being over.
            return Status.SUCCESS if self.info["success"] else Status.MAX_STEPS
        if self.invalid_run >= limits.invalid_actions:
            return Status.INVALID_ACTIONS
        if limits.max_tokens is not None and self.tokens >= limits.max_tokens:
            return Status.BUDGET
        if limits.seconds is not None and time.monotonic() - self.began >= limits.seconds:
            return Status.BUDGET
        return None

    def trajectory(self, world: str, agent: Agent, status: Status, error: str) -> Trajectory:
        """The record of the whole."""
        info, job = self.info, self.task.job
        form, chat = writes(agent)
        return Trajectory(
            world=world,
            data=self.data,
            split=str(info.get("split", "")),
            task_id=job.task_id,
            task_type=str(info.get("task_type", "")),
            seed=job.seed,
            repeat=job.repeat,
            agent=agent.name,
            prompt=self.prompt,
            observation=self.observation,
            steps=tuple(self.steps),
            status=status,
            success=bool(info.get("success", False)),
            score=float(info.get("score", 0.0)),
            error=error,
            seconds=time.monotonic() - self.began,
            extra={k: value for k, value in info.items() if type(value) is float and k not in _KNOWN_FIGURES},
            form=form,
            chat=chat,
        )


def verdict(info: Mapping[str, Any]) -> Status:
    """How an episode ended whose world says, with this info, that it is over."""
    if info["success"]:
        return Status.SUCCESS
    return Status.FORCED_FINISH if info.get("forced_finish") else Status.FAILURE


def fault_of(decision: object) -> str:
    """Why what an agent gave is no decision that can be recorded, in one line; empty when it is one."""
    if not isinstance(decision, Decision):
        return f"act gave a {type(decision).__name__} where a Decision is expected"
    if not isinstance(decision.stop, Status | None) or not isinstance(decision.error, str):
        return "a decision's stop is a Status or None, its error a str"
    try:
        Step(**_written(decision), observation="")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "decision"
        return one_line(f"no decision that can be recorded: {where}: {first['msg']}")
    return ""


def checked(given: object, count: int) -> list[Decision]:
    """What `act` gave, with what is no decision replaced by its episode's end."""
    if not isinstance(given, Sequence) or len(given) != count:
        what = f"{len(given)} decisions" if isinstance(given, Sequence) else f"a {type(given).__name__}"
        return [Decision.stopped(Status.AGENT_ERROR, f"act gave {what} where a list of {count} is expected")] * count
    return [
        Decision.stopped(Status.AGENT_ERROR, fault) if (fault := fault_of(decision)) else decision for decision in given
    ]


def _written(decision: Decision) -> dict[str, Any]:
    """The fields of a step that are the agent's."""
    return {
        "completion": decision.completion,
        "spans": decision.spans,
        "reasoning": decision.reasoning,
        "action": decision.action,
        "token_ids": decision.token_ids,
        "token_labels": decision.token_labels,
        "logprobs": decision.logprobs,
        "top_logprobs": decision.top_logprobs,
        "generated_tokens": decision.generated_tokens,
        "agent_seconds": decision.seconds,
        "author": decision.author,
    }


def episode_seed(job: Job) -> int:
    """The seed of an agent's draws in an episode: all of task, seed and repeat go into it."""
    text = f"{job.seed}\0{job.repeat}\0{job.task_id}"
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:6], "big")
