"""What a sampler works on: requests, what came of them, the rows and turns of continuations that are under way."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from sad_agents.agent import Sampling
from sad_agents.sampling.action_trie import AllowedNext
from sad_env.records import TopLogprobs


@dataclass(frozen=True)
class SampleRequest:
    """What to continue.

    Attributes:
        key: names the conversation whose cache is used.
        ids: all that comes before, at least one id.
        seed: seeds the draws, so that they do not depend on what else is in the batch.
        begun: how many of the last ids are the beginning of the completion already.
        allowed: what may come next in the completion; None allows everything.
    """

    key: Hashable
    ids: Sequence[int]
    seed: str = ""
    begun: int = 0
    allowed: AllowedNext | None = None


@dataclass(frozen=True)
class Sample:
    """What was sampled.

    Attributes:
        ids: sampled ids, a final end-of-text id excluded.
        generated: tokens produced, that id included.
        broken: the model gave no distribution (NaN logits) and sampling stopped there.
        logprobs: of each id, as `ChosenIds` tells them; None where `Sampling.logprobs` does not ask for them.
        top_logprobs: of each id's place, as `likeliest` tells them; None where `Sampling.top_logprobs` is 0.
        missing: one line on why a server gave no answer; empty where it did.
    """

    ids: list[int]
    generated: int
    broken: bool = False
    logprobs: list[float] | None = None
    top_logprobs: list[TopLogprobs] | None = None
    missing: str = ""


@dataclass(eq=False)
class CacheRow:
    """A row of the cache.

    Attributes:
        index: of the row in the cache.
        key: of its conversation; None when it is free.
        ids: whose keys and values its first columns hold.
        used: clock of the last call that used it.
    """

    index: int
    key: Hashable = None
    ids: list[int] = field(default_factory=list)
    used: int = 0


@dataclass(eq=False)
class Continuation:
    """A request at work.

    Attributes:
        request: what is continued.
        row: its row.
        pending: ids that the row has yet to be fed; none once it has ended.
        draw: gives one number for each sampled id.
        recent: the last `CONTEXT` ids of all that was written.
        numbers: drawn and not yet used.
        begun: ids that the completion began with.
    """

    request: SampleRequest
    row: CacheRow
    pending: list[int]
    draw: random.Random
    recent: tuple[int, ...]
    numbers: list[float] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    sampled: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    top_logprobs: list[TopLogprobs] = field(default_factory=list)
    generated: int = 0
    broken: bool = False

    def sample(self, sampling: Sampling) -> Sample:
        """What was sampled, with the log-probabilities that are asked for."""
        logprobs = self.logprobs if sampling.logprobs else None
        top_logprobs = self.top_logprobs if sampling.top_logprobs else None
        return Sample(self.sampled, self.generated, self.broken, logprobs, top_logprobs)

    def next_numbers(self, count: int) -> list[float]:
        """The numbers that the next ids are drawn with."""
        self.numbers += [self.draw.random() for _ in range(count - len(self.numbers))]
        return self.numbers[:count]


class FeedTurn(NamedTuple):
    """What a job is fed in a forward pass: certain ids and guessed ones; `wanted` logits are sampled from."""

    job: Continuation
    ids: list[int]
    draft: list[int]
    wanted: int


def limit(logits: torch.Tensor, turns: Sequence[FeedTurn]) -> None:
    """Take from the logits [wanted of all turns, vocabulary], in place, what a request does not allow to come next."""
    row = 0
    for job, _, draft, wanted in turns:
        if job.request.allowed is not None:
            for count in range(wanted):
                allowed = job.request.allowed([*job.begun, *job.sampled, *draft[:count]])
                if allowed is not None:
                    forbidden = torch.ones(logits.shape[1], dtype=torch.bool, device=logits.device)
                    forbidden[list(allowed)] = False
                    logits[row + count].masked_fill_(forbidden, -torch.inf)
        row += wanted
