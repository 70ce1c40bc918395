"""Logs of inspect_ai: what `inspect view` opens."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sad_agents.exporting.facts import facts_of
from sad_env.errors import ConfigError
from sad_env.records import Step, Trajectory
from sad_env.safe_text import one_line

SUFFIXES = (".eval", ".json")
"""Of files: inspect_ai's own archive, or JSON."""


def write_inspect(path: Path, episodes: Iterable[Trajectory], written: datetime.datetime) -> int:
    """Write episodes of one agent in one world as the log of an evaluation.

    Args:
        path: ends with one of `SUFFIXES`.
        episodes: at least one.
        written: when they were recorded, which is the log's date.

    Returns:
        The number of episodes.

    Raises:
        ConfigError: inspect_ai is not installed, or the episodes are of several agents or worlds.
    """
    try:
        from inspect_ai import log
    except ImportError:
        raise ConfigError("--to inspect needs the package inspect-ai: pip install inspect-ai") from None
    samples, seen = [], set()
    first: Trajectory | None = None
    for episode in episodes:
        first = first or episode
        if (first.world, first.agent) != (episode.world, episode.agent):
            one, other = (one_line(f"{each.agent} in {each.world}", 60) for each in (first, episode))
            raise ConfigError(f"a log of inspect_ai is of one agent in one world, not of {one} and of {other}")
        seen.add(episode.task_id)
        samples.append(_sample(log, episode))
    if first is None:
        return 0
    told = log.EvalLog(
        status="success",
        eval=log.EvalSpec(
            created=written.isoformat(),
            task=f"sad_env/{first.world}",
            model=first.agent,
            dataset=log.EvalDataset(name=first.split or first.world, samples=len(seen)),
            config=log.EvalConfig(epochs=max(sample.epoch for sample in samples)),
        ),
        results=_results(log, samples),
        samples=samples,
    )
    log.write_eval_log(told, str(path))
    return len(samples)


def _sample(log: Any, episode: Trajectory) -> Any:
    from inspect_ai.scorer import Score

    return log.EvalSample(
        id=f"{episode.task_id}#{episode.seed}",
        epoch=episode.repeat + 1,
        input=episode.observation,
        target="",
        messages=_messages(episode),
        scores={name: Score(value=value) for name, value in _scores(episode).items()},
        metadata=facts_of(episode),
    )


def _scores(episode: Trajectory) -> dict[str, float]:
    """Success and score, as far as they are known, and the progress of the last step that has one."""
    scores = {} if "success" in episode.unknown else {"success": float(episode.success)}
    if "score" not in episode.unknown:
        scores["score"] = episode.score
    progress = [step.progress for step in episode.steps if step.progress is not None]
    return {**scores, **({"progress": progress[-1]} if progress else {})}


def _results(log: Any, samples: list[Any]) -> Any:
    scores = []
    for name in dict.fromkeys(name for sample in samples for name in sample.scores):
        values = [float(sample.scores[name].value) for sample in samples if name in sample.scores]
        mean = log.EvalMetric(name="mean", value=sum(values) / len(values))
        scores.append(log.EvalScore(name=name, scorer=name, scored_samples=len(values), metrics={"mean": mean}))
    return log.EvalResults(total_samples=len(samples), completed_samples=len(samples), scores=scores)


def _messages(episode: Trajectory) -> list[Any]:
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser

    messages: list[Any] = [ChatMessageSystem(content=episode.prompt)] if episode.prompt else []
    messages.append(ChatMessageUser(content=episode.observation))
    for number, step in enumerate(episode.steps, 1):
        messages += _turn(step, f"call_{number}")
    return messages


def _turn(step: Step, call: str) -> list[Any]:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageTool, ChatMessageUser, ContentReasoning, ContentText
    from inspect_ai.tool import ToolCall

    if not step.action:
        return [ChatMessageAssistant(content=step.completion), ChatMessageUser(content=step.observation)]
    thought = [ContentReasoning(reasoning=step.reasoning)] if step.reasoning else []
    used = ToolCall(id=call, function="act", arguments={"action": step.action})
    return [
        ChatMessageAssistant(content=[*thought, ContentText(text=step.action)], tool_calls=[used]),
        ChatMessageTool(content=step.observation, tool_call_id=call, function="act"),
    ]
