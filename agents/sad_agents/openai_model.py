"""Any server that speaks the OpenAI protocol as a model backend: completions where it has them, chat otherwise."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from sad_agents.agent import Sampling
from sad_agents.model import Completion, Piece, Request, cut
from sad_agents.windowing import COMPLETION_TOKENS, Windowing
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.records import Status
from sad_env.safe_text import one_line

_STOP = ["\nObservation:"]
_CHARACTERS_PER_TOKEN = 3
"""A cautious guess for windows, where the server's tokenizer is not at hand."""
_CONNECT_SECONDS = 10.0
_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_LONGEST_PAUSE = 60.0
PAUSE = 1.0
"""Seconds before the second try of a request."""


class _RequestError(Exception):
    """One request failed; `again` tells whether trying again makes sense, `after` how long the server wants peace."""

    def __init__(self, reason: str, *, again: bool = True, after: float = 0.0) -> None:
        super().__init__(reason)
        self.again = again
        self.after = after


class _ContextError(Exception):
    """The request is longer than what the model can see."""


class _NoSuchPathError(Exception):
    """The server has no such path."""


class OpenAIModel:
    """A model behind HTTP. The key comes from OPENAI_API_KEY.

    Args:
        url: the server, with or without /v1.
        model: the model's name there; empty takes the only one it lists.
        concurrency: requests at once.
        context: tokens the model can see, where the server does not say (`max_model_len`).
        room: tokens kept free for a completion.
        seconds: wait for an answer.
        attempts: tries of a request on connection faults, 429 and 5xx.
        pause: seconds before the second try, doubled for each further one; None takes `PAUSE`.

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
        seconds: float = 120.0,
        attempts: int = 4,
        pause: float | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"a model server is named by its address, e.g. http://localhost:8000, not {url[:60]!r}")
        base = url.rstrip("/")
        self._base = base if base.endswith("/v1") else f"{base}/v1"
        self._seconds = seconds
        self._attempts = attempts
        self._pause = PAUSE if pause is None else pause
        self._session = requests.Session()
        self._session.mount("http", requests.adapters.HTTPAdapter(pool_maxsize=concurrency))
        if key := os.environ.get("OPENAI_API_KEY", ""):
            self._session.headers["Authorization"] = f"Bearer {key}"
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="openai")
        self.name, served = self._find(model)
        self._windowing = Windowing(budget=served or context, room=room)
        self._chat = False

    @property
    def windowing(self) -> Windowing:
        """What the served model can see."""
        return self._windowing

    def measure(self, piece: Piece) -> int:
        """Tokens, estimated from the number of characters."""
        return len(piece.text) // _CHARACTERS_PER_TOKEN + 1

    def forget(self, key: str) -> None:
        """Nothing is kept here."""

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """One HTTP request a completion, `concurrency` at once; what fails for good ends as INFRA_ERROR."""
        return list(self._threads.map(lambda request: self._complete(request, sampling), requests))

    def _complete(self, request: Request, sampling: Sampling) -> Completion:
        try:
            text, tokens = self._ask(request, sampling)
        except InfrastructureError as error:
            return Completion("", stop=Status.INFRA_ERROR, error=str(error))
        except _ContextError as error:
            return Completion("", stop=Status.BUDGET, error=str(error))
        return Completion(cut(request.forced + text), generated=tokens)

    def _ask(self, request: Request, sampling: Sampling) -> tuple[str, int]:
        body: dict[str, Any] = {
            "model": self.name,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": random.Random(f"{sampling.seed}/{request.seed}").getrandbits(31),
            "stop": _STOP,
            **sampling.extra,
        }
        prompt = request.text + request.forced
        if not self._chat:
            try:
                return self._post("completions", {**body, "prompt": prompt}, request.key)
            except _NoSuchPathError:
                # Servers of chat models only have no completions.
                self._chat = True
        try:
            messages = [{"role": "user", "content": prompt}]
            return self._post("chat/completions", {**body, "messages": messages}, request.key)
        except _NoSuchPathError:
            raise InfrastructureError(f"{self._base} serves neither completions nor chat completions") from None

    def _post(self, path: str, body: dict[str, Any], key: str) -> tuple[str, int]:
        answer = self._call("POST", path, body, key)
        try:
            choice = answer["choices"][0]
            text = choice["message"]["content"] if "message" in choice else choice["text"]
            tokens = int((answer.get("usage") or {}).get("completion_tokens") or len(text) // _CHARACTERS_PER_TOKEN + 1)
        except (KeyError, IndexError, TypeError, ValueError):
            raise InfrastructureError(f"{self._base}/{path} answered in another form than OpenAI's") from None
        if not isinstance(text, str):
            text = ""
        return text, tokens

    def _find(self, model: str) -> tuple[str, int]:
        """The model's name, and its context where the server tells it."""
        answer = self._call("GET", "models", None, "probe")
        try:
            served = {str(entry["id"]): entry for entry in answer["data"]}
        except (KeyError, TypeError):
            raise InfrastructureError(f"{self._base}/models answered in another form than OpenAI's") from None
        if not model and len(served) == 1:
            (model,) = served
        if model not in served:
            shown = one_line(", ".join(sorted(served)), 200) or "none"
            raise ConfigError(f"{self._base} has no model {one_line(model, 80)!r}; add #NAME; it serves: {shown}")
        length = served[model].get("max_model_len")
        return model, length if isinstance(length, int) and length > 0 else 0

    def _call(self, method: str, path: str, body: dict[str, Any] | None, key: str) -> dict[str, Any]:
        """The JSON of an answer, after retries.

        Raises:
            InfrastructureError: it failed for good, in one line.
            _NoSuchPathError: the server has no such path.
        """
        draw = random.Random(f"{key}/{path}")
        for attempt in range(1, self._attempts + 1):
            try:
                return self._once(method, path, body)
            except _RequestError as fault:
                if not fault.again or attempt == self._attempts:
                    tries = f" after {attempt} tries" if attempt > 1 else ""
                    raise InfrastructureError(f"{self._base}/{path}: {fault}{tries}") from None
                # Requests that failed together do not come back together.
                wait = self._pause * 2 ** (attempt - 1) * (0.75 + draw.random() / 2)
                time.sleep(min(max(wait, fault.after), _LONGEST_PAUSE))
        raise AssertionError("unreachable")

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            answer = self._session.request(
                method, f"{self._base}/{path}", json=body, timeout=(_CONNECT_SECONDS, self._seconds)
            )
        except requests.Timeout:
            raise _RequestError(f"no answer within {self._seconds:g} s") from None
        except requests.ConnectionError as error:
            reason = "closed the connection" if "aborted" in str(error) or "broken" in str(error) else "unreachable"
            raise _RequestError(reason) from None
        except requests.RequestException as error:
            raise _RequestError(one_line(str(error), 120)) from None
        if answer.status_code == 404 and method == "POST":
            raise _NoSuchPathError
        said = answer.content[:2000].decode("utf-8", "replace")
        if answer.status_code == 400 and "context" in said and "length" in said:
            raise _ContextError(one_line(said, 160))
        if answer.status_code != 200:
            again = answer.status_code in _RETRIED
            after = answer.headers.get("Retry-After", "")
            raise _RequestError(
                f"HTTP {answer.status_code}: {one_line(said, 120)}",
                again=again,
                after=float(after) if after.isdecimal() else 0.0,
            )
        try:
            value = answer.json()
        except ValueError:
            raise _RequestError("the answer is no JSON") from None
        if not isinstance(value, dict):
            raise _RequestError("the answer is no JSON object")
        return value
