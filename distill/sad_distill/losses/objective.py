"""What a student is trained for: from numbers per position to one loss, a sum and a count for each kind of span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from sad_distill.config import LossSettings, Outside, Reduction
from sad_distill.data.batch import ACT, OBS, REASON, Batch
from sad_distill.losses.scoring import Scores
from sad_env.errors import ConfigError


@dataclass(frozen=True)
class Totals:
    """Sums and counts for reasoning, action, observation; they add up over micro-batches and ranks."""

    sums: Tensor
    counts: Tensor

    def __add__(self, other: Totals) -> Totals:
        return Totals(self.sums + other.sums, self.counts + other.counts)


def counts_of(batch: Batch, reduction: Reduction, outside: Outside = "bucket") -> Tensor:
    """What each kind's sum is divided by: three numbers, known before any model has run.

    With outside="ignore" a position whose set holds one token has divergence 0 by construction; type_mean and
    span_mean count only the others, since the zeros would dilute the rest (77 % of action tokens in ALFWorld).
    """
    counts = torch.zeros(3, dtype=torch.float64)
    counted = _counted(batch, outside)
    for kind in range(3):
        mine = (batch.kind_N == kind) & counted
        if reduction == "span_mean":
            counts[kind] = len(torch.unique(batch.span_N[mine]))
        else:
            counts[kind] = float(mine.sum())
    if reduction == "paper_sum":
        return torch.full_like(counts, float(len(batch.ids_BT)))
    if reduction == "token_mean":
        counts[REASON] = counts[ACT] = counts[REASON] + counts[ACT]
    return counts


def _counted(batch: Batch, outside: Outside) -> Tensor:
    forced = batch.supported_N
    if batch.support_NK.shape[1] > 1:
        forced = forced & (batch.support_NK[:, 1] < 0)
    return ~forced if outside == "ignore" else torch.ones_like(forced)


def sums_of(values_N: Tensor, batch: Batch, reduction: Reduction, outside: Outside = "bucket") -> Tensor:
    """Sum of `values_N` for each kind: three numbers with gradient; a kind without a token gives 0."""
    if reduction == "span_mean":
        counted = _counted(batch, outside).to(values_N)
        sizes = torch.zeros(int(batch.span_N.max()) + 1 if len(batch.span_N) else 1).to(values_N)
        sizes = sizes.index_add(0, batch.span_N, counted).clamp(min=1)
        values_N = values_N * counted / sizes[batch.span_N]
    sums = torch.zeros(3).to(values_N)
    return sums.index_add(0, batch.kind_N, values_N)


def combine(totals: Totals, weights: Tensor) -> Tensor:
    """The loss: each kind's sum over its count, times its weight, added up (Eq. 6).

    Args:
        totals: of the global batch, or of a part of it with the counts of the whole.
        weights: λ_r, λ_a and the weight of observations.
    """
    counts = totals.counts.to(totals.sums).clamp(min=1)
    return (weights.to(totals.sums) * totals.sums / counts).sum()


def weights_of(reason: float, act: float, observation: float) -> Tensor:
    """λ_r, λ_a, λ_o as a tensor.

    Raises:
        ConfigError: a negative one, or all zero.
    """
    if min(reason, act, observation) < 0 or reason + act + observation == 0:
        raise ConfigError(f"loss weights are not negative and not all 0, which {reason}, {act}, {observation} break")
    return torch.tensor([reason, act, observation], dtype=torch.float64)


class LearnedWeights(nn.Module):
    """λ_r and λ_a that are learned as log-variances: the loss is the sum of exp(-s) L + s (Kendall et al. 2018)."""

    def __init__(self, reason: float, act: float) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(-torch.tensor([reason, act]).clamp(min=1e-3).log())

    @property
    def weights(self) -> Tensor:
        """λ_r and λ_a as they are."""
        return torch.exp(-self.log_variance)

    def forward(self, terms: Tensor, share: float = 1.0) -> Tensor:
        """The combined loss of the two terms [2], each already divided by its count.

        A part of a batch brings its part of the terms and states its share of the batch, which s is weighted by.
        """
        return (self.weights * terms + share * self.log_variance).sum()


@dataclass(frozen=True, kw_only=True)
class Objective(LossSettings):
    """What a student is trained for.

    Attributes:
        likelihood: weight of the cross-entropy with the recorded tokens (SFT and SeqKD; Eq. 19).
        divergence: weight of the divergence from the teacher. Where `reason_loss` and `act_loss` differ, each kind has
            its own loss, and neither weight is used.
    """

    likelihood: float = 0.0
    divergence: float = 1.0

    def __post_init__(self) -> None:
        """Refuse weights that `weights_of` refuses."""
        weights_of(self.reason_weight, self.act_weight, self.observation_weight)

    @property
    def weights(self) -> Tensor:
        """λ_r, λ_a and the weight of observations."""
        return weights_of(self.reason_weight, self.act_weight, self.observation_weight)

    @property
    def kinds(self) -> str:
        """Letters of the kinds whose positions are scored."""
        return "RAO" if self.observation_weight else "RA"

    def values(self, scores: Scores, batch: Batch) -> Tensor:
        """The number of each position that is summed."""
        # What has no weight is left out, so that no backward pass is made for zeros.
        if self.reason_loss != self.act_loss:
            by_likelihood = batch.kind_N == (REASON if self.reason_loss == "likelihood" else ACT)
            agent = torch.where(by_likelihood, scores.nll, scores.divergence)
        elif self.likelihood and not self.divergence:
            agent = self.likelihood * scores.nll
        elif self.divergence and not self.likelihood:
            agent = self.divergence * scores.divergence
        else:
            agent = self.likelihood * scores.nll + self.divergence * scores.divergence
        return torch.where(batch.kind_N == OBS, scores.nll, agent) if self.observation_weight else agent


class ExtraTerm(Protocol):
    """A further term of the loss, a sum and a count like all of them."""

    @property
    def weight(self) -> float:
        """What its mean is multiplied by."""
        ...

    def count(self, batch: Batch) -> int:
        """What a batch adds to the divisor."""
        ...

    def sum(self, student: nn.Module, batch: Batch, states: Tensor, scores: Scores) -> Tensor:
        """The batch's sum, with gradient.

        Args:
            student: the student.
            batch: a micro-batch.
            states: the student's hidden states on it, [B, T, D].
            scores: its positions, scored.
        """
        ...
