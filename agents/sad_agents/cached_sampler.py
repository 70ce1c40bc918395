"""Batched sampling that keeps each conversation's KV cache between calls, for any causal LM of transformers.

Each conversation has a row in a `SlotCache`, valid in its first len(ids) columns. A call compares what it is asked to
continue with what each row holds, keeps the common prefix, and feeds the rest: ragged blocks during prefill, one token
a row while decoding. The rows being decoded are kept at the front, which makes a decoding step work on views of the
cache, without a copy.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from transformers import PreTrainedModel

from sad_agents.agent import Sampling
from sad_agents.slot_cache import SlotCache

_PREFILL_TOKENS = {"cpu": 1024}
_PREFILL_TOKENS_ELSEWHERE = 8192
"""Tokens of one prefill batch at most, padding included: a processor gains nothing from more, but pads less."""
_PREFILL_BLOCK = 512
"""Tokens that one row is fed at a time."""
_SHARED_PREFIX = 32
"""A common prefix at least this long is worth computing first and copying."""
_COMPACT = 0.9
"""Finished rows leave the batch once at most this share of it is still at work: moving a row is not free."""


@dataclass(frozen=True)
class SampleRequest:
    """What to continue.

    Attributes:
        key: names the conversation; its cache is found again by it.
        ids: all that stands before, at least one id.
        seed: seeds the draws, so that they do not depend on what else is in the batch.
    """

    key: Hashable
    ids: Sequence[int]
    seed: str = ""


@dataclass(frozen=True)
class Sample:
    """What was sampled.

    Attributes:
        ids: sampled ids, a final end-of-text id excluded.
        generated: tokens produced, that id included.
        broken: the model gave no distribution (NaN logits) and sampling stopped there.
    """

    ids: list[int]
    generated: int
    broken: bool = False


@dataclass(eq=False)
class _Row:
    """A row of the cache: whose it is, and the ids whose keys and values its first columns hold."""

    key: Hashable = None
    ids: list[int] = field(default_factory=list)
    used: int = 0


@dataclass(eq=False)
class _Job:
    """A request at work."""

    request: SampleRequest
    row: _Row
    draw: random.Random
    sampled: list[int] = field(default_factory=list)
    generated: int = 0
    broken: bool = False

    def next_id(self) -> int:
        return self.sampled[-1] if self.sampled else self.request.ids[-1]


class CachedSampler:
    """Samples continuations for many conversations at once.

    Args:
        model: a causal LM with full attention in every layer, in any precision, on any device.
        stop: told a row's sampled ids after an id of `stop_ids`; True ends the row.
        stop_ids: ids after which `stop` is asked.
        end_ids: ids that end a row and are not part of it.

    Raises:
        ConfigError: a model with sliding windows or another attention than sdpa or eager.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        stop: Callable[[list[int]], bool],
        stop_ids: frozenset[int],
        end_ids: frozenset[int],
    ) -> None:
        self.model = model
        self._stop = stop
        self._stop_ids = stop_ids
        self._end_ids = end_ids
        self._rows: list[_Row] = []
        self._clock = 0
        self._cache = SlotCache(model)

    def clear(self) -> None:
        """Forget all caches: due after the model's weights have changed."""
        self._rows = []
        self._cache.clear()

    def forget(self, key: Hashable) -> None:
        """The conversation is over. Its row serves as a source of prefixes until it is needed."""
        for row in self._rows:
            if row.key == key:
                row.key = None

    @torch.inference_mode()
    def sample(self, requests: Sequence[SampleRequest], sampling: Sampling) -> list[Sample]:
        """Continue each request until `stop`, an end id, or `sampling.max_tokens`."""
        training = self.model.training
        self.model.train(False)
        try:
            jobs = self._seat(requests, sampling)
            self._prefill(jobs)
            self._decode(list(jobs), sampling)
        finally:
            self.model.train(training)
        return [Sample(job.sampled, job.generated, job.broken) for job in jobs]

    # --- rows ----------------------------------------------------------------------------------------------

    def _seat(self, requests: Sequence[SampleRequest], sampling: Sampling) -> list[_Job]:
        """A row for each request, cut to the prefix that it shares with the request."""
        self._clock += 1
        longest = max(len(request.ids) for request in requests) + sampling.max_tokens
        by_key = {row.key: row for row in self._rows if row.key is not None}
        missing = sum(request.key not in by_key for request in requests)
        spare = sum(row.key is None for row in self._rows)
        rows = len(self._rows) + max(0, missing - spare)
        self._cache.reserve(rows, longest + _PREFILL_BLOCK)
        self._rows.extend(_Row() for _ in range(rows - len(self._rows)))
        for request in requests:
            if request.key in by_key:
                by_key[request.key].used = self._clock
        jobs = []
        for request in requests:
            row = by_key.get(request.key) or self._claim(request)
            # The last id is left to be fed as the first decoding step, which wants its logits.
            del row.ids[common_prefix(row.ids, request.ids[:-1]) :]
            jobs.append(_Job(request, row, random.Random(f"{sampling.seed}/{request.seed}")))
        return jobs

    def _claim(self, request: SampleRequest) -> _Row:
        """A row that is nobody's, with the longest prefix that any row offers."""
        row = min((row for row in self._rows if row.key is None), key=lambda row: row.used)
        row.key, row.used = request.key, self._clock
        self._borrow(row, request)
        return row

    def _borrow(self, row: _Row, request: SampleRequest) -> None:
        ids = request.ids[:-1]
        best = max(self._rows, key=lambda other: common_prefix(other.ids, ids))
        shared = common_prefix(best.ids, ids)
        if best is not row and shared >= max(_SHARED_PREFIX, common_prefix(row.ids, ids) + 1):
            source, target = self._rows.index(best), self._rows.index(row)
            self._cache.copy(source, target, shared)
            row.ids = list(ids[:shared])

    def _swap(self, one: int, other: int) -> None:
        if one != other:
            columns = max(len(self._rows[one].ids), len(self._rows[other].ids))
            self._cache.swap(one, other, columns)
            self._rows[one], self._rows[other] = self._rows[other], self._rows[one]

    def _bring_to_front(self, jobs: list[_Job]) -> None:
        """Make rows 0 .. len(jobs) those of the jobs, and order the jobs alike."""
        wanted = {id(job.row) for job in jobs}
        holes = [index for index in range(len(jobs)) if id(self._rows[index]) not in wanted]
        outside = [index for index in range(len(jobs), len(self._rows)) if id(self._rows[index]) in wanted]
        for hole, index in zip(holes, outside, strict=True):
            self._swap(hole, index)
        place = {id(row): index for index, row in enumerate(self._rows)}
        jobs.sort(key=lambda job: place[id(job.row)])

    # --- feeding and sampling ------------------------------------------------------------------------------------

    def _prefill(self, jobs: list[_Job]) -> None:
        """Bring each row up to its request, the last id excepted."""
        behind = [job for job in jobs if len(job.row.ids) < len(job.request.ids) - 1]
        if len(behind) > 1:
            leader, *others = behind
            ahead = max(common_prefix(leader.request.ids[:-1], job.request.ids[:-1]) for job in others)
            if ahead >= len(leader.row.ids) + _SHARED_PREFIX:
                self._feed([leader])
                for job in others:
                    self._borrow(job.row, job.request)
        tokens = _PREFILL_TOKENS.get(self.model.device.type, _PREFILL_TOKENS_ELSEWHERE)
        while behind := [job for job in jobs if len(job.row.ids) < len(job.request.ids) - 1]:
            behind.sort(key=lambda job: len(job.request.ids) - len(job.row.ids), reverse=True)
            block = min(_PREFILL_BLOCK, len(behind[0].request.ids) - 1 - len(behind[0].row.ids))
            # Rows with much less to do than the first would mostly compute padding.
            group = [job for job in behind if 2 * (len(job.request.ids) - 1 - len(job.row.ids)) >= block]
            self._feed(group[: max(1, tokens // block)])

    def _feed(self, jobs: list[_Job]) -> None:
        """One block of prefill for each of these jobs."""
        place = {id(row): index for index, row in enumerate(self._rows)}
        jobs = sorted(jobs, key=lambda job: place[id(job.row)])
        rows = [place[id(job.row)] for job in jobs]
        starts = [len(job.row.ids) for job in jobs]
        blocks = [list(job.request.ids[start:-1][:_PREFILL_BLOCK]) for job, start in zip(jobs, starts, strict=True)]
        longest = max(len(block) for block in blocks)
        padded = [block + [0] * (longest - len(block)) for block in blocks]
        at_front = rows == list(range(len(rows)))
        self._cache.forward(slice(0, len(rows)) if at_front else rows, starts, padded, head=False)
        for job, block in zip(jobs, blocks, strict=True):
            job.row.ids += block

    def _decode(self, jobs: list[_Job], sampling: Sampling) -> None:
        """Sample until every job has ended."""
        self._bring_to_front(jobs)
        done: set[int] = set()
        for _ in range(sampling.max_tokens):
            starts = [len(job.row.ids) for job in jobs]
            logits = self._cache.forward(slice(0, len(jobs)), starts, [[job.next_id()] for job in jobs], head=True)[
                :, -1
            ]
            chosen = choose(logits, sampling, [job.draw for job in jobs])
            for job, token in zip(jobs, chosen, strict=True):
                if id(job) in done:
                    continue
                job.row.ids.append(job.next_id())
                if self._ends(job, token):
                    done.add(id(job))
            working = [job for job in jobs if id(job) not in done]
            if not working:
                return
            if len(working) <= _COMPACT * len(jobs):
                jobs = working
                self._bring_to_front(jobs)

    def _ends(self, job: _Job, token: int) -> bool:
        """Take a sampled id; True when it ends the job."""
        if token < 0:
            job.broken = True
            return True
        job.generated += 1
        if token in self._end_ids:
            return True
        job.sampled.append(token)
        return token in self._stop_ids and self._stop(job.sampled)


def choose(logits: torch.Tensor, sampling: Sampling, draws: Sequence[random.Random]) -> list[int]:
    """One id a row of logits [batch, vocabulary]; -1 where they are no distribution.

    Each row takes one number from its own generator, by inversion of the cumulative distribution.
    """
    broken = torch.isnan(logits).any(-1) | (logits.amax(-1) == -torch.inf) | (logits.amax(-1) == torch.inf)
    if sampling.temperature == 0:
        chosen = logits.argmax(-1)
    else:
        numbers = torch.tensor([[draw.random()] for draw in draws], dtype=torch.float64, device=logits.device)
        probabilities = torch.softmax(logits.double().nan_to_num() / sampling.temperature, -1)
        order = None
        if sampling.top_p < 1:
            probabilities, order = torch.sort(probabilities, stable=True, dim=-1, descending=True)
            before = probabilities.cumsum(-1) - probabilities
            probabilities = probabilities * (before < sampling.top_p)
        cumulative = probabilities.cumsum(-1)
        chosen = torch.searchsorted(cumulative, numbers * cumulative[:, -1:], right=True)
        chosen = chosen.clamp(max=logits.shape[-1] - 1)
        chosen = chosen[:, 0] if order is None else order.gather(-1, chosen)[:, 0]
    return cast("list[int]", torch.where(broken, -1, chosen).tolist())


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many leading ids two sequences share.

    >>> common_prefix([1, 2, 3], [1, 2, 4, 5])
    2
    """
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low + 1 < high:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
