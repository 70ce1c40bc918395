"""A teacher in this process: its hidden states are kept, and its head runs only where a position is scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sad_distill.data.batch import Batch
from sad_distill.losses.targets import HiddenTarget, SparseTarget, Target
from sad_distill.models.heads import check_head, head_logits, vocabulary_of
from sad_env.errors import ConfigError


class LocalTeacher:
    """A causal LM of transformers.

    Args:
        model: frozen and put into evaluation mode.
        name: see `ScoringTeacher`.
        top: answer with this many likeliest tokens and the rest, as a server would; 0 answers with everything.
    """

    def __init__(self, model: nn.Module, name: str, top: int = 0) -> None:
        self.model = model.eval().requires_grad_(False)
        self.name = name
        self.top = top
        check_head(model)

    @property
    def vocabulary(self) -> int:
        """Rows of its head."""
        return vocabulary_of(self.model)

    @property
    def setting(self) -> str:
        """See `ScoringTeacher`."""
        return _setting(self.model, self.top)

    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`."""
        return _score(self.model, self.name, self.top, batch)


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

    @property
    def setting(self) -> str:
        """See `ScoringTeacher`."""
        return _setting(self.model, self.top)

    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`; the head, which may run later, has no adapters."""
        training = self.model.training
        self.model.eval()
        try:
            with self.model.disable_adapter():
                return _score(self.model, self.name, self.top, batch)
        finally:
            self.model.train(training)


def _setting(model: nn.Module, top: int) -> str:
    weights = next(model.parameters())
    device = weights.device.type
    half = torch.is_autocast_enabled(device)
    stored = "" if weights.dtype is torch.float32 else f", weights {weights.dtype}"
    return f"top {top}" + (f", {torch.get_autocast_dtype(device)}" if half else "") + stored


@torch.no_grad()
def _score(model: nn.Module, name: str, top: int, batch: Batch) -> Target:
    hidden_ND = batch.states(model)[batch.row_N, batch.from_N]
    if not top:
        return HiddenTarget(model, hidden_ND, name)
    parts = [
        SparseTarget.select(head_logits(model, hidden), support, top, name)
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


def check_same_tokens(teacher_vocabulary: Mapping[str, int], student_vocabulary: Mapping[str, int]) -> None:
    """Token-level losses compare ids, so the ids must mean the same.

    Raises:
        ConfigError: they do not.
    """
    if teacher_vocabulary != student_vocabulary:
        differing = {
            token for token, index in teacher_vocabulary.items() if student_vocabulary.get(token, index) != index
        }
        raise ConfigError(
            f"teacher ({len(teacher_vocabulary):,} tokens) and student ({len(student_vocabulary):,}) have different"
            f" vocabularies, {len(differing):,} shared tokens under other ids: give both one tokenizer, or distil from"
            " text (method seqkd)"
        )
