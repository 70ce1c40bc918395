"""A teacher in this process: its hidden states are kept, and its head runs only where a position is scored."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sad_distill.data.batch import Batch
from sad_distill.losses.targets import HiddenTarget, SparseTarget, Target
from sad_distill.models.heads import check_head, head_logits, outcomes_of, rows_of_head
from sad_distill.models.token_ids import TokenIds
from sad_distill.teachers.base import check_ids, said_of


class LocalTeacher:
    """A causal LM of transformers.

    Args:
        model: frozen and put into evaluation mode.
        name: see `ScoringTeacher`.
        top: answer with this many likeliest tokens and the rest, as a server would; 0 answers with everything.
        ids: what its distributions are over; None takes the model's own outcomes (`heads.outcomes_of`).
    """

    def __init__(self, model: nn.Module, name: str, top: int = 0, ids: TokenIds | None = None) -> None:
        self.model = model.eval().requires_grad_(False)
        self.name = name
        self.top = top
        self._ids = ids
        check_head(model)

    @property
    def ids(self) -> TokenIds:
        """What its distributions are over."""
        return self._ids or outcomes_of(self.model)

    @property
    def setting(self) -> str:
        """See `ScoringTeacher`."""
        return _setting(self.model, self.top, self.ids)

    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`.

        Raises:
            DataError: the rows hold an id that it does not have.
        """
        return _score(self.model, self.name, self.top, self.ids, batch)


class AdaptersOffTeacher:
    """The student's own model without its LoRA adapters: a teacher that takes no memory of its own.

    Args:
        model: the student, wrapped by peft; it stays in training.
        name: see `ScoringTeacher`.
        top: see `LocalTeacher`.
    """

    def __init__(self, model: Any, name: str, top: int = 0) -> None:
        self.model = model
        self.name = name
        self.top = top
        self.ids = outcomes_of(model)

    @property
    def setting(self) -> str:
        """See `ScoringTeacher`."""
        return _setting(self.model, self.top, self.ids)

    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`; the head, which may run later, has no adapters."""
        training = self.model.training
        self.model.eval()
        try:
            with self.model.disable_adapter():
                return _score(self.model, self.name, self.top, self.ids, batch)
        finally:
            self.model.train(training)


def _setting(model: nn.Module, top: int, ids: TokenIds) -> str:
    weights = next(model.parameters())
    device = weights.device.type
    half = torch.is_autocast_enabled(device)
    stored = "" if weights.dtype is torch.float32 else f", weights {weights.dtype}"
    precision = f", {torch.get_autocast_dtype(device)}" if half else ""
    return f"top {top}{precision}{stored}{said_of(ids, rows_of_head(model))}"


@torch.no_grad()
def _score(model: nn.Module, name: str, top: int, ids: TokenIds, batch: Batch) -> Target:
    check_ids(batch, ids, name)
    hidden_ND = batch.predicting(model)
    if not top:
        return HiddenTarget(model, hidden_ND, name, ids)
    parts = [
        SparseTarget.select(head_logits(model, hidden, ids), support, top, name)
        for hidden, support in zip(torch.split(hidden_ND, 256), torch.split(batch.support_NK, 256), strict=True)
    ]
    return join(parts)


def join(parts: list[SparseTarget]) -> SparseTarget:
    """Answers for successive positions as one."""
    return SparseTarget(
        torch.cat([part.ids_NK for part in parts]),
        torch.cat([part.log_p_NK for part in parts]),
        torch.cat([part.log_rest_N for part in parts]),
    )
