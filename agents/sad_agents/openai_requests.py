"""What a model server is asked: the fields of a request, and an episode as messages."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sad_agents.agent import Sampling
from sad_agents.chat import head_turns, message_text
from sad_agents.model import Piece, Request
from sad_env.errors import ConfigError
from sad_env.safe_text import one_line
from sad_env.transcript import LINES, Form

Api = Literal["auto", "chat", "completions", "tools"]
"""By what a server is asked; "tools" is chat completions whose actions are calls of functions."""

_OURS = frozenset({"model", "prompt", "messages", "tools", "stream", "n"})
"""Fields that decide what an answer is an answer to, or its form."""
CONTINUED = {"continue_final_message": True, "add_generation_prompt": False}
"""With these fields vLLM goes on with the last message; without them it begins another one behind it."""
_NEWER = {"max_tokens": "max_completion_tokens"}
"""Fields that newer models take under another name."""


def messages_of(request: Request, form: Form = LINES, *, continued: bool = False) -> list[dict[str, Any]]:
    """A request as the messages of a chat: pieces of one role after the other make one message, exemplars are turns.

    A text that the completion has to begin with becomes the beginning of the assistant's message, which most servers
    continue.

    Args:
        request: what is asked.
        form: how the model writes.
        continued: that message keeps blanks at its end, which some servers refuse.
    """
    messages: list[dict[str, Any]] = []
    pieces = (*request.head, *request.tail, *([Piece(request.forced, role="assistant")] if request.forced else []))
    said: list[tuple[str, str]] = []
    for piece in pieces:
        turns, begun = head_turns(piece.text, form) if piece.role == "system" else ([], "")
        said += [(turn.role, turn.text) for turn in turns]
        said.append(("user", begun) if turns else (piece.role or "user", message_text(piece)))
    for role, content in said:
        if role == "assistant":
            content = content.strip()
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += content
        elif content:
            messages.append({"role": role, "content": content})
    if continued:
        messages[-1]["content"] += request.forced[len(request.forced.rstrip()) :]
    return messages


def further_fields(words: Sequence[str]) -> dict[str, Any]:
    """Fields of a request from words KEY=VALUE; a value is JSON, or else text, and dots nest.

    >>> further_fields(["reasoning_effort=low", "chat_template_kwargs.enable_thinking=false"])
    {'reasoning_effort': 'low', 'chat_template_kwargs': {'enable_thinking': False}}

    Raises:
        ConfigError: another form, a key twice, or a field that is not for settings.
    """
    fields: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        path = key.split(".")
        shown = one_line(word, 60)
        if not equals or not all(path):
            raise ConfigError(f"--request takes KEY=VALUE, e.g. reasoning_effort=low, not {shown!r}")
        if path[0] in _OURS:
            raise ConfigError(f"--request {shown}: the field {path[0]!r} is the agent's own, as are {_listed()}")
        inner = fields
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"--request {shown}: {part!r} is both a value and an object")
        if path[-1] in inner:
            raise ConfigError(f"--request {shown}: the field was given before")
        inner[path[-1]] = _value(text)
    return fields


def _listed() -> str:
    return ", ".join(sorted(_OURS))


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda _: text)
    except (ValueError, RecursionError):
        return text


class RequestFields:
    """The fields of every request to one server besides the text itself.

    Args:
        model: the model's name there.
        omit: NAME leaves a field out, NAME=OTHER sends it as OTHER.
        further: see `further_fields`.
    """

    def __init__(self, model: str, omit: Sequence[str], further: Mapping[str, Any]) -> None:
        self._model = model
        self._names = dict(field.partition("=")[::2] for field in omit)
        self._further = dict(further)
        self._lock = threading.Lock()

    def body(self, sampling: Sampling, seed: str, stop: Sequence[str]) -> dict[str, Any]:
        """The fields of one request.

        Args:
            sampling: temperature and so on.
            seed: of this completion, to be joined with that of the sampling.
            stop: strings that end a completion; none where it may be cut nowhere.
        """
        body = {
            "model": self._model,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": random.Random(f"{sampling.seed}/{seed}").getrandbits(31),
            **({"stop": list(stop)} if stop else {}),
        }
        sent = {self._sent(name): value for name, value in body.items() if self._sent(name)}
        return sent | self._further

    def stops(self, body: Mapping[str, Any]) -> bool:
        """Whether a request has stop strings."""
        return self._sent("stop") in body

    def rename(self, field: str, other: str, server: str) -> bool:
        """Send a field under another name from now on, because the server said so; False where that is no news.

        Args:
            field: the name that it was sent as.
            other: the name that the server wants.
            server: for the message, which is printed the first time.
        """
        with self._lock:
            if self._sent(field) == other:
                return True  # another request was told so in the meantime
            if field in self._names or _NEWER.get(field) != other:
                return False
            self._names[field] = other
        print(f"note: {server} wants {field!r} as {other!r}: sent so from now on", file=sys.stderr)
        return True

    def _sent(self, name: str) -> str:
        return self._names.get(name, name)
