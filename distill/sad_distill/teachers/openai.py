"""A teacher behind vLLM or any OpenAI-compatible completions server.

Scoring needs `prompt_logprobs` (vLLM): for each prompt token the K likeliest and the token itself. Start it with
``--no-enable-prefix-caching``, since prompt log-probabilities from a cached prefix can be stale, and with
``--max-logprobs K``. A server without prompt log-probabilities can still write (modes dagger, seqkd).
"""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from sad_agents.openai_answers import ContextError, choice_of, context_of, models_of, text_of, with_version

from sad_distill.data.batch import Batch
from sad_distill.losses.targets import SparseTarget, Target, check_log_probs
from sad_distill.teachers.base import WritingPrompt
from sad_distill.teachers.http import CONCURRENCY, TEACHER_PATIENCE, ask, in_order, written
from sad_env.addresses import endpoint, public_address
from sad_env.errors import ConfigError, DataError
from sad_env.http import Answer, Client, Patience, RequestError, Value
from sad_env.safe_text import one_line
from sad_env.transcript import form_of


class OpenAITeacher:
    """A client of a completions endpoint.

    Args:
        url: base URL, with or without ``/v1``.
        model: model name at the server; it must have the student's vocabulary to score.
        top: K.
        temperature: of its own completions.
        max_tokens: of one completion.
        patience: timeouts and retries.
        concurrency: requests at once.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        top: int = 20,
        temperature: float = 0.2,
        max_tokens: int = 96,
        patience: Patience = TEACHER_PATIENCE,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self.concurrency = concurrency
        # Batches may be asked for at once, and each asks for all of its rows at once.
        self._slots = threading.BoundedSemaphore(concurrency)
        self._chats = endpoint(with_version(url), "chat/completions")
        self._endpoint = endpoint(with_version(url), "completions")
        self._models = endpoint(with_version(url), "models")
        self._model, self._top = model, top
        self._temperature, self._max_tokens = temperature, max_tokens
        self._rows = 0
        self.name = f"{model}@{public_address(url.rstrip('/'))}"
        key = os.environ.get("OPENAI_API_KEY")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = Client(patience, headers=self._headers, connections=concurrency)

    @classmethod
    def of(
        cls,
        spec: str,
        *,
        top: int = 20,
        patience: Patience = TEACHER_PATIENCE,
        concurrency: int = CONCURRENCY,
        max_tokens: int = 96,
    ) -> OpenAITeacher:
        """From ``openai:URL#MODEL``.

        Raises:
            ConfigError: another form.
        """
        url, hash_, model = spec.removeprefix("openai:").partition("#")
        if not url.startswith(("http://", "https://")) or not hash_ or not model:
            raise ConfigError("a teacher behind OpenAI's protocol is named openai:http://HOST:PORT#MODEL")
        return cls(url, model, top=top, max_tokens=max_tokens, patience=patience, concurrency=concurrency)

    @property
    def setting(self) -> str:
        """See `ScoringTeacher`."""
        return f"top {self._top}"

    def context(self) -> int:
        """Tokens that the model sees at once, as /models says; 0 where it does not, or the server has no such path."""
        once = Client(Patience(seconds=0, attempts=1, answer=10), headers=self._headers)
        try:
            listed = once.ask("GET", self._models, models_of)
        except (RequestError, ContextError):
            return 0
        finally:
            once.close()
        return max(
            (context_of(one) for one in listed if isinstance(one, dict) and one.get("id") == self._model), default=0
        )

    def fits(self, vocabulary: Mapping[str, int], rows: int) -> None:
        """Remember the student, so that ids which it does not have are refused when they come.

        Args:
            vocabulary: of its tokenizer; such a server does not say its own.
            rows: of its head.
        """
        self._rows = rows

    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`.

        Token sets that were asked for are answered as far as their tokens are among the K likeliest; the others of
        the set are part of the rest, a coarser distribution that is still exact.

        Raises:
            ConfigError: branches, or the answer names ids that the student does not have.
        """
        if batch.sees is not None:
            raise ConfigError("a server scores plain rows, not branches")
        asked = (functools.partial(self._prompt_table, batch, row) for row in range(len(batch.ids_BT)))
        tables = list(in_order(asked, self.concurrency))
        highest = max((token for table in tables for position in table for token in position), default=0)
        if self._rows and highest >= self._rows:
            raise ConfigError(
                f"{self.name} tells of token {highest:,} and the student's head has {self._rows:,}: give --student a"
                " model with the teacher's tokenizer"
            )
        sets: list[list[int]] = []
        values: list[list[float]] = []
        for row, at, support in zip(batch.row_N.tolist(), batch.at_N.tolist(), batch.support_NK.tolist(), strict=True):
            table = tables[row][at]
            wanted = [token for token in support if token >= 0 and token in table] or list(table)
            sets.append(wanted)
            values.append([table[token] for token in wanted])
        width = max(map(len, sets))
        ids = torch.full((len(sets), width), -1, dtype=torch.long)
        log_p = torch.zeros(len(sets), width)
        for index, (one, found) in enumerate(zip(sets, values, strict=True)):
            ids[index, : len(one)] = torch.tensor(one)
            log_p[index, : len(one)] = torch.tensor(found)
        device = batch.ids_BT.device
        return SparseTarget.from_topk(ids.to(device), log_p.to(device))

    def _prompt_table(self, batch: Batch, row: int) -> list[dict[int, float]]:
        ids = batch.ids_BT[row, : int(batch.mask_BT[row].sum())].tolist()
        body = {
            "model": self._model,
            "prompt": ids,
            "max_tokens": 1,
            "temperature": 0.0,
            "prompt_logprobs": self._top,
        }
        return self._ask(self._endpoint, lambda answer: _table(answer, len(ids)), body)

    def _ask(self, url: str, read: Callable[[Answer], Value], body: dict[str, Any]) -> Value:
        with self._slots:
            return ask(self._client, "POST", url, read, json=body)

    def generate(self, prompts: Sequence[WritingPrompt]) -> list[str]:
        """See `WritingTeacher`."""
        return list(in_order((functools.partial(self._write, prompt) for prompt in prompts), self.concurrency))

    def _write(self, prompt: WritingPrompt) -> str:
        form = form_of(prompt.form)
        body = {
            "model": self._model,
            "max_tokens": self._max_tokens,
            "temperature": self._temperature,
            "seed": prompt.seed,
            "stop": list(form.stop),
        }
        if prompt.messages:
            messages = [{"role": role, "content": content} for role, content in prompt.messages]
            return form.cut(self._ask(self._chats, _written, {**body, "messages": messages}))
        return form.cut(self._ask(self._endpoint, _written, {**body, "prompt": prompt.text}))


def _written(answer: Answer) -> str:
    text, _ = text_of(choice_of(answer)[0])
    return written(text)


def _table(answer: Answer, count: int) -> list[dict[int, float]]:
    """Log-probabilities of each prompt position from an answer of vLLM; the first position has none.

    Raises:
        ConfigError: the server gives none.
        DataError: it gave them for another number of tokens, or what it gave are none.
    """
    choice, value = choice_of(answer, minus_infinity=True)
    found = choice.get("prompt_logprobs") or value.get("prompt_logprobs")
    if not found:
        # Permanent: a ConfigError, never retried.
        raise ConfigError("the server gives no prompt_logprobs, so it cannot score: use vLLM, or --mode dagger")
    if not isinstance(found, list) or len(found) != count:
        told = len(found) if isinstance(found, list) else 0
        raise DataError(f"log-probabilities for {told} of {count} tokens")
    return [_position(position) if place else {} for place, position in enumerate(found)]


def _position(told: object) -> dict[int, float]:
    if not isinstance(told, dict) or not told:
        raise DataError("a position without log-probabilities")
    table = {}
    for token, entry in told.items():
        value = entry.get("logprob") if isinstance(entry, dict) else None
        if not token.isdecimal() or len(token) > 9 or isinstance(value, bool) or not isinstance(value, (int, float)):
            raise DataError(f"no log-probability of a token: {one_line(repr({token: entry}), 60)}")
        table[int(token)] = float(value)
    check_log_probs(max(table.values()), _log_sum(table.values()))
    return table


def _log_sum(values: Iterable[float]) -> float:
    return math.log(math.fsum(math.exp(min(value, 99.0)) for value in values) or 1.0)
