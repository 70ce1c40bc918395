"""Action heads learn the teacher's distribution over the admissible actions (appendix L, Eq. 21).

The teacher has no such head: p_T is its posterior over the admissible actions, see `sad_distill.losses.whole_actions`.
With `--act-loss linear_head` or `pointer_head` this is L_Act, and the student acts by the head; the term `pointer`
is a further one beside L_Act, whose head is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from sad_agents.sampling.action_head import ActionHead, LinearHead, PointerHead
from sad_agents.sampling.action_trie import Trie
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from sad_distill.auxiliary.atomic import teacher_scores
from sad_distill.config import ACT_HEADS
from sad_distill.data.batch import Batch
from sad_distill.data.rows import Row
from sad_distill.losses.divergence import divergence
from sad_distill.losses.scoring import Scores
from sad_distill.losses.whole_actions import Choice, choices_of
from sad_distill.models.heads import unwrap
from sad_distill.teachers.by_text import TextTeacher
from sad_env.errors import ConfigError
from sad_env.records import SpanKind


class HeadTerm(ActionHead):
    """A head that is learned; an `ExtraTerm` with parameters. Once a step, as an action is one unit (appendix L)."""

    weight: float
    _known: list[tuple[nn.Module | TextTeacher, PreTrainedTokenizerBase]]
    """Teacher and tokenizer: a list keeps the teacher, which is not part of the head, out of the module tree."""
    by_rows = False
    """Its sum is divided by the number of rows, as Eq. 4-6 are with --reduction paper_sum, and not by that of steps."""

    def choices(self, batch: Batch) -> list[Choice]:
        """The steps that it learns from: those at which a head decides."""
        return choices_of(batch.rows, self._known[0][1], slots=False)

    def divergence_at(self, choice: Choice, log_p: Tensor, state: Tensor, embedding: Tensor) -> Tensor:
        """KL(p_T ‖ softmax z) of a step.

        Args:
            choice: the step.
            log_p: the teacher's log-probability of each of its actions.
            state: the student's where the action begins, [D].
            embedding: the student's input embeddings, [V, D].
        """
        log_q = self.scores(state, choice.actions, choice.paths, embedding).to(at_least_float(state)).log_softmax(0)
        return divergence(log_p.to(log_q), log_q)

    def go_on_from(self, head: ActionHead | None) -> None:
        """Begin with the weights of a student's own head of this kind, whose actions are among the term's."""
        if head is not None and head.kind == self.kind:
            self.load_state_dict(head.state_dict())

    def count(self, batch: Batch) -> int:
        """Steps that it learns from, or rows."""
        return len(batch.rows) if self.by_rows else len(self.choices(batch))

    def sum(self, student: nn.Module, batch: Batch, states: Tensor, scores: Scores) -> Tensor:
        """See `ExtraTerm`: the divergence summed over steps."""
        choices, total = self.choices(batch), states.sum() * 0
        if not choices:
            return total
        theirs = teacher_scores(self._known[0][0], batch.rows, choices, "posterior", states.device)
        embedding = unwrap(student).get_input_embeddings().weight
        for choice, log_p in zip(choices, theirs, strict=True):
            total = total + self.divergence_at(choice, log_p, states[choice.row, choice.at], embedding)
        return total


class PointerTerm(HeadTerm, PointerHead):
    """A pointer head that learns; its distribution is over the admissible actions.

    Args:
        teacher: a local model with the student's tokenizer, or one that reads text in its own.
        tokenizer: of the student.
        width: of the student's states.
        rank: see `PointerHead`.
        weight: of the term.
    """

    def __init__(
        self,
        teacher: nn.Module | TextTeacher,
        tokenizer: PreTrainedTokenizerBase,
        width: int,
        rank: int = 64,
        weight: float = 1.0,
    ) -> None:
        PointerHead.__init__(self, width, rank)
        self._known, self.weight = [(teacher, tokenizer)], weight


class LinearTerm(HeadTerm, LinearHead):
    """A linear head that learns (Eq. 21): its distribution is over the whole set, the teacher's is 0 elsewhere.

    Args:
        teacher: a local model with the student's tokenizer, or one that reads text in its own.
        tokenizer: of the student.
        width: of the student's states.
        actions: the set.
        weight: of the term.
    """

    def __init__(
        self,
        teacher: nn.Module | TextTeacher,
        tokenizer: PreTrainedTokenizerBase,
        width: int,
        actions: Sequence[str],
        weight: float = 1.0,
    ) -> None:
        LinearHead.__init__(self, width, actions)
        self._known, self.weight = [(teacher, tokenizer)], weight

    def go_on_from(self, head: ActionHead | None) -> None:
        """See `HeadTerm`; actions that are new have rows of 0, as in a head that begins."""
        if isinstance(head, LinearHead):
            rows = self.rows(head.actions)
            with torch.no_grad():
                self.table.weight[rows] = head.table.weight.to(self.table.weight)
                self.table.bias[rows] = head.table.bias.to(self.table.bias)

    def choices(self, batch: Batch) -> list[Choice]:
        """Those of `HeadTerm` with an action of the set."""
        return [choice for choice in super().choices(batch) if max(self.rows(choice.actions)) >= 0]

    def divergence_at(self, choice: Choice, log_p: Tensor, state: Tensor, embedding: Tensor) -> Tensor:
        """See `HeadTerm`; what the teacher gives to actions that have no row is renormalised away."""
        rows = torch.tensor(self.rows(choice.actions), device=state.device)
        log_q = self.all_scores(state).to(at_least_float(state)).log_softmax(0)[rows[rows >= 0]]
        return divergence(log_p[rows >= 0].log_softmax(0).to(log_q), log_q)


def at_least_float(tensor: Tensor) -> torch.dtype:
    """The precision that a distribution of these states is computed in: float32, or their own float64."""
    return torch.promote_types(tensor.dtype, torch.float32)


def left_to_head(row: Row, tokenizer: PreTrainedTokenizerBase) -> Row:
    """The row without the tokens of actions that a head chooses; what it does not, "Action:" above all, stays.

    Its `span_labels` stay, too.
    """
    labels = list(row.labels)
    for choice in choices_of([row], tokenizer, slots=False):
        ends = next(unit.end for unit in row.units if unit.start <= choice.at < unit.end)
        ids = row.ids[choice.at + 1 : ends]
        for place, children in enumerate(Trie.of_paths(choice.paths).walk(ids), start=choice.at + 1):
            if not children:
                break
            labels[place] = SpanKind.NONE.value
    return replace(row, labels="".join(labels), unmasked=row.span_labels)


def actions_of(rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The set of a linear head: all actions that it could choose at some step of these rows, sorted.

    Raises:
        ConfigError: there is none.
    """
    found = sorted({action for choice in choices_of(rows, tokenizer, slots=False) for action in choice.actions})
    if not found:
        raise ConfigError(
            "an action head chooses among listed actions, and no step of these episodes lists any: give --trajectories"
            " of a world that does, or leave --act-loss out"
        )
    return found


def head_of(terms: Sequence[object], act_loss: str) -> ActionHead | None:
    """The head among a run's terms that takes the place of L_Act and acts; None where none does."""
    if act_loss not in ACT_HEADS:
        return None
    return next(term for term in terms if isinstance(term, HeadTerm) and term.kind == act_loss.removesuffix("_head"))
