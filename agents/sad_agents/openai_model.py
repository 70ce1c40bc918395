"""Any server that speaks the OpenAI protocol as a model backend, by completions or by chat completions."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

from sad_agents.agent import Sampling
from sad_agents.model import Completion, Piece, Request
from sad_agents.openai_answers import (
    CUT,
    ContextError,
    NoSuchPathError,
    RenamedFieldError,
    ServedModels,
    StoppedInThoughtsError,
    completion_of,
    context_of,
    estimated_tokens,
    identity_of,
    served_models,
    with_version,
)
from sad_agents.openai_requests import CONTINUED, Api, RequestFields, further_fields, messages_of
from sad_agents.sampling.action_trie import check_form
from sad_agents.served_choices import constraint_of, kept_to, up_to_header
from sad_agents.tool_calls import CALLS, call_messages, called_completion
from sad_agents.windowing import COMPLETION_TOKENS, Windowing
from sad_env.addresses import endpoint, public_address, split_address, web_address
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.http import PATIENCE, Answer, Client, Patience, RequestError, Value
from sad_env.records import Status
from sad_env.safe_text import one_line
from sad_env.tools import ActionTool
from sad_env.transcript import LINES, Form
from sad_env.transcript.form import UNTHINK

Chat = Literal["auto", "on", "off"]
_INSTRUCT = re.compile(
    r"(?:^|[-_./])(?:instruct|chat|it|thinking|gpt-\d\w*|o\d|claude|gemini)(?:$|[-_.:@])", re.IGNORECASE
)
"""Names of models that are made for chats."""
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/?$")
"""Where an address names the model itself, as Azure's do: its requests take the key by a header of another name."""


def made_for_chats(name: str) -> bool:
    """Whether a model's name says so."""
    return _INSTRUCT.search(name) is not None


_LONGEST_ANSWER = 4 * 2**20
_UNCALLED = 8
"""After this many answers without a call, and none with one, a server may know no functions."""


def _chat(chat: Chat, api: Api, form: Form, tools: Sequence[ActionTool]) -> Chat:
    """`chat` as `api` decides it.

    Raises:
        ConfigError: they contradict one another, or calls are asked for where there is nothing to call.
    """
    if api == "auto":
        return chat
    meant: Chat = "off" if api == "completions" else "on"
    if chat not in ("auto", meant):
        raise ConfigError(f"--chat {chat} contradicts --api {api}: leave one of them out")
    if api == "tools" and not tools:
        raise ConfigError("--api tools needs a world that tells its actions as functions: give --api chat")
    if api == "tools" and form is not LINES:
        raise ConfigError(f"--api tools has a form of its own: leave out --form {form.name}")
    return meant


class OpenAIModel:
    """A model behind HTTP. The key comes from OPENAI_API_KEY.

    Args:
        url: the server's base address; without any path, /v1 is added. Its query is sent with every request.
        model: the model's name there; empty takes the only one it lists.
        concurrency: requests at once.
        context: tokens the model can see, where the server does not say (`max_model_len`, `meta.n_ctx`).
        room: tokens kept free for a completion.
        patience: timeouts and retries.
        omit: fields of a request that the server does not take: NAME leaves one out, NAME=OTHER sends it as OTHER.
        further: fields that every request has besides, as `further_fields` reads them.
        form: how the model is to write.
        chat: "on" asks for chat completions, with the pieces of a request as messages, "off" for completions; "auto"
            asks models whose name says that they are made for chats by chat, and all others where the server has no
            completions.
        api: "chat" and "completions" say the same of the server; "tools" asks for chat completions whose actions are
            calls of `tools`; "auto" goes by `chat`.
        tools: the world's actions as functions.
        constrained: actions are asked for among a request's admissible ones, behind the header of what was written.

    Raises:
        InfrastructureError: the server does not answer, or not in this protocol.
        ConfigError: no such model there, or settings that contradict one another.
    """

    concurrent = True

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
        further: Sequence[str] = (),
        form: Form = LINES,
        chat: Chat = "auto",
        api: Api = "auto",
        tools: Sequence[ActionTool] = (),
        constrained: bool = False,
    ) -> None:
        web_address(url, "a model server is named by its address, e.g. http://localhost:8000, which")
        self._tools = tuple(tools) if api == "tools" else ()
        chat = _chat(chat, api, form, self._tools)
        self._base = with_version(url)
        self._shown = public_address(self._base)
        key = os.environ.get("OPENAI_API_KEY", "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._follows = True
        if key and _DEPLOYMENT.search(split_address(self._base).path):
            # A redirect to another server would take this header with it.
            headers["api-key"], self._follows = key, False
        self._client = Client(patience, headers=headers, connections=concurrency, limit=_LONGEST_ANSWER)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="openai")
        self.name, entry = self._find(model)
        self._fields = RequestFields(self.name, omit, further_fields(further))
        self.identity = identity_of(entry)
        """What the server says of the weights that it serves under this name; empty where it says nothing."""
        self._continues = entry.get("owned_by") == "vllm"
        budget = context_of(entry) or context
        if self._tools:
            budget -= estimated_tokens(json.dumps([tool.schema for tool in self._tools]))
        self._windowing = Windowing(budget=budget, room=room)
        self.form = CALLS if self._tools else form
        self.chat = chat == "on" or (chat == "auto" and _INSTRUCT.search(self.name) is not None)
        self._may_chat = chat != "off"
        self._stops = True
        self._told_of_length = False
        self._called = False
        self._uncalled = itertools.count(1)
        self._refused = ""
        if constrained:
            check_form(form)
            if self._tools:
                raise ConfigError("--constrained on is of text, which calls are not: leave it out, or --api tools")
        root = split_address(self._base)
        address = root._replace(path=root.path.removesuffix("/v1")).geturl()
        self._constraint = constraint_of(entry, self._client, address) if constrained else None

    @property
    def constrained(self) -> bool:
        """Whether actions are kept among the admissible ones."""
        return self._constraint is not None

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
            return self._among(request, self._ask(request, sampling), sampling)
        except InfrastructureError as error:
            return Completion("", stop=Status.INFRA_ERROR, error=str(error))
        except ContextError as error:
            return Completion("", stop=Status.BUDGET, error=str(error))

    def _ask(self, request: Request, sampling: Sampling) -> Completion:
        stop = self.form.stop if self._stops else ()
        try:
            completion = self._answer(request, sampling, stop)
        except StoppedInThoughtsError as stopped:
            completion = self._answer(request, sampling, ())
            completion = replace(completion, generated=completion.generated + stopped.tokens)
        if UNTHINK in completion.text:
            # A model that thinks may write in its thoughts what ends a completion elsewhere.
            self._stops = False
        if completion.complaint == CUT and not self._told_of_length:
            self._told_of_length = True
            print(
                f"warning: {self._shown} cut a completion at {sampling.max_tokens} tokens before it came to an action:"
                " models that think need a larger --max-new-tokens (told once)",
                file=sys.stderr,
            )
        if self._tools and not self._called:
            self._called = completion.unusable or not completion.complaint
            if not self._called and next(self._uncalled) == _UNCALLED:
                print(
                    f"warning: none of the first {_UNCALLED} answers of {self._shown} calls a function: its chat"
                    " template may know none, or the server does not look for calls (vLLM: --enable-auto-tool-choice"
                    " --tool-call-parser NAME; llama.cpp: --jinja); --api chat asks for actions as text (told once)",
                    file=sys.stderr,
                )
        return completion

    def _among(self, request: Request, written: Completion, sampling: Sampling) -> Completion:
        """A completion whose action is one of the admissible ones: asked for again, unless it is the likeliest."""
        begun = up_to_header(written.text, self.form)
        if self._constraint is None or not request.admissible or begun is None:
            return written
        if sampling.temperature == 0 and kept_to(self.form.parse(written.text).action, request.admissible):
            return written
        fields = self._constraint(request.admissible)
        chosen = self._answer(replace(request, forced=begun), sampling, (), fields)
        if not chosen.complaint and not kept_to(self.form.parse(chosen.text).action, request.admissible):
            raise InfrastructureError(f"{self._shown} does not keep to the actions that it is given")
        return replace(chosen, generated=written.generated + chosen.generated)

    def _answer(
        self, request: Request, sampling: Sampling, stop: Sequence[str], fields: Mapping[str, Any] | None = None
    ) -> Completion:
        def post(path: str, **content: Any) -> Completion:
            further = content | dict(fields or {})
            return self._post(path, request, lambda: self._fields.body(sampling, request.seed, stop) | further)

        if not self.chat:
            try:
                return post("completions", prompt=request.text + request.forced)
            except NoSuchPathError:
                if not self._may_chat:
                    raise InfrastructureError(
                        f"{self._shown} serves no completions: leave out --chat off and --api completions"
                    ) from None
                # Servers of chat models only have no completions.
                self.chat = True
        try:
            if self._tools:
                messages = call_messages(request, self._tools)
                return post("chat/completions", messages=messages, tools=[tool.schema for tool in self._tools])
            continued = self._continues and bool(request.forced)
            messages = messages_of(request, self.form, continued=continued)
            return post("chat/completions", messages=messages, **(CONTINUED if continued else {}))
        except NoSuchPathError:
            has = "neither completions nor chat completions" if self._may_chat else "no chat completions"
            raise InfrastructureError(f"{self._shown} serves {has}") from None

    def _post(self, path: str, request: Request, body: Callable[[], dict[str, Any]]) -> Completion:
        sent = body()
        read: Callable[[Answer], Completion] = functools.partial(
            completion_of, path=path, forced=request.forced, form=self.form, stopped=self._fields.stops(sent)
        )
        if self._tools:
            read = functools.partial(called_completion, path=path, tools=self._tools)
        try:
            return self._call("POST", path, read, json=sent)
        except RenamedFieldError as wanted:
            if not self._fields.rename(wanted.field, wanted.other, self._shown):
                raise InfrastructureError(f"{self._shown}/{path}: {wanted}") from None
            return self._call("POST", path, read, json=body())

    def _find(self, model: str) -> tuple[str, Mapping[str, Any]]:
        """The model's name, and what the server says of it."""
        served = self._list(model)
        if listed := served.named(model):
            return model, served.entries[listed]
        if model and not served.complete:
            return model, {}
        if not model and len(served.entries) == 1:
            return next(iter(served.entries.items()))
        if not model and (deployment := _DEPLOYMENT.search(split_address(self._base).path)):
            return deployment[1], {}
        if not served.entries:
            raise InfrastructureError(
                f"{self._shown}/models answered in another form than OpenAI's: name the model with #NAME"
            )
        shown = one_line(", ".join(sorted(served.entries)), 200)
        raise ConfigError(f"{self._shown} has no model {one_line(model, 80)!r}; add #NAME; it serves: {shown}")

    def _list(self, model: str) -> ServedModels:
        served = self._call("GET", "models", served_models)
        if served.absent and not split_address(self._base).path.endswith("/v1"):
            # A path before /v1, as gateways have.
            below = f"{split_address(self._base).path}/v1"
            address = split_address(self._base)._replace(path=below).geturl()
            try:
                there = self._client.ask("GET", endpoint(address, "models"), served_models)
            except (RequestError, ContextError):
                return served
            if there.entries:
                self._base, self._shown, served = address, public_address(address), there
        return served

    def _call(self, method: str, path: str, read: Callable[[Answer], Value], **options: Any) -> Value:
        """What `read` makes of an answer, after retries.

        Raises:
            InfrastructureError: it failed for good, in one line.
            NoSuchPathError: the server has no such path.
            ContextError: the request is longer than what the model can see.
            RenamedFieldError: the server wants a field under another name.
        """
        try:
            return self._client.ask(method, endpoint(self._base, path), read, allow_redirects=self._follows, **options)
        except RenamedFieldError:
            raise
        except RequestError as fault:
            if "OPENAI_API_KEY" in str(fault):
                self._refused = f"{self._shown}/{path}: {fault}"
            tries = f" after {fault.tries} tries" if fault.tries > 1 else ""
            advice = ": is the server ready, and is this its address?" if str(fault) == "unreachable" else ""
            raise InfrastructureError(f"{self._shown}/{path}: {fault}{tries}{advice}") from None
