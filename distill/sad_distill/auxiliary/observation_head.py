"""A head of its own for observations: the optional extension of §3.5 and appendix M."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sad_distill.data.batch import Batch
from sad_distill.losses.scoring import Scores
from sad_env.records import SpanKind


class ObservationHead(nn.Module):
    """Predicts the tokens of observations by a linear head of its own; an `ExtraTerm` with parameters.

    The student's states learn what the world answers, while its language head is left to what an agent writes. With
    `--observation-weight` the language head predicts observations instead (cross-entropy over m_o).

    Args:
        width: of the student's states.
        vocabulary: tokens.
        weight: of the term.
    """

    def __init__(self, width: int, vocabulary: int, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.head = nn.Linear(width, vocabulary)

    def count(self, batch: Batch) -> int:
        """Tokens of observations, the first token of a row excepted, which nothing predicts."""
        return sum(row.labels[1:].count(SpanKind.OBS.value) for row in batch.rows)

    def sum(self, student: nn.Module, batch: Batch, states: Tensor, scores: Scores) -> Tensor:
        """See `ExtraTerm`: the sum of -log q(x_t) over m_o."""
        places = [
            (number, at)
            for number, row in enumerate(batch.rows)
            for at in range(1, len(row.labels))
            if row.labels[at] == SpanKind.OBS.value
        ]
        if not places:
            return states.sum() * 0
        rows, ats = torch.tensor(places, device=states.device).T
        logits = self.head(states[rows, ats - 1].to(self.head.weight.dtype))
        logits = logits if logits.dtype == torch.float64 else logits.float()
        return nn.functional.cross_entropy(logits, batch.ids_BT[rows, ats], reduction="sum")
