"""Whole actions: the log-probability that a model gives to each admissible action of a step (appendix L).

A model's score of an action is the log-probability of its tokens after "Action:", final newline included; since no
action with its newline is the prefix of another, no length correction is needed. There are two distributions:

- *posterior*: softmax of the scores, what the model believes given that it acts admissibly;
- *local*: the product of next-token probabilities renormalised on the trie, what constrained decoding samples from.

Scores are of texts, so that they can be compared between models of different tokenizers, each in its own spelling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from sad_agents.sampling.action_head import decides
from sad_agents.sampling.action_trie import Trie, before_slot, spelled
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from sad_distill.data.action_support import action_start
from sad_distill.data.batch import collate
from sad_distill.data.labels import encode
from sad_distill.data.rows import Branch, Row
from sad_distill.losses.divergence import ABSENT
from sad_distill.models.heads import head_logits

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


def choices_of(rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, *, slots: bool = True) -> list[Choice]:
    """The steps of these rows whose admissible actions can be compared; at most `action_head.MOST` each are.

    Args:
        rows: of episodes.
        tokenizer: of the rows.
        slots: False leaves out steps that list an action with a slot, at which no action head decides; otherwise their
            other actions are compared.
    """
    choices = []
    for number, row in enumerate(rows):
        for unit in row.units:
            actions = tuple(action for action in unit.admissible or () if before_slot(action) is None)
            start = action_start(tokenizer, row.ids[unit.start : unit.end], row.span_labels[unit.start : unit.end])
            if start is None or not decides(actions if slots else unit.admissible or ()):
                continue
            paths = tuple(tuple(encode(tokenizer, spelled(action))) for action in actions)
            choices.append(Choice(number, unit.start + start - 1, actions, paths))
    return choices


def action_scores(model: nn.Module, rows: Sequence[Row], choices: Sequence[Choice], form: Form) -> list[Tensor]:
    """Log-distribution over the admissible actions of each choice."""
    distribution = _posterior if form == "posterior" else _local
    return [distribution(choice, steps) for choice, steps in zip(choices, _next(model, rows, choices), strict=True)]


def action_likelihoods(model: nn.Module, rows: Sequence[Row], choices: Sequence[Choice]) -> list[Tensor]:
    """Log-probability of each admissible action of each choice: what is left of 1 is that of all other text."""
    return [_sums(choice, steps) for choice, steps in zip(choices, _next(model, rows, choices), strict=True)]


def _next(model: nn.Module, rows: Sequence[Row], choices: Sequence[Choice]) -> list[list[Tensor]]:
    """Log-probabilities at each token of each action, [tokens, V].

    All actions are branches of their row, so that each row's text passes through the model once.
    """
    branched = []
    for number, row in enumerate(rows):
        mine = [choice for choice in choices if choice.row == number]
        branches = tuple(Branch(choice.at, path, "A" * len(path)) for choice in mine for path in choice.paths)
        branched.append(replace(row, labels="N" * len(row.ids), branches=branches))
    batch = collate(branched, kinds="A").to(next(model.parameters()).device)
    states = batch.predicting(model)
    log_p = head_logits(model, states).log_softmax(-1)
    taken = iter(torch.split(log_p, [len(path) for choice in choices for path in choice.paths]))
    return [[next(taken) for _ in choice.paths] for choice in choices]


def _sums(choice: Choice, steps: list[Tensor]) -> Tensor:
    # A probability of zero stays finite, so that differences do.
    scores = [
        log_p.gather(1, torch.tensor(path, device=log_p.device)[:, None])[:, 0].clamp(min=ABSENT).sum()
        for path, log_p in zip(choice.paths, steps, strict=True)
    ]
    return torch.stack(scores)


def _posterior(choice: Choice, steps: list[Tensor]) -> Tensor:
    return _sums(choice, steps).log_softmax(0)


def _local(choice: Choice, steps: list[Tensor]) -> Tensor:
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
