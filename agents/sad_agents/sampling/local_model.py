"""Models that read and write ids: what of an episode they are fed, and a causal LM in memory that samples."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from itertools import accumulate, repeat
from typing import Protocol

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sad_agents.agent import Sampling
from sad_agents.chat import ChatGlue, message_text
from sad_agents.model import Completion, Piece, Request
from sad_agents.sampling.action_trie import ActionLimits
from sad_agents.sampling.cached_sampler import CachedSampler
from sad_agents.sampling.continuation import Continuation, Sample, SampleRequest
from sad_agents.sampling.kv_cache import context_of
from sad_agents.windowing import COMPLETION_TOKENS, Windowing
from sad_env.errors import ConfigError
from sad_env.records import Status, TopLogprobs
from sad_env.transcript import LINES, Form
from sad_env.transcript.form import THINK

_REPLACEMENT = "\ufffd"
"""What the bytes of a part of a character are decoded to."""
_DIGITS = 6
"""Of a recorded log-probability: float32 logits hold no more."""
Begun = tuple[str, tuple[int, ...]]
"""What a completion begins with that nobody samples: text and ids."""


class Sampler(Protocol):
    """Continues ids: `CachedSampler` in this process, others on a server."""

    def sample(self, requests: Sequence[SampleRequest], sampling: Sampling) -> list[Sample]:
        """Continue each request until the completion is whole, an end id, or `sampling.max_tokens`."""
        ...

    def forget(self, key: Hashable) -> None:
        """The conversation is over."""
        ...

    def clear(self) -> None:
        """Forget all caches."""
        ...


class TokenModel:
    """A model backend that is fed ids and answers with ids: text and window around a `Sampler`, its `sampler`.

    Args:
        tokenizer: its tokenizer; decoding must invert encoding.
        name: for the records.
        windowing: what the model sees.
        start_ids: ids before everything, e.g. a begin-of-text id that the model was trained with.
        form: how it writes.
        chat: it reads and writes in the turns of the tokenizer's chat template, whose own begin token, if any, then
            takes the place of `start_ids`.
        constrained: actions are sampled among a request's admissible ones.

    Raises:
        ConfigError: a chat template that cannot be used, or a form whose actions cannot be constrained.
    """

    sampler: Sampler

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str,
        windowing: Windowing,
        start_ids: Sequence[int] = (),
        form: Form = LINES,
        chat: bool = False,
        constrained: bool = False,
    ) -> None:
        self.name = name
        self._window = windowing
        self.tokenizer = tokenizer
        self.form = form
        self.chat = chat
        self.glue = ChatGlue.of(tokenizer) if chat else None
        self.limits = ActionLimits(tokenizer, form) if constrained else None
        """What keeps actions among the admissible ones; None where nothing does."""
        self._start_ids = [] if chat else list(start_ids)
        self._encode = functools.lru_cache(maxsize=4096)(functools.partial(encode, tokenizer))
        self._piece = functools.lru_cache(maxsize=None)(lambda id_: decode(tokenizer, [id_]))

    @property
    def windowing(self) -> Windowing:
        """What the model sees."""
        return self._window

    def is_whole(self, ids: list[int]) -> bool:
        """Whether these ids are a whole completion."""
        return self.form.is_complete(self._decode(ids))

    def stop_ids(self) -> frozenset[int]:
        """Ids after which a completion may be whole."""
        return ids_with(self.tokenizer, self.form.last_characters)

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
        begun = [self.begun(request) for request in requests]
        samples = self.samples(requests, list(map(self.wanted, requests, begun)), sampling)
        return list(map(self.answer, begun, samples))

    def samples(self, requests: Sequence[Request], wanted: Sequence[SampleRequest], sampling: Sampling) -> list[Sample]:
        """What is sampled for each of these requests."""
        return self.sampler.sample(wanted, sampling)

    def wanted(self, request: Request, begun: Begun) -> SampleRequest:
        """What a sampler is to continue for a request."""
        ids = begun[1]
        allowed = self.limits.among(request.admissible) if self.limits and request.admissible else None
        return SampleRequest(request.key, self._context(request, ids), request.seed, begun=len(ids), allowed=allowed)

    def answer(self, begun: Begun, sample: Sample) -> Completion:
        """The completion that a sample makes of its beginning."""
        if sample.missing:
            return Completion("", stop=Status.INFRA_ERROR, error=sample.missing, generated=sample.generated)
        if sample.broken:
            why = "the model gave NaN instead of logits"
            return Completion("", stop=Status.AGENT_ERROR, error=why, generated=sample.generated)
        return self._completion(*begun, sample)

    @property
    def constrained(self) -> bool:
        """Whether actions are sampled among the admissible ones."""
        return self.limits is not None

    def ids_with(self, request: Request, continuation: str) -> tuple[list[int], tuple[int, ...]]:
        """Ids of what comes before a continuation of the request's forced beginning, and ids of the continuation."""
        return self._context(request, self.begun(request)[1]), self._encode(continuation)

    def begun(self, request: Request) -> Begun:
        """What the completion begins with that nobody samples: thoughts that a template opens, then a forced text."""
        forced = request.forced
        if self.glue is None or not self.glue.begun:
            return forced, self._encode(forced) if forced else ()
        forced = forced.removeprefix(f"{THINK} ")
        return self.glue.begun + forced, (*self.glue.begun_ids, *(self._encode(forced) if forced else ()))

    def _completion(self, begun: str, begun_ids: tuple[int, ...], sample: Sample) -> Completion:
        sampled = sample.ids
        written = self._decode(sampled)
        text = begun + written
        ends = [0] * len(begun_ids) + [
            len(begun) + end for end in ends_in(self.tokenizer, sampled, written, self._piece)
        ]
        ids = [*begun_ids, *sampled]
        text, kept = self._without_rest(text, ends)
        ids, ends = ids[:kept], [min(end, len(text)) for end in ends[:kept]]
        if not text.endswith("\n"):
            # What follows is an observation, which begins a line. The model did not write this newline.
            text += "\n"
            if not self.chat:
                newline = self._encode("\n")
                ids += newline
                ends += [0] * len(newline)
        logprobs, top = None, None
        unsampled, added = len(begun_ids), len(ids) - kept
        if sample.logprobs is not None:
            told = [*repeat(0.0, unsampled), *(round(value, _DIGITS) for value in sample.logprobs)]
            logprobs = (*told[:kept], *repeat(0.0, added))
        if sample.top_logprobs is not None:
            rounded = (tuple((one, round(value, _DIGITS)) for one, value in place) for place in sample.top_logprobs)
            places: list[TopLogprobs] = [*repeat((), unsampled), *rounded]
            top = (*places[:kept], *repeat((), added))
        return Completion(text, tuple(ids), tuple(ends), sample.generated, logprobs, top)

    def _without_rest(self, text: str, ends: list[int]) -> tuple[str, int]:
        """The text up to its action's end and how many ids it takes; ids that begin behind the end are left out.

        Where an action ends before the next tag, the tag has to be sampled to see that.
        """
        end = self.form.action_end(text)
        if end is None or (kept := next((n for n in range(1, len(ends)) if ends[n - 1] >= end), None)) is None:
            return text, len(ends)
        return text[:end], kept

    def _context(self, request: Request, forced: tuple[int, ...]) -> list[int]:
        head = self._start_ids + [id_ for piece in request.head for id_ in self._ids(piece)]
        tail = [id_ for piece in request.tail for id_ in self._ids(piece)]
        return self.windowing.cut(head, [*tail, *forced])

    def _ids(self, piece: Piece) -> tuple[int, ...]:
        if self.glue is None or not piece.role:
            return piece.ids or self._encode(piece.text)
        if piece.role == "system":
            return self.glue.head(self._encode, piece.text, self.form)
        ids = piece.ids or self._encode(message_text(piece))
        return (self.glue.user if piece.role == "user" else self.glue.assistant)(ids)

    def _decode(self, ids: list[int]) -> str:
        return decode(self.tokenizer, ids)


class LocalModel(TokenModel):
    """Samples with a model and tokenizer of transformers: batched, its cache kept between an episode's steps.

    Args:
        model: any causal LM that `CachedSampler` takes; call `clear` after changing its weights.
        tokenizer: its tokenizer.
        name: for the records.
        windowing: what the model sees; by default its whole context.
        start_ids: see `TokenModel`.
        form: how it writes.
        chat: see `TokenModel`.
        constrained: see `TokenModel`.
        precision: see `CachedSampler`.

    Raises:
        ConfigError: a window that the model does not have, a chat template that cannot be used, or a form whose actions
            cannot be constrained.
    """

    sampler: CachedSampler

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str = "local",
        windowing: Windowing | None = None,
        start_ids: Sequence[int] = (),
        form: Form = LINES,
        chat: bool = False,
        constrained: bool = False,
        precision: torch.dtype = torch.float32,
    ) -> None:
        context = context_of(model)
        window = windowing or Windowing(budget=context, room=min(COMPLETION_TOKENS, context // 2))
        if window.budget > context:
            raise ConfigError(f"a window of {window.budget} tokens; the model has {context} positions")
        super().__init__(
            tokenizer,
            name=name,
            windowing=window,
            start_ids=start_ids,
            form=form,
            chat=chat,
            constrained=constrained,
        )
        ends = end_ids(model, tokenizer) | (turn_end(tokenizer, self.glue) if self.glue else frozenset())
        self.sampler = CachedSampler(
            model,
            stop=self.is_whole,
            stop_ids=self.stop_ids(),
            end_ids=ends,
            columns=window.budget,
            known=ends | frozenset(tokenizer.get_vocab().values()),
            precision=precision,
        )

    def flow(self, sampling: Sampling) -> CompletionFlow | None:
        """Completions of which new ones may begin before others have ended; None for a model that makes none."""
        return CompletionFlow(self, sampling)


class CompletionFlow:
    """Completions that come and go one by one, so that the passes of a model stay full.

    What is written is what `LocalModel.complete` writes: no draw depends on what else is in a pass.

    Args:
        model: writes them.
        sampling: how.
    """

    def __init__(self, model: LocalModel, sampling: Sampling) -> None:
        self._model, self._sampling = model, sampling
        self._working: list[tuple[Request, Begun, Continuation]] = []

    def ask(self, requests: Sequence[Request]) -> None:
        """Begin a completion for each request."""
        begun = [self._model.begun(request) for request in requests]
        with self._model.sampler.evaluating():
            jobs = self._model.sampler.begin(list(map(self._model.wanted, requests, begun)), self._sampling)
        self._working += zip(requests, begun, jobs, strict=True)

    def answers(self) -> list[tuple[Request, Completion]]:
        """Go on until some have ended, and give those; none where nothing is asked."""
        working, ended = self._working, list[tuple[Request, Begun, Continuation]]()
        with self._model.sampler.evaluating():
            while working and not ended:
                self._model.sampler.advance([job for _, _, job in working], self._sampling)
                ended = [one for one in working if not one[2].pending]
        self._working = [one for one in working if one[2].pending]
        sampling = self._sampling
        return [(request, self._model.answer(begun, job.sample(sampling))) for request, begun, job in ended]


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """Ids of a text to the letter: no special token is added, and none is recognised in foreign text."""
    return tuple(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Text of ids, to the character."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def ends_in(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], text: str, piece: Callable[[int], str]
) -> list[int]:
    """Where the text of each id ends in the text of all; an id of a part of a character ends where that does.

    Args:
        tokenizer: of the ids.
        ids: of one stretch of text.
        text: what they are decoded to.
        piece: gives the text of one id.
    """
    pieces = [piece(one) for one in ids]
    if "".join(pieces) == text and _REPLACEMENT not in text:
        return list(accumulate(map(len, pieces)))
    # Some characters take several ids, or ids are spelled differently at the beginning of a text.
    ends = [len(decode(tokenizer, ids[:count])) for count in range(1, len(ids) + 1)]
    # The first bytes of a character may decode to several signs where all of them make one.
    return list(accumulate(reversed(ends), min))[::-1]


def ids_with(tokenizer: PreTrainedTokenizerBase, characters: str) -> frozenset[int]:
    """Ids whose text holds one of these characters: only after one of them can an action be complete."""
    wanted = frozenset(characters)
    return frozenset(id_ for id_ in range(len(tokenizer)) if wanted & set(decode(tokenizer, [id_])))


def ids_with_newline(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids whose text holds a newline: only after one of them can an action line be complete."""
    return ids_with(tokenizer, "\n")


def turn_end(tokenizer: PreTrainedTokenizerBase, glue: ChatGlue) -> frozenset[int]:
    """The token with which a chat template ends the assistant's turn, where it is a token of its own."""
    return frozenset(glue.between[:1]) & frozenset(tokenizer.added_tokens_decoder)


def end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids that end a text, by the model's generation settings and the tokenizer."""
    named = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = named if isinstance(named, list) else [named]
    # The settings are a file's, which may hold anything.
    return frozenset(id_ for id_ in (*ids, tokenizer.eos_token_id) if type(id_) is int)
