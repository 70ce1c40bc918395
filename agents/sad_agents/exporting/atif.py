"""ATIF, the Agent Trajectory Interchange Format of Harbor, version 1.7."""

from __future__ import annotations

from typing import Any

import sad_env
from sad_agents.exporting.facts import facts_of
from sad_env.records import Step, Trajectory

VERSION = "ATIF-v1.7"
"""The first version whose steps and calls may hold entries of a program's own (`extra`)."""

TOOL = "act"
"""The one tool of a text world: it takes an action as it is written."""


def atif_document(trajectory: Trajectory) -> dict[str, Any]:
    """An episode as one document.

    The prompt is a system's step, the first observation a user's, and each step of the agent has its reasoning, its
    action as a call of the tool `act`, what came back, and the sampled ids. A step without an action has the text
    as its message. What ATIF has no entry for stands in `extra`: of a step its text to the character, its spans and
    its reward; of the document the task, the ending and the score.
    """
    steps: list[dict[str, Any]] = []
    if trajectory.prompt:
        steps.append({"source": "system", "message": trajectory.prompt})
    steps.append({"source": "user", "message": trajectory.observation})
    steps += [_agent_step(step, number) for number, step in enumerate(trajectory.steps, 1)]
    generated = sum(step.generated_tokens for step in trajectory.steps)
    return {
        "schema_version": VERSION,
        "trajectory_id": f"{trajectory.world}/{trajectory.task_id}/{trajectory.seed}/{trajectory.repeat}",
        "agent": {"name": trajectory.agent, "version": sad_env.__version__},
        "steps": [{"step_id": number, **step} for number, step in enumerate(steps, 1)],
        "final_metrics": {
            "total_steps": len(steps),
            **({"total_completion_tokens": generated} if generated else {}),
        },
        "extra": {name: value for name, value in facts_of(trajectory).items() if value is not None},
    }


def _agent_step(step: Step, number: int) -> dict[str, Any]:
    written: dict[str, Any] = {"source": "agent", "message": "" if step.action else step.completion}
    if step.action:
        call = f"call_{number}"
        written["tool_calls"] = [{"tool_call_id": call, "function_name": TOOL, "arguments": {"action": step.action}}]
        written["observation"] = {"results": [{"source_call_id": call, "content": step.observation}]}
        if step.reasoning:
            written["reasoning_content"] = step.reasoning
    else:
        written["observation"] = {"results": [{"content": step.observation}]}
    metrics = _metrics(step)
    if metrics:
        written["metrics"] = metrics
    spans = [span.model_dump(mode="json") for span in step.spans]
    written["extra"] = {"completion": step.completion, "spans": spans, "reward": step.reward, "valid": step.valid}
    return written


def _metrics(step: Step) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    if step.generated_tokens:
        metrics["completion_tokens"] = step.generated_tokens
    if step.token_ids:
        metrics["completion_token_ids"] = list(step.token_ids)
        metrics["extra"] = {"token_labels": step.token_labels}
    if step.logprobs is not None:
        metrics["logprobs"] = list(step.logprobs)
    return metrics
