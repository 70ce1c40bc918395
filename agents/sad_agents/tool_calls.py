"""Served models that act by calls of functions: their form, their episodes as messages, and what a call says.

A record holds each call as the world's own action, in the default form: `Reasoning: ...` is what was said beside the
call, `Action: take apple 1 from countertop 2` the call. From it the call can be written again, so that a run that is
resumed, or rendered in any form, needs nothing else. A call that is no action stands in the record as it came.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from sad_agents.chat import message_text, prompt_turns
from sad_agents.model import Completion, Piece, Request
from sad_agents.openai_answers import said_in
from sad_env.http import Answer
from sad_env.json_lines import RecordError, parse_json
from sad_env.records import SpanKind
from sad_env.tools import ActionTool, CallError, call_of, called_action
from sad_env.transcript import HEADERS
from sad_env.transcript.lines import LinesForm


class CallsForm(LinesForm):
    """The default form for a model that calls functions: only what it is asked for differs."""

    request = "Each turn, say what you know and want next, and call one function, which is your action."
    missing = "no function was called"
    stop: tuple[str, ...] = ()


CALLS = CallsForm()
_AT_ONCE = "functions were called at once: call one"


def call_messages(request: Request, tools: Sequence[ActionTool]) -> list[dict[str, Any]]:
    """A request as the messages of a chat, its actions as calls and what came back as the functions' answers.

    Calls are named by their place, so that the same episode is the same request again.
    """
    prompt, *rest = request.head
    messages: list[dict[str, Any]] = []
    call_id = ""
    for piece in (*prompt_turns(prompt.text, CALLS), *rest, *request.tail):
        if piece.role == "assistant":
            call_id = _name(len(messages))
            messages.append(_assistant(piece, tools, call_id))
            call_id = call_id if "tool_calls" in messages[-1] else ""
            continue
        content = message_text(piece).removeprefix(HEADERS[SpanKind.OBS]).strip()
        answer = {"role": "tool", "tool_call_id": call_id} if call_id else {"role": piece.role or "user"}
        messages.append({**answer, "content": content})
        call_id = ""
    return messages


def _assistant(piece: Piece, tools: Sequence[ActionTool], call_id: str) -> dict[str, Any]:
    reasoning, action, *_ = CALLS.parse(piece.text)
    call = call_of(tools, action)
    if call is None:
        return {"role": "assistant", "content": f"{reasoning}\n{action}".strip()}
    function = {"name": call[0], "arguments": json.dumps(call[1], ensure_ascii=False)}
    calls = [{"id": call_id, "type": "function", "function": function}]
    return {"role": "assistant", "content": reasoning, "tool_calls": calls}


def _name(place: int) -> str:
    """Nine letters and digits: some servers take no other."""
    return hashlib.sha256(f"call {place}".encode()).hexdigest()[:9]


def called_completion(answer: Answer, path: str, tools: Sequence[ActionTool]) -> Completion:
    """What a server's answer says and calls.

    Args:
        answer: of any status.
        path: that was asked.
        tools: the world's.

    Raises:
        NoSuchPathError: it has no such path.
        ContextError: the request is longer than what the model can see.
        RequestError: an error, or neither text nor calls.
    """
    told = said_in(answer, path)
    reasoning = f"{told.thinking} {told.text}".strip()
    if not told.calls:
        text = CALLS.thought(reasoning) if reasoning else "\n"
        return Completion(text, generated=told.tokens, complaint=told.complaint or CALLS.missing)
    try:
        if len(told.calls) > 1:
            raise CallError(f"{len(told.calls)} {_AT_ONCE}")
        action = called_action(tools, *_call(told.calls[0]))
    except CallError as error:
        written = CALLS.render(reasoning, f"call {'; '.join(map(_shown, told.calls))}").text
        return Completion(written, generated=told.tokens, complaint=str(error), unusable=True)
    return Completion(CALLS.render(reasoning, action).text, generated=told.tokens)


def complains_of(complaint: str, written: str, tools: Sequence[ActionTool]) -> bool:
    """Whether `called_completion` may have made a complaint of the calls that a record holds in the place of an action.

    A record has the arguments' line breaks as blanks. Where that makes an action of a call that was none, the answer is
    no.

    Args:
        complaint: of a completion that is marked as without action.
        written: e.g. "call fly({})".
        tools: the world's.
    """
    body = written.removeprefix("call ")
    if not tools or body == written or "(" not in body or not body.endswith(")"):
        return False
    # The name, or the arguments, may hold brackets.
    readings = [(body[:place], body[place + 1 : -1]) for place in {body.index("("), body.rindex("(")}]
    told = [_fault(tools, name, arguments) for name, arguments in readings]
    if "" in told:
        return False
    # A call without arguments is written like one whose arguments are the text "null".
    told += [_fault(tools, name, None) for name, arguments in readings if arguments == "null"]
    number = complaint.removesuffix(f" {_AT_ONCE}")
    if number != complaint:
        return re.fullmatch("[1-9][0-9]{0,7}", number) is not None and 2 <= int(number) <= body.count("); ") + 1
    return complaint in filter(None, told)


def _fault(tools: Sequence[ActionTool], name: str, arguments: str | None) -> str:
    """What is wrong with a call; empty for an action."""
    try:
        called_action(tools, *_call({"function": {"name": name, "arguments": arguments}}))
    except CallError as error:
        return str(error)
    return ""


def _function(call: object) -> tuple[object, object]:
    function = call.get("function") if isinstance(call, dict) else None
    return (function.get("name"), function.get("arguments")) if isinstance(function, dict) else (None, None)


def _call(call: object) -> tuple[object, object]:
    """Name and arguments of a call; some servers send arguments as an object, others as its JSON."""
    name, arguments = _function(call)
    if not isinstance(arguments, str):
        return name, {} if arguments is None else arguments
    try:
        return name, parse_json(arguments.strip() or "{}")
    except RecordError:
        raise CallError("the arguments of the call are no JSON object") from None


def _shown(call: object) -> str:
    name, arguments = _function(call)
    return f"{name}({arguments if isinstance(arguments, str) else json.dumps(arguments)})"
