"""Where logits become ids: the one place at which a sampler chooses, and tells how likely each choice was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch

from sad_agents.agent import Sampling
from sad_env.records import TopLogprobs


class ChosenIds(NamedTuple):
    """Chosen ids, one a row.

    Attributes:
        ids: -1 where the logits were no distribution.
        logprobs: natural log-probability of each id under the distribution that it was drawn from: at its temperature,
            renormalised over its nucleus; at temperature 0, which draws nothing, under the model's own. None where
            they are not asked for; of no meaning where the id is -1.
    """

    ids: list[int]
    logprobs: list[float] | None = None


def choose(logits: torch.Tensor, sampling: Sampling, numbers: Sequence[float]) -> ChosenIds:
    """One id a row of logits [batch, vocabulary].

    Each row takes its own number from [0, 1), by inversion of the cumulative distribution.
    """
    highest, chosen = logits.max(-1)
    broken = ~highest.isfinite()  # a maximum over numbers with a NaN is NaN
    if sampling.temperature == 0:
        told = logits.double().log_softmax(-1).gather(-1, chosen[:, None]) if sampling.logprobs else None
        return _choice(chosen, broken, told)
    points = torch.tensor(numbers, dtype=torch.float64, device=logits.device)[:, None]
    probabilities = torch.softmax(logits.double().nan_to_num() / sampling.temperature, -1)
    order = None
    if sampling.top_p < 1:
        probabilities, order = torch.sort(probabilities, stable=True, dim=-1, descending=True)
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities * (before < sampling.top_p)
    cumulative = probabilities.cumsum(-1)
    places = torch.searchsorted(cumulative, points * cumulative[:, -1:], right=True)
    places = places.clamp(max=logits.shape[-1] - 1)
    told = (probabilities.gather(-1, places) / cumulative[:, -1:]).log() if sampling.logprobs else None
    return _choice((places if order is None else order.gather(-1, places))[:, 0], broken, told)


LEFT_OUT = 1e-4
"""Mass that `likeliest` may leave out: most places of a trained model hold all but this in one or two ids."""


def likeliest(logits: torch.Tensor, count: int) -> list[TopLogprobs]:
    """The likeliest ids of each row of logits [batch, vocabulary], with natural log-probabilities, likeliest first.

    The distribution is the model's own, at temperature 1. At most `count` ids are told, and none once those before it
    hold all mass but 1e-4; at least one is.
    """
    log_p, ids = logits.float().log_softmax(-1).topk(min(count, logits.shape[-1]))
    before = log_p.exp().cumsum(-1) - log_p.exp()
    counts = (before <= 1 - LEFT_OUT).sum(-1).clamp(min=1).tolist()
    rows = zip(ids.tolist(), log_p.tolist(), counts, strict=True)
    return [tuple(zip(row[:kept], told[:kept], strict=True)) for row, told, kept in rows]


def _choice(chosen: torch.Tensor, broken: torch.Tensor, logprobs: torch.Tensor | None) -> ChosenIds:
    ids = cast("list[int]", torch.where(broken, -1, chosen).tolist())
    return ChosenIds(ids, None if logprobs is None else logprobs[:, 0].tolist())
