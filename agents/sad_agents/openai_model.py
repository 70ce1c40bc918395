"""Any server that speaks the OpenAI protocol as a model backend, by completions or by chat completions."""

from __future__ import annotations

import functools
import os
import random
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

from sad_agents.agent import Sampling
from sad_agents.chat import message_text
from sad_agents.model import Completion, Piece, Request
from sad_agents.openai_answers import (
    ContextError,
    NoSuchPathError,
    StoppedInThoughtsError,
    completion_of,
    context_of,
    estimated_tokens,
    identity_of,
    models_of,
    with_version,
)
from sad_agents.windowing import COMPLETION_TOKENS, Windowing
from sad_env.addresses import endpoint, public_address, web_address
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.http import PATIENCE, Answer, Client, Patience, RequestError, Value
from sad_env.records import Status
from sad_env.safe_text import one_line
from sad_env.transcript import LINES, Form
from sad_env.transcript.form import UNTHINK

Chat = Literal["auto", "on", "off"]
_INSTRUCT = re.compile(
    r"(?:^|[-_./])(?:instruct|chat|it|thinking|gpt-\d\w*|o\d|claude|gemini)(?:$|[-_.:@])", re.IGNORECASE
)
"""Names of models that are made for chats."""


def made_for_chats(name: str) -> bool:
    """Whether a model's name says so."""
    return _INSTRUCT.search(name) is not None


_LONGEST_ANSWER = 4 * 2**20


def messages_of(request: Request) -> list[dict[str, str]]:
    """A request as the messages of a chat: pieces of one role after the other make one message.

    A text that the completion has to begin with becomes the beginning of the assistant's message, which most servers
    continue.
    """
    messages: list[dict[str, str]] = []
    pieces = (*request.head, *request.tail, *([Piece(request.forced, role="assistant")] if request.forced else []))
    for piece in pieces:
        role, content = piece.role or "user", message_text(piece)
        if role == "assistant":
            content = content.strip()
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += content
        elif content:
            messages.append({"role": role, "content": content})
    return messages


class OpenAIModel:
    """A model behind HTTP. The key comes from OPENAI_API_KEY.

    Args:
        url: the server, with or without /v1; its query is sent with every request.
        model: the model's name there; empty takes the only one it lists.
        concurrency: requests at once.
        context: tokens the model can see, where the server does not say (`max_model_len`, `meta.n_ctx`).
        room: tokens kept free for a completion.
        patience: timeouts and retries.
        omit: fields of a request that the server does not take: NAME leaves one out, NAME=OTHER sends it as OTHER.
        form: how the model is to write.
        chat: "on" asks for chat completions, with the pieces of a request as messages, "off" for completions; "auto"
            asks models whose name says that they are made for chats by chat, and all others where the server has no
            completions.

    Raises:
        InfrastructureError: the server does not answer, or not in this protocol.
        ConfigError: no such model there.
    """

    def __init__(
        self,
        url: str,
        model: str = "",
        *,
        concurrency: int = 16,
        context: int = 4096,
        room: int = COMPLETION_TOKENS,
        patience: Patience = PATIENCE,
        omit: Sequence[str] = (),
        form: Form = LINES,
        chat: Chat = "auto",
    ) -> None:
        web_address(url, "a model server is named by its address, e.g. http://localhost:8000, which")
        self._base = with_version(url)
        self._shown = public_address(self._base)
        self._omit = dict(field.partition("=")[::2] for field in omit)
        key = os.environ.get("OPENAI_API_KEY", "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = Client(patience, headers=headers, connections=concurrency, limit=_LONGEST_ANSWER)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="openai")
        self.name, entry = self._find(model)
        self.identity = identity_of(entry)
        """What the server says of the weights that it serves under this name; empty where it says nothing."""
        self._windowing = Windowing(budget=context_of(entry) or context, room=room)
        self.form = form
        self.chat = chat == "on" or (chat == "auto" and _INSTRUCT.search(self.name) is not None)
        self._may_chat = chat != "off"
        self._stops = True
        self._refused = ""

    @property
    def windowing(self) -> Windowing:
        """What the served model can see."""
        return self._windowing

    def measure(self, piece: Piece) -> int:
        """Tokens, estimated from the number of characters."""
        return estimated_tokens(piece.text)

    def forget(self, key: str) -> None:
        """Nothing is kept here."""

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """One HTTP request a completion, `concurrency` at once; what fails for good ends as INFRA_ERROR.

        Raises:
            ConfigError: the server refused the key in an earlier call.
        """
        if self._refused:
            raise ConfigError(self._refused)
        return list(self._threads.map(lambda request: self._complete(request, sampling), requests))

    def _complete(self, request: Request, sampling: Sampling) -> Completion:
        try:
            return self._ask(request, sampling)
        except InfrastructureError as error:
            return Completion("", stop=Status.INFRA_ERROR, error=str(error))
        except ContextError as error:
            return Completion("", stop=Status.BUDGET, error=str(error))

    def _ask(self, request: Request, sampling: Sampling) -> Completion:
        body: dict[str, Any] = {
            "model": self.name,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": random.Random(f"{sampling.seed}/{request.seed}").getrandbits(31),
            "stop": list(self.form.stop),
        }
        if not self._stops:
            del body["stop"]
        body = {self._omit.get(name, name): value for name, value in body.items() if self._omit.get(name, name)}
        try:
            completion = self._answer(request, body)
        except StoppedInThoughtsError as stopped:
            body.pop(self._omit.get("stop", "stop"), None)
            completion = self._answer(request, body)
            completion = replace(completion, generated=completion.generated + stopped.tokens)
        if UNTHINK in completion.text:
            # A model that thinks may write in its thoughts what ends a completion elsewhere.
            self._stops = False
        return completion

    def _answer(self, request: Request, body: dict[str, Any]) -> Completion:
        if not self.chat:
            try:
                return self._post("completions", {**body, "prompt": request.text + request.forced}, request.forced)
            except NoSuchPathError:
                if not self._may_chat:
                    raise InfrastructureError(f"{self._shown} serves no completions: leave out --chat off") from None
                # Servers of chat models only have no completions.
                self.chat = True
        try:
            return self._post("chat/completions", {**body, "messages": messages_of(request)}, request.forced)
        except NoSuchPathError:
            has = "neither completions nor chat completions" if self._may_chat else "no chat completions"
            raise InfrastructureError(f"{self._shown} serves {has}") from None

    def _post(self, path: str, body: dict[str, Any], forced: str) -> Completion:
        read = functools.partial(
            completion_of, path=path, forced=forced, form=self.form, stopped=self._omit.get("stop", "stop") in body
        )
        return self._call("POST", path, read, json=body)

    def _find(self, model: str) -> tuple[str, Mapping[str, Any]]:
        """The model's name, and what the server says of it."""
        answer = self._call("GET", "models", models_of)
        entries = [entry for entry in answer if isinstance(entry, dict)]
        served = {entry["id"]: entry for entry in entries if isinstance(entry.get("id"), str) and entry["id"]}
        if not served:
            if model:  # some servers list nothing
                return model, {}
            raise InfrastructureError(
                f"{self._shown}/models answered in another form than OpenAI's: name the model with #NAME"
            )
        if not model and len(served) == 1:
            (model,) = served
        if model not in served:
            shown = one_line(", ".join(sorted(served)), 200)
            raise ConfigError(f"{self._shown} has no model {one_line(model, 80)!r}; add #NAME; it serves: {shown}")
        return model, served[model]

    def _call(self, method: str, path: str, read: Callable[[Answer], Value], **options: Any) -> Value:
        """What `read` makes of an answer, after retries.

        Raises:
            InfrastructureError: it failed for good, in one line.
            NoSuchPathError: the server has no such path.
            ContextError: the request is longer than what the model can see.
        """
        try:
            return self._client.ask(method, endpoint(self._base, path), read, **options)
        except RequestError as fault:
            if "OPENAI_API_KEY" in str(fault):
                self._refused = f"{self._shown}/{path}: {fault}"
            tries = f" after {fault.tries} tries" if fault.tries > 1 else ""
            raise InfrastructureError(f"{self._shown}/{path}: {fault}{tries}") from None
