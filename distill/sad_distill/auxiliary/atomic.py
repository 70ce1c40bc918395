"""Whole actions: a model's distribution over the admissible ones, and the divergence of two of them (appendix L).

A model's score of an action is the log-probability of its tokens after "Action:", final newline included; since no
action with its newline is the prefix of another, no length correction is needed. There are two distributions:

- *posterior*: softmax of the scores, what the model believes given that it acts admissibly;
- *local*: the product of next-token probabilities renormalised on the trie, what constrained decoding samples from.

KL between two local distributions equals the sum over the trie's nodes of the teacher's chance to reach the node times
the KL of the two on the node's children, which is how `trie` with outside="ignore" is its one-sample estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from sad_agents.sampling.action_trie import Trie, before_slot, spelled
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from sad_distill.config import Measure
from sad_distill.data.action_support import action_start
from sad_distill.data.batch import Batch, collate
from sad_distill.data.labels import encode
from sad_distill.data.rows import Branch, Row
from sad_distill.losses.divergence import ABSENT, divergence
from sad_distill.losses.scoring import Scores
from sad_distill.losses.targets import not_finite
from sad_distill.models.heads import head_logits, unwrap

Form = Literal["posterior", "local"]


@dataclass(frozen=True)
class Choice:
    """A step at which admissible actions are compared.

    Attributes:
        row: index of its row in the batch.
        at: position of the ":" of "Action:", after which the action begins.
        actions: the admissible actions.
        paths: their token ids.
    """

    row: int
    at: int
    actions: tuple[str, ...]
    paths: tuple[tuple[int, ...], ...]


def choices_of(rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, *, most: int = 64) -> list[Choice]:
    """The steps of these rows whose admissible actions can be compared; at most `most` actions each are."""
    choices = []
    for number, row in enumerate(rows):
        for unit in row.units:
            actions = tuple(action for action in unit.admissible or () if before_slot(action) is None)
            start = action_start(tokenizer, row.ids[unit.start : unit.end], row.span_labels[unit.start : unit.end])
            if start is None or not 2 <= len(actions) <= most:
                continue
            paths = tuple(tuple(encode(tokenizer, spelled(action))) for action in actions)
            choices.append(Choice(number, unit.start + start - 1, actions, paths))
    return choices


def action_scores(model: nn.Module, rows: Sequence[Row], choices: Sequence[Choice], form: Form) -> list[Tensor]:
    """Log-distribution over the admissible actions of each choice.

    All actions are branches of their row, so that each row's text passes through the model once.
    """
    branched = []
    for number, row in enumerate(rows):
        mine = [choice for choice in choices if choice.row == number]
        branches = tuple(Branch(choice.at, path, "A" * len(path)) for choice in mine for path in choice.paths)
        branched.append(replace(row, labels="N" * len(row.ids), branches=branches))
    batch = collate(branched, kinds="A").to(next(model.parameters()).device)
    states = batch.states(model)[batch.row_N, batch.from_N]
    log_p = head_logits(model, states).log_softmax(-1)
    taken = iter(torch.split(log_p, [len(path) for choice in choices for path in choice.paths]))
    return [_distribution(choice, [next(taken) for _ in choice.paths], form) for choice in choices]


def _distribution(choice: Choice, steps: list[Tensor], form: Form) -> Tensor:
    if form == "posterior":
        # A probability of zero stays finite, so that differences do.
        scores = [
            log_p.gather(1, _column(path, log_p))[:, 0].clamp(min=ABSENT).sum()
            for path, log_p in zip(choice.paths, steps, strict=True)
        ]
        return torch.stack(scores).log_softmax(0)
    trie = Trie.of_paths(choice.paths)
    scores = []
    for path, log_p in zip(choice.paths, steps, strict=True):
        parts = []
        for place, children in enumerate(trie.walk(path)):
            assert children is not None  # these actions have no slot
            offered = log_p[place, torch.tensor(children, device=log_p.device)].clamp(min=ABSENT).log_softmax(0)
            parts.append(offered[children.index(path[place])])
        scores.append(torch.stack(parts).sum())
    return torch.stack(scores)


@torch.no_grad()
def teacher_scores(model: nn.Module, rows: Sequence[Row], choices: Sequence[Choice], form: Form) -> list[Tensor]:
    """See `action_scores`, of a teacher.

    Raises:
        CheckpointError: it answers with NaN.
    """
    found = action_scores(model, rows, choices, form)
    if torch.stack([scores.sum() for scores in found]).isnan().any():
        raise not_finite("in this process")
    return found


def _column(path: Sequence[int], like: Tensor) -> Tensor:
    return torch.tensor(path, device=like.device)[:, None]


@dataclass(frozen=True)
class AtomicTerm:
    """Divergence of teacher and student over whole actions, once a step; an `ExtraTerm`.

    Attributes:
        teacher: a local model.
        tokenizer: of both.
        form: which distribution.
        measure: the divergence of the two distributions over actions; its limit and what it does outside are not used.
        weight: of the term.
    """

    teacher: nn.Module
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
        theirs = teacher_scores(self.teacher, batch.rows, choices, self.form)
        tau = self.measure.kd_temperature
        for log_p, log_q in zip(theirs, mine, strict=True):
            soft_p, soft_q = ((one.to(log_q) / tau).log_softmax(0) for one in (log_p, log_q))
            total = total + divergence(soft_p, soft_q, self.measure.divergence, self.measure.beta) * tau**2
        return total


class PointerTerm(nn.Module):
    """A pointer head over admissible actions that learns the teacher's posterior; an `ExtraTerm` with parameters.

    z(a) = (U h) · (W e(a)) with h the student's state at "Action:" and e(a) the mean embedding of the action's ids.

    Args:
        teacher: a local model.
        tokenizer: of both.
        width: of the student's states.
        rank: of U and W.
        weight: of the term.
    """

    def __init__(
        self, teacher: nn.Module, tokenizer: PreTrainedTokenizerBase, width: int, rank: int = 64, weight: float = 1.0
    ) -> None:
        super().__init__()
        # The teacher is not part of the head: a list keeps it out of the module tree.
        self._teacher = [teacher]
        self._tokenizer = tokenizer
        self.weight = weight
        self.state = nn.Linear(width, rank, bias=False)
        self.action = nn.Linear(width, rank, bias=False)

    def count(self, batch: Batch) -> int:
        """Steps with admissible actions."""
        return len(choices_of(batch.rows, self._tokenizer))

    def scores(self, embedding: Tensor, choice: Choice, states: Tensor) -> Tensor:
        """Z of each admissible action.

        Args:
            embedding: the student's input embeddings, [V, D].
            choice: the step.
            states: the student's states on the batch, [B, T, D].
        """
        means = torch.stack([embedding[torch.tensor(path, device=embedding.device)].mean(0) for path in choice.paths])
        z: Tensor = self.action(means) @ self.state(states[choice.row, choice.at])
        return z

    def sum(self, student: nn.Module, batch: Batch, states: Tensor, scores: Scores) -> Tensor:
        """See `ExtraTerm`: KL(teacher's posterior ‖ softmax z), summed over steps."""
        choices = choices_of(batch.rows, self._tokenizer)
        total = states.sum() * 0
        if not choices:
            return total
        theirs = teacher_scores(self._teacher[0], batch.rows, choices, "posterior")
        embedding = unwrap(student).get_input_embeddings().weight
        for choice, log_p in zip(choices, theirs, strict=True):
            log_q = self.scores(embedding, choice, states).float().log_softmax(0)
            total = total + divergence(log_p.to(log_q), log_q)
        return total
