"""Whether an episode's recorded ending follows from the world and the run's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sad_agents.rollout.episodes import NO_LIMITS, verdict
from sad_eval.records import Manifest

from sad_env.records import Status, Step, Trajectory
from sad_env.transcript import render
from sad_leaderboard.recompute import step_limit


@dataclass(frozen=True)
class Bounds:
    """The limits of a run.

    Attributes:
        max_steps: steps of an episode.
        invalid_actions: this many in a row end an episode.
        max_tokens: generated tokens of an episode; None for no limit.
        max_seconds: wall time of an episode; None for no limit.
        context: tokens that the model is shown at most, those of its next completion included.
        completion: tokens of one completion at most.
    """

    max_steps: int
    invalid_actions: int = NO_LIMITS.invalid_actions
    max_tokens: float | None = None
    max_seconds: float | None = None
    context: int = 0
    completion: int = 0

    @classmethod
    def of(cls, manifest: Manifest) -> Bounds:
        """The limits that a manifest names; `recompute` has checked that they are numbers above 0 or none."""
        limits, context = manifest.limits, manifest.identity.get("context")
        return cls(
            max_steps=step_limit(manifest),
            max_tokens=limits.get("max_tokens"),
            max_seconds=limits.get("max_seconds"),
            context=context if isinstance(context, int) else 0,
            completion=int(limits.get("max_new_tokens") or 0),
        )

    def reached(self, steps: Sequence[Step]) -> str:
        """The limit that these steps have used up, in words; empty when an episode goes on after them."""
        run, tokens = invalid_run(steps), sum(step.generated_tokens for step in steps)
        if run >= self.invalid_actions:
            return f"{run} invalid actions in a row"
        if steps and self.max_tokens is not None and tokens >= self.max_tokens:
            return f"{tokens:,} generated tokens"
        return ""


def ending_fault(recorded: Trajectory, bounds: Bounds, terminated: bool, info: Mapping[str, Any]) -> str:
    """Why an episode cannot have ended as recorded, in one line; empty when it can.

    Args:
        recorded: the episode; its steps have been replayed.
        bounds: the limits of the run.
        terminated: the world says that the episode is over.
        info: the world's last.

    An agent error after a step can neither be repeated nor contradicted; it is no fault here.
    """
    ending, steps = recorded.status, recorded.steps
    if terminated:
        expected = verdict(info)
        why = "the world's episode is over"
    elif ending is Status.AGENT_ERROR:
        return "" if steps else "recorded as agent_error without a step, which no limit explains"
    elif len(steps) >= bounds.max_steps:
        # A world may be won without being over: then the limit ends the episode.
        expected = Status.SUCCESS if info["success"] else Status.MAX_STEPS
        why = "the world's episode is not over at the step limit"
    elif invalid_run(steps) >= bounds.invalid_actions:
        expected = Status.INVALID_ACTIONS
        why = f"its last {bounds.invalid_actions} actions were invalid"
    elif ending is Status.BUDGET:
        return "" if _budget_spent(recorded, bounds) else f"recorded as budget after {len(steps)} steps, {_UNSPENT}"
    else:
        limit = ", which is not the limit" if ending in (Status.MAX_STEPS, Status.INVALID_ACTIONS) else ""
        return f"recorded as {ending.value} after {len(steps)} steps{limit}, but the world's episode is not over"
    return "" if ending is expected else f"recorded as {ending.value}, but {why}: it ends as {expected.value}"


_GLUE_TOKENS = 64
"""More than a chat template writes around one turn."""
_UNSPENT = "which no limit of tokens, time or context explains"


def invalid_run(steps: Sequence[Step]) -> int:
    """Invalid actions at the end, one after the other."""
    run = 0
    for step in reversed(steps):
        if step.valid:
            break
        run += 1
    return run


def _budget_spent(recorded: Trajectory, bounds: Bounds) -> bool:
    """Whether tokens or time, which are checked after a step, or the model's context can have been used up."""
    if bounds.reached(recorded.steps):
        return True
    if recorded.steps and bounds.max_seconds is not None and recorded.seconds >= bounds.max_seconds:
        return True
    # A token is one byte of text at least, so a transcript of fewer bytes than the context cannot have filled it.
    size = len(render(recorded).text.encode("utf-8", "surrogatepass"))
    if recorded.chat:
        size += _GLUE_TOKENS * (len(recorded.steps) + 1)
    return bounds.context > 0 and size + bounds.completion > bounds.context
