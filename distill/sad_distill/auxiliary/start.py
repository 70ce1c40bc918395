"""Regularisation towards the start: a student stays near what it was before its distillation (appendices B and J)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from sad_distill.config import Measure
from sad_distill.data.batch import OBS, Batch
from sad_distill.losses.scoring import Scores, score_positions
from sad_distill.losses.targets import HiddenTarget


class StartTerm:
    """KL(student ‖ student at its start) over the vocabulary, at the agent's tokens; an `ExtraTerm`.

    The paper calls it optional and gives no formula; this is the form of reinforcement learning. With adapters the
    start is the model without them, otherwise a copy is kept.

    Args:
        student: as it begins.
        weight: of the term.
    """

    def __init__(self, student: nn.Module, weight: float) -> None:
        self.weight = weight
        self._copy = None if hasattr(student, "disable_adapter") else copy.deepcopy(student).requires_grad_(False)

    def count(self, batch: Batch) -> int:
        """Tokens of the agent."""
        return int((batch.kind_N != OBS).sum())

    def sum(self, student: nn.Module, batch: Batch, states: Tensor, scores: Scores) -> Tensor:
        """See `ExtraTerm`."""
        whole = replace(batch, support_NK=torch.full_like(batch.support_NK[:, :1], -1))
        before = self._states(student, batch)
        target = HiddenTarget(self._copy if self._copy is not None else student, before, "the student at its start")
        found = score_positions(student, states, whole, target, Measure(divergence="reverse"))
        return found.divergence[batch.kind_N != OBS].sum()

    @torch.no_grad()
    def _states(self, student: Any, batch: Batch) -> Tensor:
        if self._copy is not None:
            return batch.predicting(self._copy.eval())
        training = student.training
        with student.disable_adapter():  # these leave the head as it is
            found = batch.predicting(student.eval())
        student.train(training)
        return found
