"""A causal LM in memory as a model backend: batched, its KV cache kept between the steps of each episode."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import accumulate

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sad_agents.agent import Sampling
from sad_agents.model import Completion, Piece, Request
from sad_agents.sampling.cached_sampler import CachedSampler, SampleRequest
from sad_agents.sampling.kv_cache import context_of
from sad_agents.windowing import COMPLETION_TOKENS, Windowing
from sad_env.errors import ConfigError
from sad_env.records import Status
from sad_env.transcript import is_complete

_REPLACEMENT = "\ufffd"
"""What the bytes of a part of a character are decoded to."""


class LocalModel:
    """Samples with a model and tokenizer of transformers.

    Args:
        model: any causal LM that `CachedSampler` takes; call `clear` after changing its weights.
        tokenizer: its tokenizer; decoding must invert encoding.
        name: for the records.
        windowing: what the model sees; by default its whole context.
        start_ids: ids before everything, e.g. a begin-of-text id that the model was trained with.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str = "local",
        windowing: Windowing | None = None,
        start_ids: Sequence[int] = (),
    ) -> None:
        context = context_of(model)
        self.name = name
        self.windowing = windowing or Windowing(budget=context, room=min(COMPLETION_TOKENS, context // 2))
        if self.windowing.budget > context:
            raise ConfigError(f"a window of {self.windowing.budget} tokens; the model has {context} positions")
        self.tokenizer = tokenizer
        self._start_ids = list(start_ids)
        self._encode = functools.lru_cache(maxsize=4096)(functools.partial(encode, tokenizer))
        self._piece = functools.lru_cache(maxsize=None)(lambda id_: decode(tokenizer, [id_]))
        self.sampler = CachedSampler(
            model,
            stop=lambda ids: is_complete(self._decode(ids)),
            stop_ids=ids_with_newline(tokenizer),
            end_ids=end_ids(model, tokenizer),
            columns=self.windowing.budget,
        )

    def clear(self) -> None:
        """Forget the caches: due after the model's weights have changed."""
        self.sampler.clear()

    def measure(self, piece: Piece) -> int:
        """Tokens of a piece."""
        return len(self._ids(piece))

    def forget(self, key: str) -> None:
        """Free a conversation's cache."""
        self.sampler.forget(key)

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Sample one completion a request; a row with NaN logits ends as AGENT_ERROR."""
        forced = [self._encode(request.forced) if request.forced else () for request in requests]
        wanted = [
            SampleRequest(request.key, self._context(request, ids), request.seed)
            for request, ids in zip(requests, forced, strict=True)
        ]
        samples = self.sampler.sample(wanted, sampling)
        return [
            Completion("", stop=Status.AGENT_ERROR, error="the model gave NaN instead of logits", generated=s.generated)
            if s.broken
            else self._completion(request, ids, s.ids, s.generated)
            for request, ids, s in zip(requests, forced, samples, strict=True)
        ]

    def ids_with(self, request: Request, continuation: str) -> tuple[list[int], tuple[int, ...]]:
        """Ids of what comes before a continuation of the request's forced beginning, and ids of the continuation."""
        forced = self._encode(request.forced) if request.forced else ()
        return self._context(request, forced), self._encode(continuation)

    def _completion(self, request: Request, forced: tuple[int, ...], sampled: list[int], generated: int) -> Completion:
        written = self._decode(sampled)
        ends = [0] * len(forced) + [len(request.forced) + end for end in self._ends(sampled, written)]
        text, ids = request.forced + written, [*forced, *sampled]
        if not text.endswith("\n"):
            # What follows is an observation, which begins a line. The model did not write this newline.
            newline = self._encode("\n")
            text += "\n"
            ids += newline
            ends += [0] * len(newline)
        return Completion(text, tuple(ids), tuple(ends), generated)

    def _ends(self, ids: list[int], text: str) -> list[int]:
        """Where the text of each id ends in the text of all; an id of a part of a character ends where that does."""
        pieces = [self._piece(id_) for id_ in ids]
        if "".join(pieces) == text and _REPLACEMENT not in text:
            return list(accumulate(map(len, pieces)))
        # Some characters take several ids, or ids are spelled differently at the beginning of a text.
        ends = [len(self._decode(ids[:count])) for count in range(1, len(ids) + 1)]
        # The first bytes of a character may decode to several signs where all of them make one.
        return list(accumulate(reversed(ends), min))[::-1]

    def _context(self, request: Request, forced: tuple[int, ...]) -> list[int]:
        assert self.windowing is not None
        head = self._start_ids + [id_ for piece in request.head for id_ in self._ids(piece)]
        tail = [id_ for piece in request.tail for id_ in self._ids(piece)]
        return self.windowing.cut(head, [*tail, *forced])

    def _ids(self, piece: Piece) -> tuple[int, ...]:
        return piece.ids or self._encode(piece.text)

    def _decode(self, ids: list[int]) -> str:
        return decode(self.tokenizer, ids)


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """Ids of a text to the letter: no special token is added, and none is recognised in foreign text."""
    return tuple(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Text of ids, to the character."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def ids_with_newline(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids whose text holds a newline: only after one of them can an action line be complete."""
    return frozenset(id_ for id_ in range(len(tokenizer)) if "\n" in decode(tokenizer, [id_]))


def end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids that end a text, by the model's generation settings and the tokenizer."""
    named = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = named if isinstance(named, list) else [named]
    # The settings are a file's, which may hold anything.
    return frozenset(id_ for id_ in (*ids, tokenizer.eos_token_id) if type(id_) is int)
