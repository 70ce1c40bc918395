"""What a teacher says of predicted positions: whole distributions, or a set of tokens and the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from sad_distill.config import Outside
from sad_distill.losses.divergence import ABSENT, log1mexp, partition, renormalised
from sad_distill.models.heads import head_logits
from sad_distill.models.token_ids import TokenIds
from sad_env.errors import CheckpointError, ConfigError, DataError

_ROUNDING = 1e-3
"""A log-probability above 0 by no more than this is 0."""
_EXCESS = 0.05
"""Probabilities that add up to more than 1 by no more than this were rounded."""


@dataclass(frozen=True)
class Outcomes:
    """Log-probabilities of some positions over outcomes.

    Attributes:
        log_p: [n, V], or [n, K] or [n, K+1] over a token set and, in the bucket form, the rest.
        ids_NK: the token set, -1 where it has fewer than K; None when `log_p` is over the vocabulary.
    """

    log_p: Tensor
    ids_NK: Tensor | None


class Target(Protocol):
    """A teacher's answer for the N positions of a batch, read in parts so that [N, V] need not exist."""

    def outcomes(self, index: Tensor, support_NK: Tensor | None, temperature: float, outside: Outside) -> Outcomes:
        """The positions `index`, over the vocabulary (`support_NK` None) or over their token sets."""
        ...


def log_probs(logits_NV: Tensor, teacher: str) -> Tensor:
    """A local teacher's log-probabilities.

    Args:
        logits_NV: of its head; -inf is a probability of zero.
        teacher: its name, for the refusal.

    Raises:
        CheckpointError: a position with NaN or infinity, or without any probability.
    """
    log_p = logits_NV.log_softmax(-1)
    # One such logit makes all log-probabilities of its position NaN, so that one of them shows it.
    if log_p[:, 0].isnan().any():
        raise not_finite(teacher)
    return log_p


def not_finite(teacher: str) -> CheckpointError:
    """The refusal of a local teacher of this name whose answers are no numbers."""
    return CheckpointError(
        f"teacher {teacher!r} answers with NaN or infinity: its weights are damaged, or too large for this precision"
    )


def check_log_probs(highest: float, total: float) -> None:
    """Refuse log-probabilities that are none.

    Args:
        highest: of them.
        total: the logarithm of the sum of a position's probabilities.

    Raises:
        DataError: either is above 0 by more than rounding explains.
    """
    if highest > _ROUNDING:
        raise DataError(f"the answer holds a log-probability of {highest:.4g}: at most 0 is possible")
    if total > _EXCESS:
        raise DataError(
            f"the answer holds probabilities that add up to {math.exp(min(total, 99.0)):.4g}, not to 1 at most"
        )


def _outcomes(
    logits_NV: Tensor, support_NK: Tensor | None, temperature: float, outside: Outside, teacher: str
) -> Outcomes:
    log_p = log_probs(logits_NV / temperature, teacher)
    if support_NK is None:
        return Outcomes(log_p, None)
    return Outcomes(partition(log_p, support_NK, outside), support_NK)


@dataclass(frozen=True)
class HiddenTarget:
    """A local teacher's hidden states; its head runs chunk by chunk, over `ids` (None: over the model's outcomes)."""

    model: nn.Module
    hidden_ND: Tensor
    teacher: str = "in this process"
    ids: TokenIds | None = None

    @torch.no_grad()
    def outcomes(self, index: Tensor, support_NK: Tensor | None, temperature: float, outside: Outside) -> Outcomes:
        """See `Target`."""
        logits = head_logits(self.model, self.hidden_ND[index], self.ids)
        return _outcomes(logits, support_NK, temperature, outside, self.teacher)


@dataclass(frozen=True)
class DenseTarget:
    """Logits or log-probabilities over the whole vocabulary: [N, V]."""

    logits_NV: Tensor
    teacher: str = "in this process"

    def outcomes(self, index: Tensor, support_NK: Tensor | None, temperature: float, outside: Outside) -> Outcomes:
        """See `Target`."""
        return _outcomes(self.logits_NV[index], support_NK, temperature, outside, self.teacher)


@dataclass(frozen=True)
class SparseTarget:
    """Log-probabilities of a token set of each position: the one asked for, or the teacher's K likeliest.

    Attributes:
        ids_NK: the token sets, -1 where one has fewer than K.
        log_p_NK: their log-probabilities, `ABSENT` where there is no token.
        log_rest_N: log-probability of all other tokens, so that a truncated answer still is a distribution.
    """

    ids_NK: Tensor
    log_p_NK: Tensor
    log_rest_N: Tensor

    def outcomes(self, index: Tensor, support_NK: Tensor | None, temperature: float, outside: Outside) -> Outcomes:
        """See `Target`; the token set is the one that was scored.

        Raises:
            ConfigError: a temperature other than 1, which the unknown rest does not allow.
        """
        if temperature != 1:
            raise ConfigError("a teacher that answers with its likeliest tokens knows temperature 1 only")
        ids, inside = self.ids_NK[index], self.log_p_NK[index]
        if outside == "ignore" and support_NK is not None:
            return Outcomes(renormalised(inside, ids < 0), ids)
        return Outcomes(torch.cat([inside, self.log_rest_N[index][:, None]], -1), ids)

    def checked(self, count: int, vocabulary: int = 0) -> SparseTarget:
        """This answer of another process or of a file, once it is sound; a probability of zero becomes `ABSENT`.

        Args:
            count: positions that were asked for.
            vocabulary: ids below this are known; 0 where that is checked elsewhere.

        Raises:
            DataError: naming what is wrong with it.
        """
        ids, log_p, rest = self.ids_NK, self.log_p_NK, self.log_rest_N
        if ids.dim() != 2 or not ids.shape[1] or ids.shape != log_p.shape or not len(ids) == count == rest.numel():
            raise DataError(f"the answer has another shape than the request's {count} positions")
        if ids.is_floating_point() or not (log_p.is_floating_point() and rest.is_floating_point()):
            raise DataError("the answer's ids are not integers, or its log-probabilities not floating-point numbers")
        if count and (int(ids.min()) < -1 or int(ids[:, 0].min()) < 0):
            raise DataError("the answer holds ids below 0, or a position without a token")
        if count and vocabulary and int(ids.max()) >= vocabulary:
            raise DataError(f"the answer holds id {int(ids.max()):,} of a vocabulary of {vocabulary:,} tokens")
        inside, rest = log_p.float().masked_fill(ids < 0, ABSENT), rest.float()
        values = torch.cat([inside, rest.reshape(-1, 1)], 1)
        if values.isnan().any() or values.isposinf().any():
            raise DataError("the answer holds NaN or infinity")
        check_log_probs(float(values.max()) if count else 0.0, float(values.logsumexp(1).max()) if count else 0.0)
        return SparseTarget(ids.long(), inside.clamp(min=ABSENT), rest.clamp(min=ABSENT).flatten())

    @classmethod
    def select(cls, logits_NV: Tensor, support_NK: Tensor, top: int, teacher: str = "in this process") -> SparseTarget:
        """The token set of each position that has one, the `top` likeliest tokens of every other."""
        log_p = log_probs(logits_NV, teacher)
        likeliest = log_p.topk(min(top, log_p.shape[1]), -1).indices
        width = max(likeliest.shape[1], support_NK.shape[1])
        ids = torch.full((len(log_p), width), -1, dtype=torch.long, device=log_p.device)
        supported = support_NK[:, 0] >= 0
        ids[~supported, : likeliest.shape[1]] = likeliest[~supported]
        ids[supported, : support_NK.shape[1]] = support_NK[supported]
        outcomes = partition(log_p, ids)
        return cls(ids, outcomes[:, :-1], outcomes[:, -1])

    @classmethod
    def from_topk(cls, ids_NK: Tensor, log_p_NK: Tensor) -> SparseTarget:
        """From the likeliest tokens that a server answers with; the mass of the rest is computed."""
        inside = log_p_NK.clamp(min=ABSENT).masked_fill(ids_NK < 0, ABSENT)
        return cls(ids_NK, inside, log1mexp(inside.logsumexp(-1)))
