"""Batched sampling that keeps each conversation's KV cache between calls, for any causal LM of transformers.

    sampler.sample([SampleRequest("episode 1", ids), SampleRequest("episode 2", ids)], sampling)

1. Assign. Each conversation has a row of a cache (`RowKVCache`, or `OwnCaches` for models that it does not describe),
   and the row remembers the ids that it holds. What the row and the request have in common stays; the other ids of the
   request are pending. A new conversation copies the longest prefix that any row offers.
2. Prefill. A row that has more than one id pending is fed many of them in a forward pass. A prefix that several new
   requests share goes through the model once and is copied.
3. Decode. The same passes feed every other row its one pending id and a draft of what may follow (`NgramDraft`). Of
   the draft, the ids that the model would have sampled itself are kept, so that drafts change speed and nothing else.
4. A row ends at an end id, at `stop`, or at the longest completion. Rows at work are moved to the front now and then,
   where attention takes them as one block.

With `begin` and `advance`, requests join while others are at work, so that passes stay full (`flow.CompletionFlow`).

Each request draws from random numbers of its own: what is sampled does not depend on what else is in the batch.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, repeat

import torch
from transformers import PreTrainedModel

from sad_agents.agent import GREEDY, Sampling
from sad_agents.sampling.choice import choose, likeliest
from sad_agents.sampling.continuation import CacheRow, Continuation, FeedTurn, Sample, SampleRequest, limit
from sad_agents.sampling.kv_cache import Feed
from sad_agents.sampling.ngram_draft import CONTEXT, NgramDraft
from sad_agents.sampling.own_caches import cache_for
from sad_agents.sampling.prefixes import common_prefix
from sad_env.records import TopLogprobs

_PREFILL_TOKENS = {"cpu": 1024}
_PREFILL_TOKENS_ELSEWHERE = 8192
"""Ids in one forward pass at most while rows are behind: a processor gains nothing from more."""
_SHARED_PREFIX = 32
"""A common prefix at least this long is worth computing first and copying."""
_DRAFT, _DRAFTS = 3, 64
"""Most draft ids of a row where there are many rows, and of all rows together where there are few."""
_COMPACT = 0.75
"""Where all wait for the last to end, rows at work are moved once they are less than this share of what they span."""

_Chosen = tuple[int, float | None, TopLogprobs | None]
"""A sampled id, its log-probability and the likeliest ids at its place; None where they are not asked for."""


class CachedSampler:
    """Samples continuations for many conversations at once.

    Args:
        model: a causal LM; those that `RowKVCache` describes are quick.
        stop: gets the ids of a row's completion so far after an id of `stop_ids`; True ends the row.
        stop_ids: ids after which `stop` is asked.
        end_ids: ids that end a row and are not part of it.
        columns: no request and its completion are longer; None where nothing is known.
        known: ids that may be sampled; a head can have further rows, which are padding. None takes all rows.
        precision: see `LlamaPass`; models of another form compute in that of their weights.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        stop: Callable[[list[int]], bool],
        stop_ids: frozenset[int],
        end_ids: frozenset[int],
        columns: int | None = None,
        known: frozenset[int] | None = None,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.model = model
        self._known = known
        self._padding: torch.Tensor | None = None
        self._stop = stop
        self._stop_ids = stop_ids
        self._end_ids = end_ids
        self._rows: list[CacheRow] = []
        self._clock = 0
        self._cache = cache_for(model, columns, precision)
        self._draft = NgramDraft()
        self._prefill_tokens = _PREFILL_TOKENS.get(model.device.type, _PREFILL_TOKENS_ELSEWHERE)

    def clear(self) -> None:
        """Forget all caches: due after the model's weights have changed."""
        self._rows = []
        self._cache.clear()
        self._draft.clear()

    def forget(self, key: Hashable) -> None:
        """The conversation is over. Its row serves as a source of prefixes until it is needed."""
        for row in self._rows:
            if row.key == key:
                row.key = None

    def without_padding(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits [..., rows of the head] with -inf at rows that are no ids of the tokenizer."""
        if self._known is None:
            return logits
        if self._padding is None:
            self._padding = torch.tensor(sorted(set(range(logits.shape[-1])) - self._known), dtype=torch.long)
        if len(self._padding):
            logits = logits.index_fill(-1, self._padding.to(logits.device), -math.inf)
        return logits

    def sample(self, requests: Sequence[SampleRequest], sampling: Sampling) -> list[Sample]:
        """Continue each request until `stop`, an end id, or `sampling.max_tokens`."""
        with self.evaluating():
            jobs = working = self.begin(requests, sampling)
            while working:
                self.advance(working, sampling, _COMPACT)
                working = [job for job in working if job.pending]
        return [job.sample(sampling) for job in jobs]

    def begin(self, requests: Sequence[SampleRequest], sampling: Sampling) -> list[Continuation]:
        """Give each request a row, beside those at work; `advance` is to be called until they have ended.

        This and `advance` are called within `evaluating`.
        """
        jobs = self._assign(requests, sampling)
        self._share_prefix(jobs)
        return jobs

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within, the model is in evaluation mode and keeps nothing for a backward pass."""
        training = self.model.training
        self.model.train(False)
        try:
            with torch.inference_mode():
                yield
        finally:
            self.model.train(training)

    @torch.inference_mode()
    def states(self, requests: Sequence[SampleRequest]) -> torch.Tensor:
        """What the model's head reads after each request's last id, [requests, D]; the caches go on as in `sample`."""
        with self.evaluating():
            jobs = self._assign(requests, GREEDY)
            for job in jobs:
                while len(job.pending) > _SHARED_PREFIX:
                    self._fed([job], min(self._prefill_tokens, len(job.pending) - 1), wanted=0)
            return self._fed(jobs, _SHARED_PREFIX, wanted=1)

    def _fed(self, jobs: Sequence[Continuation], most: int, wanted: int) -> torch.Tensor:
        """What the head reads after these pending ids of each job."""
        feeds = [Feed(job.row.index, len(job.row.ids), job.pending[:most], wanted) for job in jobs]
        states = self._cache.forward(feeds, states=True)
        for job, feed in zip(jobs, feeds, strict=True):
            job.row.ids += feed.ids
            del job.pending[: len(feed.ids)]
        return states

    # --- rows ----------------------------------------------------------------------------------------------

    def _assign(self, requests: Sequence[SampleRequest], sampling: Sampling) -> list[Continuation]:
        """A row for each request, cut to the prefix that it shares with the request."""
        self._clock += 1
        longest = max(len(request.ids) for request in requests) + sampling.max_tokens
        by_key = {row.key: row for row in self._rows if row.key is not None}
        missing = sum(request.key not in by_key for request in requests)
        spare = sum(row.key is None for row in self._rows)
        rows = len(self._rows) + max(0, missing - spare)
        self._cache.reserve(rows, longest)
        self._rows.extend(CacheRow(index) for index in range(len(self._rows), rows))
        for request in requests:
            if request.key in by_key:
                by_key[request.key].used = self._clock
        jobs = []
        for request in requests:
            row = by_key.get(request.key) or self._claim(request)
            # The last id is always fed, since its logits are wanted.
            del row.ids[common_prefix(row.ids, request.ids[:-1]) :]
            pending = list(request.ids[len(row.ids) :])
            draw = random.Random(f"{sampling.seed}/{request.seed}")
            begun = list(request.ids[len(request.ids) - request.begun :])
            jobs.append(Continuation(request, row, pending, draw, tuple(request.ids[-CONTEXT:]), begun=begun))
        return jobs

    def _claim(self, request: SampleRequest) -> CacheRow:
        """The free row that was used longest ago, with the longest prefix that any row offers."""
        row = min((row for row in self._rows if row.key is None), key=lambda row: row.used)
        row.key, row.used = request.key, self._clock
        self._borrow(row, request)
        return row

    def _borrow(self, row: CacheRow, request: SampleRequest) -> None:
        ids = request.ids[:-1]
        best = max(self._rows, key=lambda other: common_prefix(other.ids, ids))
        shared = common_prefix(best.ids, ids)
        if best is not row and shared >= max(_SHARED_PREFIX, common_prefix(row.ids, ids) + 1):
            self._cache.copy(best.index, row.index, shared)
            row.ids = list(ids[:shared])

    def _bring_to_front(self, jobs: list[Continuation]) -> None:
        """Make the first rows those of the jobs, and order the jobs alike."""
        wanted = {job.row.index for job in jobs}
        holes = [index for index in range(len(jobs)) if index not in wanted]
        outside = [index for index in wanted if index >= len(jobs)]
        for hole, index in zip(holes, outside, strict=True):
            self._swap(self._rows[hole], self._rows[index])
        jobs.sort(key=lambda job: job.row.index)

    def _swap(self, row: CacheRow, other: CacheRow) -> None:
        self._cache.swap(row.index, other.index, max(len(row.ids), len(other.ids)))
        row.index, other.index = other.index, row.index
        self._rows[row.index], self._rows[other.index] = row, other

    # --- feeding and sampling ------------------------------------------------------------------------------------

    def _share_prefix(self, jobs: list[Continuation]) -> None:
        """Feed what the first row that is behind has in common with another one, and copy it to the others."""
        behind = [job for job in jobs if len(job.pending) > 1]
        if len(behind) < 2:
            return
        leader, *others = behind
        ahead = max(common_prefix(leader.request.ids[:-1], job.request.ids[:-1]) for job in others)
        while (count := ahead - len(leader.row.ids)) >= _SHARED_PREFIX:
            ids = leader.pending[: min(count, self._prefill_tokens)]
            self._cache.forward([Feed(leader.row.index, len(leader.row.ids), ids, wanted=0)])
            leader.row.ids += ids
            del leader.pending[: len(ids)]
        for job in others:
            self._borrow(job.row, job.request)
            job.pending = list(job.request.ids[len(job.row.ids) :])

    def advance(self, working: Sequence[Continuation], sampling: Sampling, compact: float = 1.0) -> None:
        """One forward pass for these, none of which has ended: feed pending ids, and sample where all are fed.

        Args:
            working: all that are at work.
            sampling: how.
            compact: they are moved to the front where they are less than this share of the rows up to their last.
        """
        jobs = sorted(working, key=lambda job: job.row.index)
        if len(jobs) < compact * (jobs[-1].row.index + 1):
            self._bring_to_front(jobs)
        turns = self._turns(jobs, sampling.max_tokens)
        logits = self._cache.forward(
            [Feed(job.row.index, len(job.row.ids), [*ids, *draft], wanted) for job, ids, draft, wanted in turns]
        )
        logits = self.without_padding(logits)
        # Before the limits: what a teacher thinks, not what it was allowed to say.
        top = likeliest(logits, sampling.top_logprobs) if sampling.top_logprobs else repeat(None)
        limit(logits, turns)
        numbers = [number for turn in turns for number in turn.job.next_numbers(turn.wanted)]
        choice = choose(logits, sampling, numbers)
        chosen = zip(choice.ids, choice.logprobs or repeat(None), top, strict=False)
        for job, ids, draft, wanted in turns:
            job.row.ids += ids
            del job.pending[: len(ids)]
            if wanted:
                self._take(job, list(islice(chosen, wanted)), draft, sampling.max_tokens)

    def _turns(self, jobs: Sequence[Continuation], max_tokens: int) -> list[FeedTurn]:
        """What each of these jobs, or as many as go in one pass, is fed next."""
        turns: list[FeedTurn] = []
        room = self._prefill_tokens
        longest = max(_DRAFT, _DRAFTS // len(jobs)) if self._cache.rewinds else 0
        for job in jobs:
            ids = job.pending[:room]
            if not ids:
                break
            room -= len(ids)
            if len(ids) < len(job.pending):
                turns.append(FeedTurn(job, ids, [], 0))
            else:
                draft = self._draft.guess(job.recent, min(longest, max_tokens - job.generated - 1))
                turns.append(FeedTurn(job, ids, draft, 1 + len(draft)))
        return turns

    def _take(self, job: Continuation, chosen: Sequence[_Chosen], draft: list[int], max_tokens: int) -> None:
        """Take what was sampled after each fed id, up to the first id that had been guessed wrongly."""
        for one, guessed in zip(chosen, [*draft, None], strict=True):
            if self._ends(job, one, max_tokens):
                return
            token = one[0]
            self._draft.learn(job.recent, token)
            job.recent = (*job.recent[1:], token)
            if token != guessed:
                job.pending = [token]
                return
            job.row.ids.append(token)

    def _ends(self, job: Continuation, chosen: _Chosen, max_tokens: int) -> bool:
        """Take a sampled id; True when it ends the job."""
        token, logprob, top = chosen
        if token < 0:
            job.broken = True
            return True
        job.generated += 1
        del job.numbers[:1]
        if token in self._end_ids:
            return True
        job.sampled.append(token)
        if logprob is not None:
            job.logprobs.append(logprob)
        if top is not None:
            job.top_logprobs.append(top)
        return job.generated >= max_tokens or (token in self._stop_ids and self._stop(job.begun + job.sampled))
