"""What model servers answer, in every known variant of the OpenAI protocol: models, choices, texts, errors."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sad_agents.model import Completion
from sad_env.addresses import public_address, split_address
from sad_env.http import Answer, RequestError
from sad_env.safe_text import one_line
from sad_env.transcript import LINES, Form, in_thoughts

_CHARACTERS_PER_TOKEN = 3
_DAY = 86_400
_MOST_TOKENS = 10**6
"""A completion that claims more tokens than this is counted by its characters."""
_END_TOKENS = re.compile(
    r"(?:(?:<\|[A-Za-z_]{2,24}\|>|<\uff5cend\u2581of\u2581sentence\uff5c>|</s>|<eos>|<end_of_turn>)\s*)+$", re.MULTILINE
)
"""Marks with which models end a turn, where a server leaves them in the text."""

CUT = "the completion was cut at its greatest length"
COMPLAINTS = {
    "length": CUT,
    "content_filter": "the server's content filter withheld the completion",
    "tool_calls": "the server answered with a tool call, not with text",
    "refusal": "the model refused",
}
"""Why an answer that ended so may hold no action."""

_SUBJECT = r"(?:context|prompt|inputs?\b|\bmessages\b|sequence)"
_EXCESS = (
    r"(?:exceed|too (?:long|large)|(?:longer|larger) than|must (?:be <=|have less than)|reduce (?:the|your) length"
    r"|overflow)"
)
_TOO_LONG = re.compile(
    rf"maximum context|{_SUBJECT}.{{0,120}}{_EXCESS}|{_EXCESS}.{{0,120}}{_SUBJECT}", re.IGNORECASE | re.DOTALL
)


_UNSUPPORTED = re.compile(r"unsupported (?:parameter|value): '(\w{1,60})'", re.IGNORECASE)
_INSTEAD = re.compile(r"use '(\w{1,60})' instead", re.IGNORECASE)


def is_too_long(said: str) -> bool:
    """Whether an error's words mean that the prompt does not fit into the model's context."""
    return _TOO_LONG.search(said) is not None


class ContextError(Exception):
    """The request is longer than what the model can see."""


class StoppedInThoughtsError(Exception):
    """A stop string ended the completion in its thoughts, before it came to an action.

    Args:
        tokens: that the server produced for it.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__(tokens)
        self.tokens = tokens


class NoSuchPathError(Exception):
    """The server has no such path."""


class RenamedFieldError(RequestError):
    """The server wants a field of the request under another name.

    Args:
        field: its name in the request.
        other: the name that the server asks for.
        reason: one line.
    """

    def __init__(self, field: str, other: str, reason: str) -> None:
        super().__init__(reason, passing=False)
        self.field = field
        self.other = other


def with_version(url: str) -> str:
    """The base address of a server's paths: that which was given, with /v1 where it names none.

    >>> with_version("http://host:8000/?key=abc"), with_version("https://host/v1beta/openai/")
    ('http://host:8000/v1?key=abc', 'https://host/v1beta/openai')
    """
    parts = split_address(url)
    return parts._replace(path=parts.path.rstrip("/") or "/v1", fragment="").geturl()


@dataclass(frozen=True)
class ServedModels:
    """What a server says that it serves.

    Attributes:
        entries: by name.
        absent: it has no such list.
        complete: what is not among the entries is not served.
    """

    entries: Mapping[str, Mapping[str, Any]]
    absent: bool = False
    complete: bool = False

    def named(self, name: str) -> str:
        """The entry of this name, also where the server lists it in a folder ("models/NAME"); empty for none."""
        ends = [one for one in self.entries if one.endswith(f"/{name}")]
        return name if name in self.entries else ends[0] if len(ends) == 1 else ""


def served_models(answer: Answer) -> ServedModels:
    """The list of /models, of a server that may have none.

    Raises:
        RequestError: an error, or something else than JSON.
    """
    if answer.status in (400, 404, 405, 501):
        return ServedModels({}, absent=True)
    listed = models_of(answer)
    entries = {
        entry["id"]: entry
        for entry in listed
        if isinstance(entry, dict) and type(entry.get("id")) is str and entry["id"]
    }
    # A bare list is a catalogue of another kind, whose ids need not be the names that requests take.
    return ServedModels(entries, complete=bool(entries) and isinstance(answer.json(of=(dict, list)), dict))


def models_of(answer: Answer) -> list[Any]:
    """The entries of /models; none where the server lists nothing or has no such path.

    Raises:
        RequestError: an error, or something else than JSON.
    """
    if answer.status == 404:
        return []
    check_status(answer)
    value = answer.json(of=(dict, list))
    listed = value.get("data") if isinstance(value, dict) else value
    return listed if isinstance(listed, list) else []


def context_of(entry: Mapping[str, Any]) -> int:
    """Tokens that a served model can see, 0 where its entry does not say: vLLM's and llama.cpp's fields."""
    meta = entry.get("meta")
    for length in (entry.get("max_model_len"), meta.get("n_ctx") if isinstance(meta, dict) else None):
        if isinstance(length, (int, str)) and str(length).isdecimal() and 0 < len(str(length)) < 10:
            return int(length)
    return 0


def identity_of(entry: Mapping[str, Any]) -> dict[str, str]:
    """What an entry of /models says of which weights are served under its name."""
    identity = {name: one_line(str(entry[name]), 120) for name in ("root", "revision", "owned_by") if entry.get(name)}
    created = entry.get("created")
    # vLLM and llama.cpp give the time of the request.
    if type(created) is int and 0 < created < time.time() - _DAY:
        identity["created"] = str(created)
    return identity


def served_changes(before: Mapping[str, str], now: Mapping[str, str], begun: float) -> list[str]:
    """Names of the facts by which a server shows that it serves other weights than when a run was begun.

    Args:
        before: `identity_of` when the run was begun; empty for a server that told nothing, and for runs of releases
            that did not ask.
        now: `identity_of` the same name now.
        begun: when the run was begun, seconds since 1970.
    """
    changed = [name for name in {**before, **now} if name in before and before[name] != now.get(name)]
    if before:
        changed += [name for name in now if name not in {*before, "created"}]
    # Untold at first because it was of that day, or because the server did not tell, it may be older than the run.
    if "created" in now and "created" not in before and int(now["created"]) > begun:
        changed.append("created")
    return changed


def check_status(answer: Answer) -> None:
    """Refuse an answer of a model server that is an error, whatever its status.

    Raises:
        ContextError: the prompt is too long, in the words of any of the known servers.
        RequestError: another error.
    """
    said = answer.beginning
    if answer.status == 413 or (answer.status in (400, 422, 500) and is_too_long(said)):
        raise ContextError(f"HTTP {answer.status}: {one_line(said, 160)}")
    if answer.status in (401, 403):
        raise RequestError(
            f"OPENAI_API_KEY is {'refused' if os.environ.get('OPENAI_API_KEY') else 'not set'}:"
            f" HTTP {answer.status}: {one_line(public_address(said), 120)}",
            passing=False,
        )
    if answer.status == 400 and (field := _UNSUPPORTED.search(said)):
        reason = (
            f"HTTP 400: the server does not take {field[1]!r} as it is sent: leave it out with --omit {field[1]}, or"
            f" rename it with --omit {field[1]}=OTHER"
        )
        if other := _INSTEAD.search(said):
            raise RenamedFieldError(field[1], other[1], reason)
        raise RequestError(reason, passing=False)
    answer.check()


def choice_of(answer: Answer, *, minus_infinity: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first choice of an answer of OpenAI's form, and the whole answer.

    Args:
        answer: of any status.
        minus_infinity: see `Answer.json`.

    Raises:
        ContextError: see `check_status`.
        RequestError: an error, or no choice.
    """
    check_status(answer)
    value = answer.json(minus_infinity=minus_infinity)
    if isinstance(error := value.get("error"), (dict, str)) and error:
        _refuse_error(error, answer.wait)
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise RequestError("answered in another form than OpenAI's: no choices")
    return next((one for one in choices if isinstance(one, dict) and one.get("index") == 0), choices[0]), value


def _refuse_error(error: dict[str, Any] | str, wait: float) -> None:
    """Refuse an error that came with status 200: gateways pass on so what their provider answered."""
    told = str(error.get("code")) if isinstance(error, dict) else ""
    # OpenAI's own code is a word, such as context_length_exceeded; gateways put the status there, as number or text.
    code = int(told) if told.isdecimal() and len(told) == 3 else None
    said = one_line(public_address(str(error.get("message") if isinstance(error, dict) else error)), 120)
    if code == 413 or (code in (None, 400, 422, 500) and is_too_long(said)):
        raise ContextError(said)
    if code in (401, 403):
        said = f"OPENAI_API_KEY is not accepted: {said}"
    raise RequestError(
        f"an error in place of an answer: {said}",
        passing=code not in (400, 401, 402, 403, 404),
        overloaded=code in (429, 503),
        wait=wait,
    )


def completion_of(answer: Answer, path: str, forced: str, form: Form = LINES, *, stopped: bool = False) -> Completion:
    """What a server's answer says, its thinking as reasoning, its tokens estimated where it does not count them.

    Args:
        answer: of any status.
        path: that was asked.
        forced: what the completion begins with.
        form: how the model writes.
        stopped: stop strings were sent.

    Raises:
        StoppedInThoughtsError: one of the stop strings ended it in thoughts.
        NoSuchPathError: it has no such path.
        ContextError: see `check_status`.
        RequestError: an error, or no text.
    """
    told = said_in(answer, path)
    text, thinking = told.text, told.thinking
    if told.stopped and stopped and ((thinking and not text.strip()) or in_thoughts(forced + text)):
        raise StoppedInThoughtsError(told.tokens)
    if thinking:
        text = form.thought(thinking) + text
    return Completion(form.cut(forced + text), generated=told.tokens, complaint=told.complaint)


@dataclass(frozen=True)
class Told:
    """What the first choice of an answer holds.

    Attributes:
        text: without the marks that end it; empty where there is none.
        thinking: what the server sends apart of it.
        calls: of functions, as the server sends them.
        tokens: of all, estimated where the server does not count them.
        complaint: why there may be no action.
        stopped: it ended by itself, or at a stop string.
    """

    text: str
    thinking: str
    calls: Sequence[Any]
    tokens: int
    complaint: str
    stopped: bool


def said_in(answer: Answer, path: str) -> Told:
    """What an answer says.

    Args:
        answer: of any status.
        path: that was asked.

    Raises:
        NoSuchPathError: it has no such path.
        ContextError: see `check_status`.
        RequestError: an error, or neither text nor calls nor a message of the assistant, which may be empty.
    """
    if answer.status in (404, 405, 501) or (path == "completions" and answer.status == 400 and _wants_chat(answer)):
        raise NoSuchPathError
    choice, value = choice_of(answer)
    text, thinking = text_of(choice)
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    calls = message.get("tool_calls")
    calls = calls if isinstance(calls, list) else []
    ending, refusal = choice.get("finish_reason"), _refusal_of(message)
    complaint = COMPLAINTS["refusal"] if refusal else COMPLAINTS.get(ending, "") if isinstance(ending, str) else ""
    content = message.get("content")
    answered = message.get("role") == "assistant" and ending != "error" and isinstance(content, str | list | None)
    if text is None and not thinking and not complaint and not calls and not answered:
        raise RequestError("answered in another form than OpenAI's: the text is missing")
    text = text or refusal
    usage = value.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    if type(tokens) is not int or not 0 < tokens <= _MOST_TOKENS:
        tokens = estimated_tokens(thinking + text + "".join(map(str, calls)))
    return Told(text, thinking, calls, tokens, complaint, ending == "stop")


def text_of(choice: Mapping[str, Any]) -> tuple[str | None, str]:
    """Text, without the tokens that end it, and thinking of a choice; None where there is no text."""
    text, thinking = _text_of(choice)
    return None if text is None else _END_TOKENS.sub("", text), thinking


def _text_of(choice: Mapping[str, Any]) -> tuple[str | None, str]:
    message = choice.get("message")
    if not isinstance(message, dict):
        text = choice.get("text")
        return text if isinstance(text, str) else None, ""
    content = message.get("content")
    apart = message.get("reasoning_content") or message.get("reasoning")
    thinking = [apart] if isinstance(apart, str) else []
    if not isinstance(content, list):
        return content if isinstance(content, str) else None, "".join(thinking)
    texts = []
    for part in content:
        if not isinstance(part, dict):
            continue
        if part.get("type") not in ("thinking", "reasoning"):
            texts += [part["text"]] if isinstance(part.get("text"), str) else []
        else:
            inner = part.get("thinking") or part.get("reasoning") or part.get("text")
            pieces = inner if isinstance(inner, list) else [{"text": inner}]
            thinking += [
                piece["text"] for piece in pieces if isinstance(piece, dict) and isinstance(piece.get("text"), str)
            ]
    return "".join(texts) if texts else None, "".join(thinking)


def _refusal_of(message: Mapping[str, Any]) -> str:
    """The words with which a model refuses, where the server tells them from other text; they are what it wrote."""
    content = message.get("content")
    parts = [message, *(part for part in content if isinstance(part, dict))] if isinstance(content, list) else [message]
    return "".join(part["refusal"] for part in parts if isinstance(part.get("refusal"), str))


def _wants_chat(answer: Answer) -> bool:
    return re.search(r"chat[ _](?:model|completions?)|chat/completions", answer.beginning, re.IGNORECASE) is not None


def estimated_tokens(text: str) -> int:
    """Tokens of a text, estimated from its length."""
    return len(text) // _CHARACTERS_PER_TOKEN + 1
