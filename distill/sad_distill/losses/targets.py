"""What a teacher says of predicted positions: whole distributions, or a set of tokens and the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from sad_distill.config import Outside
from sad_distill.losses.divergence import ABSENT, log1mexp, partition
from sad_distill.models.heads import head_logits
from sad_env.errors import ConfigError


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


def _outcomes(logits_NV: Tensor, support_NK: Tensor | None, temperature: float, outside: Outside) -> Outcomes:
    log_p = (logits_NV / temperature).log_softmax(-1)
    if support_NK is None:
        return Outcomes(log_p, None)
    return Outcomes(partition(log_p, support_NK, outside), support_NK)


@dataclass(frozen=True)
class HiddenTarget:
    """A local teacher's hidden states; its head runs chunk by chunk."""

    model: nn.Module
    hidden_ND: Tensor

    @torch.no_grad()
    def outcomes(self, index: Tensor, support_NK: Tensor | None, temperature: float, outside: Outside) -> Outcomes:
        """See `Target`."""
        return _outcomes(head_logits(self.model, self.hidden_ND[index]), support_NK, temperature, outside)


@dataclass(frozen=True)
class DenseTarget:
    """Logits or log-probabilities over the whole vocabulary: [N, V]."""

    logits_NV: Tensor

    def outcomes(self, index: Tensor, support_NK: Tensor | None, temperature: float, outside: Outside) -> Outcomes:
        """See `Target`."""
        return _outcomes(self.logits_NV[index], support_NK, temperature, outside)


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
            renormalised = inside - inside.logsumexp(-1, keepdim=True)
            return Outcomes(renormalised.masked_fill(ids < 0, ABSENT), ids)
        return Outcomes(torch.cat([inside, self.log_rest_N[index][:, None]], -1), ids)

    @classmethod
    def select(cls, logits_NV: Tensor, support_NK: Tensor, top: int) -> SparseTarget:
        """The token set of each position that has one, the `top` likeliest tokens of every other."""
        log_p = logits_NV.log_softmax(-1)
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
        inside = log_p_NK.masked_fill(ids_NK < 0, ABSENT)
        return cls(ids_NK, inside, log1mexp(inside.logsumexp(-1)))
