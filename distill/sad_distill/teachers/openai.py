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
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from sad_agents.openai_answers import ContextError, choice_of, context_of, models_of, text_of, with_version

from sad_distill.data.batch import Batch
from sad_distill.data.labels import encode
from sad_distill.losses.targets import SparseTarget, Target, check_log_probs
from sad_distill.models.heads import rows_of_head
from sad_distill.models.language import Language
from sad_distill.models.token_ids import TokenIds
from sad_distill.teachers.base import WritingPrompt, check_ids
from sad_distill.teachers.echo import echo_request, echoes_of, prompts_of, reading_of
from sad_distill.teachers.http import CONCURRENCY, TEACHER_PATIENCE, ask, in_order, written
from sad_distill.teachers.reading import Passage, TextReading
from sad_env.addresses import endpoint, public_address
from sad_env.errors import ConfigError, DataError
from sad_env.http import Answer, Client, Patience, RequestError, Value
from sad_env.safe_text import one_line
from sad_env.transcript import form_of

_PROBE = """Reasoning: I've found 1,024 mugs; the (unlocked) cabinet 12's naïve façade shows “größe” and 東京.
Action: go to countertop 3
	if x_1 != y[2:]: return {"Zażółć": 0.75e-6}  # Übermäßig, antidisestablishmentarianism
"""
"""A text that tokenizers of different families spell differently."""


class OpenAITeacher:
    """A client of a completions endpoint.

    Args:
        url: base address; without any path, ``/v1`` is added.
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
        self._ids: TokenIds | None = None
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

    def fits(self, student: Language) -> TokenIds | None:
        """The student's ids, which answers are over from now on; None where the server spells a text in other ids.

        Such a server does not say its vocabulary: `_PROBE` shows it.
        """
        own = encode(student.tokenizer, _PROBE)
        told = self._prompt_table(_PROBE)
        # The first id of a prompt has no probability; it may be a begin token.
        spelled = (own, own[1:])
        if not any(len(told) - 1 == len(ids) and all(map(dict.__contains__, told[1:], ids)) for ids in spelled):
            return None
        self._ids = TokenIds.of(student.tokenizer.get_vocab().values()).below(rows_of_head(student.model))
        return self._ids

    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`.

        Token sets that were asked for are answered as far as their tokens are among the K likeliest; the others of
        the set are part of the rest, a coarser distribution that is still exact. What is told of ids that the student
        does not have (padded rows) is left out, and its mass shared among the others.

        Raises:
            ConfigError: branches, or an answer with ids only that the student does not have.
            DataError: the rows hold an id that the student's tokenizer does not have.
        """
        if batch.sees is not None:
            raise ConfigError("a server scores plain rows, not branches")
        if self._ids is not None:
            check_ids(batch, self._ids, self.name)
        lengths = batch.mask_BT.sum(1).tolist()
        rows = [ids[:length] for ids, length in zip(batch.ids_BT.tolist(), lengths, strict=True)]
        asked = (functools.partial(self._prompt_table, ids) for ids in rows)
        tables = [[self._known(position) for position in table] for table in in_order(asked, self.concurrency)]
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

    def _known(self, table: dict[int, float]) -> dict[int, float]:
        """A position's log-probabilities, as if the head had no rows but the student's ids."""
        ids = self._ids
        if ids is None or all(token in ids for token in table):
            return table
        known = {token: value for token, value in table.items() if token in ids}
        if not known:
            raise ConfigError(
                f"{self.name} tells of token {max(table):,} and the student has {ids.end:,}: give --student a model"
                " with the teacher's tokenizer"
            )
        left = 1 - math.fsum(math.exp(value) for token, value in table.items() if token not in ids)
        least = math.fsum(math.exp(value) for value in known.values())
        return {token: value - math.log(max(left, least, 1e-300)) for token, value in known.items()}

    def _prompt_table(self, prompt: list[int] | str) -> list[dict[int, float]]:
        """For each of the prompt's tokens the K likeliest and itself; of a text, itself alone."""
        text = isinstance(prompt, str)
        body = {
            "model": self._model,
            "prompt": prompt,
            "max_tokens": 1,
            "temperature": 0.0,
            "prompt_logprobs": 0 if text else self._top,
        }
        count = 0 if text else len(prompt)
        return self._ask(self._endpoint, lambda answer: _table(answer, count), body)

    def _ask(self, url: str, read: Callable[[Answer], Value], body: dict[str, Any]) -> Value:
        with self._slots:
            return ask(self._client, "POST", url, read, json=body)

    def read(self, passages: Sequence[Passage]) -> list[TextReading]:
        """See `Reader`.

        Raises:
            ConfigError: the server does not repeat prompts with log-probabilities, or a passage is too long for it.
        """
        return list(in_order((functools.partial(self._read, passage) for passage in passages), self.concurrency))

    def _read(self, passage: Passage) -> TextReading:
        texts = prompts_of(passage)
        body = {"model": self._model, **echo_request(texts)}
        return reading_of(passage, self._ask(self._endpoint, lambda answer: echoes_of(answer, texts), body))

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
    """Log-probabilities of each of `count` prompt positions (0: not known) from an answer of vLLM; the first has none.

    Raises:
        ConfigError: the server gives none.
        DataError: it gave them for another number of tokens, or what it gave are none.
    """
    choice, value = choice_of(answer, minus_infinity=True)
    found = choice.get("prompt_logprobs") or value.get("prompt_logprobs")
    if not found:
        # Permanent: a ConfigError, never retried.
        raise ConfigError("the server gives no prompt_logprobs, so it cannot score: use vLLM, or --mode dagger")
    if not isinstance(found, list) or (count and len(found) != count):
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
