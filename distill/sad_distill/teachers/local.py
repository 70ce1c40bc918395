"""A teacher in this process: its hidden states are kept, and its head runs only where a position is scored."""

from __future__ import annotations

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
        device = next(self.model.parameters()).device.type
        half = torch.is_autocast_enabled(device)
        precision = f", {torch.get_autocast_dtype(device)}" if half else ""
        return f"top {self.top}{precision}{said_of(self.ids, rows_of_head(self.model))}"

    @torch.no_grad()
    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`.

        Raises:
            DataError: the rows hold an id that it does not have.
        """
        check_ids(batch, self.ids, self.name)
        hidden_ND = batch.states(self.model)[batch.row_N, batch.from_N]
        if not self.top:
            return HiddenTarget(self.model, hidden_ND, self.name, self.ids)
        parts = [
            SparseTarget.select(head_logits(self.model, hidden, self.ids), support, self.top, self.name)
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
