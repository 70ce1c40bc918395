"""ATIF, the Agent Trajectory Interchange Format of Harbor, in its versions 1.0 to 1.8 (text only)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sad_agents.importing.episodes import LoggedEpisode, LoggedTurn, json_sources, read_each, spans_of
from sad_agents.importing.messages import ToolUse, joined, text_parts, thought_and_action, tool_action
from sad_env.json_lines import RecordError
from sad_env.safe_text import one_line

_VERSION = re.compile(r"ATIF-v1\.[0-8]")


def read_atif(path: Path, world: str) -> Iterator[tuple[int, LoggedEpisode | str]]:
    """Episodes of a file of ATIF documents: one, a list of them, or one a line.

    System steps are the prompt and the user's first step is the task. A step of the agent with several calls becomes
    as many turns. Embedded trajectories of other agents are left out; steps marked as copied context, too.

    Returns:
        For each the number of the line or of the document, and the episode or why it cannot be read.
    """
    return read_each(json_sources(path), _episode)


def _episode(document: Any) -> LoggedEpisode:
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise RecordError(f"schema_version is ATIF-v1.0 to ATIF-v1.8, not {one_line(str(version), 40)!r}")
    if not isinstance(document.get("steps"), list):
        raise RecordError("it has no list of steps")
    prompt: list[str] = []
    task: list[str] = []
    turns: list[LoggedTurn] = []
    for number, step in enumerate(document["steps"], 1):
        source = step.get("source") if isinstance(step, dict) else None
        if source not in ("system", "user", "agent"):
            raise RecordError(f"step {number} is by {one_line(str(source), 40)!r}: system, user or agent is expected")
        if step.get("is_copied_context"):
            continue
        message = text_parts(step.get("message"), f"step {number}")
        if source == "agent":
            turns += _turns(step, message, number)
        elif source == "system" and not turns:
            prompt.append(message)
        elif turns:
            turns[-1] = turns[-1]._replace(observation=joined(turns[-1].observation, message))
        else:
            task.append(message)
    if not turns:
        raise RecordError("no step is the agent's")
    return LoggedEpisode("\n".join(task), turns, "\n\n".join(prompt), _facts(document))


def _turns(step: Mapping[str, Any], message: str, number: int) -> list[LoggedTurn]:
    hidden = step.get("reasoning_content") or ""
    calls = step.get("tool_calls") or []
    metrics = step.get("metrics") or {}
    tokens = metrics.get("completion_tokens") if isinstance(metrics, dict) else None
    tokens = tokens if isinstance(tokens, int) else 0
    if not isinstance(hidden, str) or not isinstance(calls, list):
        raise RecordError(f"step {number}: reasoning_content is a text, tool_calls a list")
    results = _results(step, number)
    if not calls:
        reasoning, action = thought_and_action(message)
        observation = "\n".join(text for texts in results.values() for text in texts)
        return [_as_written(LoggedTurn(joined(hidden, reasoning), action, observation, tokens), step, number)]
    found = []
    for place, call in enumerate(calls):
        name, arguments = (call.get("function_name"), call.get("arguments")) if isinstance(call, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise RecordError(f"step {number}: a tool call has function_name and arguments")
        texts = results.pop(_call_id(call.get("tool_call_id"), number), [])
        if place == len(calls) - 1:
            # What names no call came after all of them.
            texts = [*texts, *(text for others in results.values() for text in others)]
        first = place == 0
        reasoning = joined(hidden, message) if first else ""
        action = tool_action(ToolUse(name, arguments))
        found.append(LoggedTurn(reasoning, action, "\n".join(texts), tokens if first else 0))
    return [_as_written(found[0], step, number)] if len(found) == 1 else found


def _as_written(turn: LoggedTurn, step: Mapping[str, Any], number: int) -> LoggedTurn:
    """The turn with what `sad-collect export` keeps of it: its text and the spans."""
    extra = step.get("extra") or {}
    if not isinstance(extra, dict) or not isinstance(extra.get("completion"), str) or not extra.get("spans"):
        return turn
    return turn._replace(completion=extra["completion"], spans=spans_of(extra["spans"], f"step {number}"))


def _call_id(told: Any, number: int) -> str:
    """The name of a call; empty where there is none."""
    if told is not None and not isinstance(told, str):
        raise RecordError(f"step {number}: the id of a call is a text")
    return told or ""


def _results(step: Mapping[str, Any], number: int) -> dict[str, list[str]]:
    """Texts of the observation by the call that they answer, "" where they name none."""
    observation = step.get("observation") or {}
    results = observation.get("results", []) if isinstance(observation, dict) else None
    if not isinstance(results, list):
        raise RecordError(f"step {number}: an observation has a list of results")
    found: dict[str, list[str]] = {}
    for result in results:
        if not isinstance(result, dict):
            raise RecordError(f"step {number}: a result is an object")
        text = text_parts(result.get("content"), f"step {number}")
        found.setdefault(_call_id(result.get("source_call_id"), number), []).append(text)
    return found


def _facts(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the whole: its own entries, those of `extra`, and of the metrics' `extra`."""
    agent, metrics = document.get("agent"), document.get("final_metrics")
    facts: dict[str, Any] = {key: document[key] for key in ("trajectory_id", "session_id") if key in document}
    if isinstance(agent, dict):
        facts["agent"] = agent.get("model_name") or agent.get("name")
    for further in (metrics.get("extra") if isinstance(metrics, dict) else None, document.get("extra")):
        facts |= further if isinstance(further, dict) else {}
    return facts
