"""What is known of an update before any model has run, and what is added up while they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sad_distill.data.batch import ACT, OBS, REASON, Batch
from sad_distill.losses.objective import ExtraTerm, Objective
from sad_distill.losses.scoring import Scores
from sad_distill.training.ranks import Ranks


@dataclass(frozen=True)
class UpdatePlan:
    """What is known of an update before any model has run.

    Attributes:
        objective: what its rows are learned by.
        weights: λ_r, λ_a and that of observations, times the objective's own, on the device.
        extras: further terms of the loss.
        counts: what the sums of each kind are divided by, over all micro-batches and processes.
        divisors: the same of each further term.
        rows: of the whole batch.
        tokens: predicted ones of the whole batch.
    """

    objective: Objective
    weights: Tensor
    extras: Sequence[ExtraTerm]
    counts: Tensor
    divisors: Sequence[float]
    rows: int
    tokens: int


class UpdateMetrics:
    """Sums over the micro-batches of an update; they stay on the device until it is over.

    Args:
        device: of the student.
        tokens: predicted ones of the whole batch.
    """

    def __init__(self, device: torch.device, tokens: int) -> None:
        self.tokens = tokens
        self.score_seconds = 0.0
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.extra = torch.zeros((), dtype=torch.float64, device=device)
        self._kinds = torch.zeros(len(Scores._fields) + 1, 3, dtype=torch.float64, device=device)

    @torch.no_grad()
    def add_scores(self, scores: Scores, batch: Batch) -> None:
        """Add positions to the averages by kind."""
        columns = torch.stack([*(values.double() for values in scores), torch.ones_like(scores.nll).double()])
        self._kinds.index_add_(1, batch.kind_N, columns)

    def reduced(self, ranks: Ranks, *, extra: bool) -> dict[str, float]:
        """Loss and means by kind of span over all processes; with `extra` also the part of the further terms."""
        whole = ranks.add(torch.cat([self.loss[None], self.extra[None], self._kinds.flatten()])).cpu()
        metrics = {"loss": float(whole[0])}
        *columns, counts = whole[2:].reshape(-1, 3).tolist()
        for kind, label in ((REASON, "reason"), (ACT, "act"), (OBS, "observation")):
            if counts[kind]:
                for name, column in zip(Scores._fields, columns, strict=True):
                    metrics[f"{label}_{name}"] = column[kind] / counts[kind]
        return {**metrics, "extra": float(whole[1])} if extra else metrics
