"""Divergences between two next-token distributions, on the whole vocabulary or on a set of tokens.

All functions are pure, work in log space, keep the precision they are given and return one number a position.
"""

from __future__ import annotations

import math
from typing import get_args

import torch
from torch import Tensor

from sad_distill.config import Divergence, Outside
from sad_env.errors import ConfigError

ABSENT = -1e4
"""Log-probability of an outcome that does not exist: exp gives exactly 0, and differences stay finite."""


def divergence(log_p: Tensor, log_q: Tensor, kind: Divergence = "forward", beta: float = 0.5) -> Tensor:
    """Divergence of two log-distributions over the last dimension.

    A probability of zero (-inf) of the teacher counts as `ABSENT`, so that loss and gradient are finite: forward and
    the mixtures are exact; reverse, which would be infinite, counts 10,000 nats for a unit of the student's mass there.

    Args:
        log_p: teacher [..., V], normalised; outcomes that do not exist are `ABSENT` in both.
        log_q: student [..., V], finite.
        kind: see `Divergence`.
        beta: mixture weight of js and the skew forms; not used by forward and reverse.

    Returns:
        [...], at least 0 up to rounding.
    """
    log_p = log_p.clamp(min=ABSENT)
    if kind == "forward":
        return _kl(log_p, log_q)
    if kind == "reverse":
        return _kl(log_q, log_p)
    if not 0 < beta < 1:
        raise ConfigError(f"beta of {kind} lies between 0 and 1, not at {beta}")
    if kind == "js":
        mixture = _mix(log_p, log_q, beta)
        return beta * _kl(log_p, mixture) + (1 - beta) * _kl(log_q, mixture)
    if kind == "skew_forward":
        return _kl(log_p, _mix(log_p, log_q, beta))
    if kind == "skew_reverse":
        return _kl(log_q, _mix(log_q, log_p, beta))
    raise ConfigError(f"no divergence {kind!r}; known: {', '.join(get_args(Divergence))}")


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _mix(log_a: Tensor, log_b: Tensor, weight: float) -> Tensor:
    return torch.logaddexp(log_a + math.log(weight), log_b + math.log1p(-weight))


def partition(log_probs_NV: Tensor, ids_NK: Tensor, outside: Outside = "bucket") -> Tensor:
    """The distribution over a set of tokens of each position.

    Args:
        log_probs_NV: normalised log-probabilities.
        ids_NK: the token set of each position, -1 where it has fewer than K; the first is never -1.
        outside: "bucket" adds one outcome that holds all other mass, so that the student learns not to leave the
            set; "ignore" renormalises within the set, which gives no gradient outside it.

    Returns:
        [N, K+1] (bucket) or [N, K] (ignore) log-probabilities.
    """
    missing = ids_NK < 0
    safe = torch.where(missing, ids_NK[:, :1], ids_NK)
    inside = log_probs_NV.gather(1, safe).clamp(min=ABSENT).masked_fill(missing, ABSENT)
    if outside == "ignore":
        return renormalised(inside, missing)
    # The rest is summed itself: one minus the inside would lose all digits where the set holds nearly everything.
    rest = log_probs_NV.scatter(1, safe, ABSENT).logsumexp(-1, keepdim=True)
    return torch.cat([inside, rest], -1)


def renormalised(inside_NK: Tensor, missing_NK: Tensor) -> Tensor:
    """Log-probabilities of token sets divided by their sum; `ABSENT` where a set has no token."""
    total = inside_NK.masked_fill(missing_NK, -math.inf).logsumexp(-1, keepdim=True)
    return (inside_NK - total).clamp(min=ABSENT).masked_fill(missing_NK, ABSENT)


def log1mexp(log_p: Tensor) -> Tensor:
    """log(1 - exp(log_p)) for log_p <= -1e-7, without cancellation; larger values are taken as -1e-7."""
    log_p = log_p.clamp(max=-1e-7)
    return torch.where(log_p > -math.log(2), (-torch.expm1(log_p)).log(), torch.log1p(-log_p.exp()))


def entropy(log_p: Tensor) -> Tensor:
    """Entropy in nats over the last dimension."""
    log_p = log_p.clamp(min=ABSENT)
    return -(log_p.exp() * log_p).sum(-1)
