"""Contrastive terms: the student's state of an episode should be nearest to the teacher's of the same (appendix B)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sad_distill.data.batch import OBS, Batch
from sad_distill.losses.scoring import Scores
from sad_distill.losses.targets import HiddenTarget
from sad_distill.teachers.base import ScoringTeacher
from sad_env.errors import ConfigError


def info_nce(student: Tensor, teacher: Tensor, temperature: float = 0.07) -> Tensor:
    """-log of the share that each row's own teacher vector has among all, [B].

    Args:
        student: [B, D] vectors, normalised here.
        teacher: [B, D].
        temperature: of the softmax over similarities.
    """
    similarity = nn.functional.normalize(student, dim=-1) @ nn.functional.normalize(teacher, dim=-1).T
    return -(similarity / temperature).log_softmax(-1).diagonal()


class ContrastiveTerm(nn.Module):
    """InfoNCE between mean states over R and A tokens; an `ExtraTerm` with parameters (a map to the teacher's width).

    Negatives are the other rows of the micro-batch.

    Args:
        teacher: answers with its states (a local one).
        width: of the student's states.
        teacher_width: of the teacher's.
        weight: of the term.
    """

    def __init__(self, teacher: ScoringTeacher, width: int, teacher_width: int, weight: float = 0.3) -> None:
        super().__init__()
        self._teacher = [teacher]
        self.weight = weight
        self.map = nn.Linear(width, teacher_width, bias=False)

    def count(self, batch: Batch) -> int:
        """Rows."""
        return len(batch.ids_BT)

    def sum(self, student: nn.Module, batch: Batch, states: Tensor, scores: Scores) -> Tensor:
        """See `ExtraTerm`.

        Raises:
            ConfigError: a teacher that does not show its states.
        """
        target = self._teacher[0].score(batch)
        if not isinstance(target, HiddenTarget):
            raise ConfigError("the contrastive term needs a local teacher that answers with everything (--top 0)")
        mine = _means(states[batch.row_N, batch.from_N], batch)
        theirs = _means(target.hidden_ND, batch)
        return info_nce(self.map(mine.to(self.map.weight.dtype)), theirs.to(self.map.weight.dtype)).sum()


def _means(states_ND: Tensor, batch: Batch) -> Tensor:
    agent = batch.kind_N != OBS
    rows = batch.row_N[agent]
    sums = torch.zeros(len(batch.ids_BT), states_ND.shape[1]).to(states_ND).index_add(0, rows, states_ND[agent])
    return sums / torch.bincount(rows, minlength=len(batch.ids_BT)).clamp(min=1).to(states_ND)[:, None]
