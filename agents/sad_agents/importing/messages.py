"""Chats: lines with `messages` (role, content) or `conversations` (from, value), as in SFT sets and verl-agent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sad_agents.importing.episodes import LoggedEpisode, LoggedTurn, json_sources, named_form, read_each, spans_of
from sad_env.json_lines import RecordError, parse_json
from sad_env.records import SpanKind
from sad_env.safe_text import one_line
from sad_env.transcript import FORMS, Form, form_of

_ROLES = {"human": "user", "gpt": "assistant", "function": "tool", "observation": "tool", "bot": "assistant"}
_LISTS = ("messages", "conversations")
_WHOLE_ACTION = ("action", "command", "act")
"""Names of a tool's only argument that holds an action as it is written in text."""


class ToolUse(NamedTuple):
    """A call of a tool: its name and arguments."""

    name: str
    arguments: Mapping[str, Any]


def read_messages(path: Path, world: str) -> Iterator[tuple[int, LoggedEpisode | str]]:
    """Episodes of a file of chats, one object a line with the entry messages or conversations.

    System messages, and what came before an answer without an action at the beginning, are the prompt; the user's
    message before the first action is the task, later ones and those of tools are observations. Thoughts and actions
    are found in whichever form of `sad_env.transcript` the answer is in, actions in calls of tools, too.

    Returns:
        For each the number of the line, and the episode or why it cannot be read.
    """
    return read_each(json_sources(path), _episode)


def _episode(record: Any) -> LoggedEpisode:
    key = next((key for key in _LISTS if isinstance(record, dict) and isinstance(record.get(key), list)), None)
    if key is None:
        raise RecordError(f"an object with a list {' or '.join(_LISTS)} is expected")
    if key == "messages" and isinstance(record.get("spans"), list) and named_form(record):
        return _exported(record)
    prompt: list[str] = []
    told: list[str] = []
    task: str | None = None
    turns: list[LoggedTurn] = []
    for number, message in enumerate(record[key], 1):
        role, content = _role_and_content(message, number)
        if role == "system":
            prompt.append(content)
        elif role in ("user", "tool"):
            told.append(content)
        else:
            reasoning, actions = _answer(message, content, number)
            if not turns and not actions:
                # An answer to the instructions, before the task.
                prompt += [*told, content]
                told = []
                continue
            if turns:
                turns[-1] = turns[-1]._replace(observation="\n".join(told))
            else:
                task = "\n".join(told)
            told = []
            turns += _of_answer(reasoning, actions)
    if turns and told:
        turns[-1] = turns[-1]._replace(observation="\n".join(told))
    if task is None:
        raise RecordError("no answer of the assistant holds an action")
    facts = {name: value for name, value in record.items() if name != key}
    return LoggedEpisode(task, turns, "\n\n".join(filter(None, prompt)), facts)


def _exported(record: Mapping[str, Any]) -> LoggedEpisode:
    """What `sad-collect export` wrote: each answer is a step, as written, and its spans are known."""
    form, spans = form_of(record["form"]), record["spans"]
    header = form.headers[SpanKind.OBS]
    told = [_role_and_content(message, number) for number, message in enumerate(record["messages"], 1)]
    prompt = told.pop(0)[1] if told and told[0][0] == "system" else ""
    if [role for role, _ in told] != ["user", *["assistant", "user"] * len(spans)]:
        raise RecordError(
            f"a chat with the spans of {len(spans):,} answers has as many, with a user's message around each"
        )
    first, *observations = [content.removeprefix(header) for role, content in told if role == "user"]
    turns = []
    for number, ((_, text), listed, seen) in enumerate(zip(told[1::2], spans, observations, strict=True), 1):
        parsed = form.parse(text)
        turns.append(
            LoggedTurn(
                parsed.reasoning, parsed.action, seen, completion=text, spans=spans_of(listed, f"answer {number}")
            )
        )
    facts = {name: value for name, value in record.items() if name not in ("messages", "spans")}
    return LoggedEpisode(first, turns, prompt, facts)


def _of_answer(reasoning: str, actions: Sequence[str]) -> list[LoggedTurn]:
    first, *others = actions or [""]
    return [LoggedTurn(reasoning, first), *(LoggedTurn("", other) for other in others)]


def _role_and_content(message: Any, number: int) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise RecordError(f"message {number} is no object")
    role = message.get("role", message.get("from"))
    role = _ROLES.get(str(role), role)
    if role not in ("system", "user", "assistant", "tool"):
        raise RecordError(
            f"message {number} is by {one_line(str(role), 40)!r}: system, user, assistant or tool is expected"
        )
    return role, text_parts(message.get("content", message.get("value")), f"message {number}")


def text_parts(content: Any, where: str) -> str:
    """The text of a message: a text, nothing, or a list of parts that are all text.

    Raises:
        RecordError: it holds something else, such as a picture.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise RecordError(f"the content of {where} is no text")
    texts = []
    for part in content:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            kind = part.get("type") if isinstance(part, dict) else type(part).__name__
            raise RecordError(f"{where} holds a part of the type {one_line(str(kind), 40)!r}; only text can be read")
        texts.append(part["text"])
    return "\n".join(texts)


def _answer(message: Mapping[str, Any], content: str, number: int) -> tuple[str, list[str]]:
    """Reasoning and actions of an answer."""
    hidden = message.get("reasoning_content") or message.get("reasoning") or ""
    calls = message.get("tool_calls") or []
    if not isinstance(hidden, str) or not isinstance(calls, list):
        raise RecordError(f"message {number}: reasoning_content is a text, tool_calls a list")
    if calls:
        actions = [tool_action(_tool_use(call, number)) for call in calls]
        return joined(hidden, content), actions
    reasoning, action = thought_and_action(content)
    return joined(hidden, reasoning), [action] if action else []


def joined(*texts: str) -> str:
    """Thoughts one after the other, empty ones left out."""
    return "\n".join(text.strip() for text in texts if text.strip())


def thought_and_action(text: str) -> tuple[str, str]:
    """Reasoning and action of an answer in any form; the action is empty where there is none."""
    parsed = source_form(text).parse(text)
    return parsed.reasoning, parsed.action


def source_form(text: str) -> Form:
    """The form that a text seems to be written in."""
    name = "think" if "<action>" in text else "tags" if "[ACT]" in text else "lines"
    assert name in FORMS
    return form_of(name)


def _tool_use(call: Any, number: int) -> ToolUse:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RecordError(f"message {number}: a tool call has a name")
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        arguments = parse_json(arguments)
    if not isinstance(arguments, dict):
        raise RecordError(f"message {number}: the arguments of {one_line(function['name'], 40)!r} are no object")
    return ToolUse(function["name"], arguments)


def tool_action(use: ToolUse) -> str:
    """A call as the text worlds write actions.

    >>> tool_action(ToolUse("search", {"query": "red bag"})), tool_action(ToolUse("act", {"action": "go to shelf 1"}))
    ('search[red bag]', 'go to shelf 1')
    >>> tool_action(ToolUse("look", {})), tool_action(ToolUse("book", {"day": 3, "at": "noon"}))
    ('look', 'book[{"day": 3, "at": "noon"}]')
    """
    if not use.arguments:
        return use.name
    if len(use.arguments) == 1:
        name, value = next(iter(use.arguments.items()))
        if name in _WHOLE_ACTION and isinstance(value, str):
            return value
        return f"{use.name}[{value if isinstance(value, str) else json.dumps(value)}]"
    return f"{use.name}[{json.dumps(use.arguments, ensure_ascii=False)}]"
