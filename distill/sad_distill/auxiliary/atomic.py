"""Whole actions: the divergence of two distributions over the admissible ones, as a further term (appendix L).

KL between two local distributions equals the sum over the trie's nodes of the teacher's chance to reach the node times
the KL of the two on the node's children, which is how `trie` with outside="ignore" is its one-sample estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from sad_distill.config import Measure
from sad_distill.data.batch import Batch
from sad_distill.data.rows import Row
from sad_distill.losses.divergence import divergence
from sad_distill.losses.scoring import Scores
from sad_distill.losses.targets import not_finite
from sad_distill.losses.whole_actions import Choice, Form, action_scores, choices_of
from sad_distill.teachers.by_text import TextTeacher
from sad_env.errors import ConfigError


@torch.no_grad()
def teacher_scores(
    teacher: nn.Module | TextTeacher, rows: Sequence[Row], choices: Sequence[Choice], form: Form, device: torch.device
) -> list[Tensor]:
    """See `action_scores`, of a teacher: a model with the rows' tokenizer, or one that reads text in its own.

    Raises:
        CheckpointError: it answers with NaN.
        ConfigError: a local distribution of one that reads text, which says nothing of its tries.
    """
    if isinstance(teacher, TextTeacher):
        if form != "posterior":
            raise ConfigError("local distributions over actions need a teacher in this process: give the term atomic")
        return [one.log_softmax(0) for one in teacher.action_likelihoods(rows, choices, device)]
    found = action_scores(teacher, rows, choices, form)
    if torch.stack([scores.sum() for scores in found]).isnan().any():
        raise not_finite("in this process")
    return found


@dataclass(frozen=True)
class AtomicTerm:
    """Divergence of teacher and student over whole actions, once a step; an `ExtraTerm`.

    Attributes:
        teacher: a local model with the student's tokenizer, or one that reads text in its own.
        tokenizer: of the student.
        form: which distribution.
        measure: the divergence of the two distributions over actions; its limit and what it does outside are not used.
        weight: of the term.
    """

    teacher: nn.Module | TextTeacher
    tokenizer: PreTrainedTokenizerBase
    form: Form = "posterior"
    measure: Measure = field(default_factory=Measure)
    weight: float = 1.0

    def count(self, batch: Batch) -> int:
        """Steps with admissible actions."""
        return len(choices_of(batch.rows, self.tokenizer))

    def sum(self, student: nn.Module, batch: Batch, states: Tensor, scores: Scores) -> Tensor:
        """See `ExtraTerm`."""
        choices = choices_of(batch.rows, self.tokenizer)
        total = states.sum() * 0
        if not choices:
            return total
        mine = action_scores(student, batch.rows, choices, self.form)
        theirs = teacher_scores(self.teacher, batch.rows, choices, self.form, states.device)
        tau = self.measure.kd_temperature
        for log_p, log_q in zip(theirs, mine, strict=True):
            soft_p, soft_q = ((one.to(log_q) / tau).log_softmax(0) for one in (log_p, log_q))
            total = total + divergence(soft_p, soft_q, self.measure.divergence, self.measure.beta) * tau**2
        return total
