"""A vLLM server: ids in, ids out, log-probabilities of given ids, and weights that are loaded again.

For weights to be exchanged it is started with ``VLLM_SERVER_DEV_MODE=1``; for adapters with ``--enable-lora`` and
``VLLM_ALLOW_RUNTIME_LORA_UPDATING=1``, too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from sad_agents.agent import Sampling
from sad_agents.openai_answers import ContextError, check_status, choice_of, context_of, models_of, with_version
from sad_agents.sampling.choice import LEFT_OUT
from sad_env.addresses import endpoint, public_address, split_address, web_address
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.http import PATIENCE, Answer, Client, Patience, RequestError, Value
from sad_env.records import TopLogprobs
from sad_env.safe_text import one_line

_LARGEST_ID = 10**8
_ROUNDED = 1e-3
"""How far a log-probability may lie above 0."""
_TOO_MANY = "logprobs"
"""In what vLLM says where more likeliest ids are asked for than its --max-logprobs."""
DEV_MODE = "start it with VLLM_SERVER_DEV_MODE=1"


class Continued(NamedTuple):
    """Ids that follow, the one that ended them included.

    Attributes:
        ids: at least one.
        end: "length", "stop" (one of the ids asked for), or "end" (the model's own end of text).
        logprobs: of each id, by the model itself; none where they were not asked for.
        top_logprobs: of each id's place, as `Sample.top_logprobs` has them; none where they were not asked for.
    """

    ids: list[int]
    end: str
    logprobs: list[float]
    top_logprobs: list[TopLogprobs]


class VllmServer:
    """A client of one served model. Threads may share it. The key comes from OPENAI_API_KEY.

    Args:
        url: the server, with or without /v1.
        model: the model's name there; empty takes the only one it lists.
        concurrency: requests at once.
        patience: timeouts and retries.

    Raises:
        InfrastructureError: it does not answer, or not in this protocol.
        ConfigError: no such model there.
    """

    def __init__(self, url: str, model: str = "", *, concurrency: int = 16, patience: Patience = PATIENCE) -> None:
        web_address(url, "a vLLM server is named by its address, e.g. vllm:http://localhost:8000, which")
        self._base = with_version(url)
        parts = split_address(self._base)
        self._root = parts._replace(path=parts.path.removesuffix("/v1")).geturl()
        self.shown = public_address(self._root)
        key = os.environ.get("OPENAI_API_KEY", "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = Client(patience, headers=headers, connections=concurrency)
        self.threads = ThreadPoolExecutor(concurrency, thread_name_prefix="vllm")
        """For requests at once."""
        self.entry = self._find(model)
        """What /models says of the model."""
        self.model = str(self.entry["id"])

    @property
    def context(self) -> int:
        """Tokens that the model sees at once; 0 where the server does not say."""
        return context_of(self.entry)

    @property
    def root(self) -> str:
        """The folder or hub id that the server has loaded the model from; its name where it does not say."""
        root = self.entry.get("root")
        return root if isinstance(root, str) and root else self.model

    def continue_ids(
        self,
        ids: Sequence[int],
        sampling: Sampling,
        most: int,
        stop_ids: Iterable[int],
        model: str = "",
        allowed: Sequence[int] | None = None,
    ) -> Continued:
        """Ids that follow `ids`: up to one of `stop_ids`, the model's own end, or `most` of them.

        What a model's generation_config asks for (a nucleus, a penalty) is switched off: what is sampled is the
        model's own distribution at the temperature and nucleus of `sampling`, among the `allowed` ids where they are
        given. No seed is sent.

        Raises:
            InfrastructureError: no answer, in one line, or one with other ids than are allowed.
            ConfigError: more likeliest ids are asked for than the server was started to tell.
        """
        ending, count = sorted(stop_ids), sampling.top_logprobs
        body = {
            "model": model or self.model,
            "prompt": list(ids),
            "max_tokens": most,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": ending,
            "return_token_ids": True,
            # The drawn id takes the place of the last one where it is none of them.
            **({"logprobs": count + 1 if count else 0} if sampling.logprobs or count else {}),
            **({"return_tokens_as_token_ids": True} if count else {}),
            **({} if allowed is None else {"allowed_token_ids": list(allowed)}),
        }

        def read(answer: Answer) -> Continued:
            if count and answer.status == 400 and _TOO_MANY in answer.beginning:
                raise ConfigError(
                    f"{self.shown} does not tell the {count} likeliest ids: start it with --max-logprobs {count + 1},"
                    " or record fewer"
                )
            return _continued(answer, count)

        found = self._ask("POST", endpoint(self._base, "completions"), read, json=body)
        if found.end == "stop" and found.ids[-1] not in ending:
            found = found._replace(end="end")  # an end that the model's generation_config names, and not its tokenizer
        if allowed is not None and not set(found.ids) <= set(allowed):
            raise InfrastructureError(f"{self.shown} does not keep to the ids that it is given")
        return found

    def log_probs(self, ids: Sequence[int], model: str = "") -> list[float]:
        """The log-probability of each of these ids but the first, given those before.

        Raises:
            InfrastructureError: no answer, in one line.
        """
        body = {
            "model": model or self.model,
            "prompt": list(ids),
            "max_tokens": 1,
            "temperature": 0.0,
            "prompt_logprobs": 1,
        }
        return self._ask("POST", endpoint(self._base, "completions"), lambda answer: _own(answer, ids), json=body)

    def reload(self, folder: Path) -> None:
        """Load the weights of this folder in the place of those that are served, and forget what was cached.

        Raises:
            ConfigError: the server was started so that it may not, or cannot load them.
            InfrastructureError: no answer.
        """
        body = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
        self._do("collective_rpc", body, f"cannot load the weights of {folder}: it has to see that folder, too")
        self._do("reset_prefix_cache", {}, "cannot forget its prefixes")

    def load_adapter(self, name: str, folder: Path) -> None:
        """Serve this folder's adapter under a name, in the place of an earlier one.

        Raises:
            ConfigError: the server was started so that it may not, or cannot load it.
            InfrastructureError: no answer.
        """
        body = {"lora_name": name, "lora_path": str(folder), "load_inplace": True}
        self._do("v1/load_lora_adapter", body, f"cannot load the adapter {folder}")

    def _do(self, path: str, body: Mapping[str, Any], failed: str) -> None:
        def read(answer: Answer) -> None:
            if answer.status in (404, 405):
                raise ConfigError(f"{self.shown} has no /{path}: {DEV_MODE}")
            if answer.status in (400, 500):
                raise ConfigError(f"{self.shown} {failed}: {one_line(public_address(answer.beginning), 200)}")
            check_status(answer)

        self._ask("POST", endpoint(self._root, path), read, json=dict(body))

    def _find(self, model: str) -> dict[str, Any]:
        listed = self._ask("GET", endpoint(self._base, "models"), models_of)
        served = {one["id"]: one for one in listed if isinstance(one, dict) and isinstance(one.get("id"), str)}
        bases = [name for name, one in served.items() if not one.get("parent")]  # others are their adapters
        if not model and len(bases) == 1:
            (model,) = bases
        if model not in served:
            shown = one_line(", ".join(sorted(served)), 200)
            raise ConfigError(f"{self.shown} has no model {one_line(model, 80)!r}; add #NAME; it serves: {shown}")
        return dict(served[model])

    def _ask(self, method: str, url: str, read: Callable[[Answer], Value], **options: Any) -> Value:
        try:
            return self._client.ask(method, url, read, **options)
        except (RequestError, ContextError) as fault:
            raise InfrastructureError(f"{public_address(url)}: {one_line(str(fault), 200)}") from None


def _continued(answer: Answer, count: int) -> Continued:
    choice, _ = choice_of(answer)
    ids = choice.get("token_ids")
    if not isinstance(ids, list) or not ids or not all(type(id_) is int and 0 <= id_ < _LARGEST_ID for id_ in ids):
        raise RequestError("an answer without token_ids: vLLM gives them from release 0.10.2 on", passing=False)
    told = choice.get("logprobs")
    logprobs = (told.get("token_logprobs") if isinstance(told, dict) else None) or []
    if logprobs and not (len(logprobs) == len(ids) and all(type(value) in (int, float) for value in logprobs)):
        raise RequestError("an answer without a log-probability for each id", passing=False)
    top = _likeliest(told.get("top_logprobs") if isinstance(told, dict) else None, len(ids), count) if count else []
    if choice.get("finish_reason") == "length":
        return Continued(ids, "length", logprobs, top)
    return Continued(ids, "end" if choice.get("stop_reason") is None else "stop", logprobs, top)


def _likeliest(told: object, places: int, count: int) -> list[TopLogprobs]:
    """What `sad_agents.sampling.choice.likeliest` tells in this process; the drawn id may be there besides."""
    if (
        not isinstance(told, list)
        or len(told) != places
        or not all(isinstance(place, dict) and place for place in told)
    ):
        raise RequestError(f"an answer without the {count} likeliest ids at each place", passing=False)
    found = []
    for place in told:
        ranked = sorted(map(_told_id, place.items()), key=lambda pair: -pair[1])[:count]
        before = accumulate((math.exp(log_p) for _, log_p in ranked), initial=0.0)
        found.append(tuple(pair for pair, mass in zip(ranked, before, strict=False) if mass <= 1 - LEFT_OUT))
    return found


def _told_id(entry: tuple[str, object]) -> tuple[int, float]:
    name, log_p = entry
    id_ = name.removeprefix("token_id:")
    if id_ == name or not (id_.isascii() and id_.isdecimal()) or int(id_) >= _LARGEST_ID:
        raise RequestError("an answer whose likeliest tokens are not told by id", passing=False)
    if not isinstance(log_p, (int, float)) or isinstance(log_p, bool) or log_p > _ROUNDED:
        raise RequestError(
            "an answer without log-probabilities: vLLM tells them in its default --logprobs-mode", passing=False
        )
    return int(id_), float(log_p)


def _own(answer: Answer, ids: Sequence[int]) -> list[float]:
    choice, _ = choice_of(answer, minus_infinity=True)
    told = choice.get("prompt_logprobs")
    if not isinstance(told, list) or len(told) != len(ids):
        raise RequestError("an answer without prompt_logprobs", passing=False)
    try:
        return [float(position[str(id_)]["logprob"]) for position, id_ in zip(told[1:], ids[1:], strict=True)]
    except (KeyError, TypeError, ValueError):
        raise RequestError("an answer without the log-probability of a token", passing=False) from None
