"""The signals by name: small pure functions of what is known of sampled tokens.

`SIGNALS` is open: after `SIGNALS["mine"] = Signal(advantage=function)`, `--terms mine=0.5` trains with it. A signal is
an advantage, a number a token that multiplies the gradient of its log-probability, or a loss, a function of the
log-probability itself. Advantages are added up and share one clipped ratio; a loss is averaged over its own tokens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal

import torch
from torch import Tensor

from sad_distill.signals.facts import RowFacts
from sad_distill.signals.outcomes import Outcome, group_advantages, leave_one_out, step_advantages

Need = Literal["teacher", "start", "group", "outcome", "reward", "guide"]
"""teacher: scores of the student's ids. start: the student as it was before training. group: several episodes of one
task. outcome: what the world said. reward: of that, its rewards, too. guide: turns that a teacher took."""

GAMMA = 0.95
"""GiGPO's discount of step rewards."""
GATE = 5.0
"""SDAR's beta."""
LARGEST_GAP = 20.0
"""Skill-SD's bound of log q - log p."""


@dataclass(frozen=True)
class Signal:
    """An entry of `SIGNALS`; it has an advantage or a loss.

    Attributes:
        advantage: of all rows of an iteration, [n] for each row; what it says of tokens that are not the student's own
            does not count.
        loss: of the log-probabilities of a row's tokens as they are now, [n], with gradient, and what is known of them.
        needs: what it cannot do without.
        tokens: which tokens a loss is averaged over.
    """

    advantage: Callable[[Sequence[RowFacts]], list[Tensor]] | None = None
    loss: Callable[[Tensor, RowFacts], Tensor] | None = None
    needs: frozenset[Need] = field(default_factory=frozenset)
    tokens: Callable[[RowFacts], Tensor] = attrgetter("own")


# --- of the teacher ----------------------------------------------------------------------------------------------


def opd(rows: Sequence[RowFacts]) -> list[Tensor]:
    """On-policy distillation: log p - log q; in expectation the gradient of the reverse KL at each position."""
    return [row.gap for row in rows]


def tdur(rows: Sequence[RowFacts]) -> list[Tensor]:
    """ATOD's OPD, weighted by turns: w_k = 1 - (1 - d_k)(1 - h_k).

    d_k is the turn's mean of abs(log q - log p), h_k that of -log q, each scaled to [0, 1] by the least and the
    greatest of the episode.
    """
    weights = turn_weights(rows)
    return [row.gap * weight for row, weight in zip(rows, weights, strict=True)]


def turn_weights(rows: Sequence[RowFacts]) -> list[Tensor]:
    """T-DUR's weight of each token's turn, [n] for each row; own turns are compared with own ones only."""
    sums: dict[str, dict[int, Tensor]] = defaultdict(dict)
    for row in rows:
        values = torch.stack([row.gap.abs(), -row.log_q, torch.ones_like(row.log_q)]).double() * row.own
        for step in sorted(set(row.step.tolist())):
            turn = values[:, row.step == step].sum(1)
            if turn[2]:
                sums[row.episode][step] = sums[row.episode].get(step, torch.zeros(3).double()) + turn
    weights: dict[str, dict[int, float]] = {}
    for episode, turns in sums.items():
        means = torch.stack([turn[:2] / turn[2] for turn in turns.values()])
        low, spread = means.amin(0), means.amax(0) - means.amin(0)
        scaled = torch.where(spread < 1e-8, torch.full_like(means, 0.5), (means - low) / spread.clamp(min=1e-8))
        weights[episode] = dict(zip(turns, (1 - (1 - scaled).prod(1)).tolist(), strict=True))
    return [torch.tensor([weights.get(row.episode, {}).get(step, 0.0) for step in row.step.tolist()]) for row in rows]


def gate(log_q: Tensor, row: RowFacts) -> Tensor:
    """SDAR: g (log p - log q) with g = sigmoid(beta (log p - log q)) as it was at sampling.

    It teaches where the teacher is more sure than the student, and hardly where it is less.
    """
    assert row.log_p is not None
    return torch.sigmoid(GATE * row.gap) * (row.log_p - log_q)


def k3_teacher(log_q: Tensor, row: RowFacts) -> Tensor:
    """Skill-SD: r (exp(-l) - 1 + l), l = log q - log p at most 20 either way, r = q / q at sampling.

    With the ratio's own gradient that of the whole is l times that of log q: the reverse KL's, in expectation.
    """
    assert row.log_p is not None
    return (log_q - row.log_q).exp() * _k3(log_q, row.log_p)


# --- of the world ------------------------------------------------------------------------------------------------


def _known(rows: Sequence[RowFacts]) -> dict[str, Outcome]:
    """Outcomes by name of episode: an episode that was cut into several rows is there once."""
    return {row.episode: row.outcome for row in rows if row.outcome is not None}


def _of_episodes(function: Callable[[dict[str, Outcome]], dict[str, float]]) -> Signal:
    """A number an episode, the same for all of its tokens."""

    def advantage(rows: Sequence[RowFacts]) -> list[Tensor]:
        found = function(_known(rows))
        return [torch.full_like(row.log_q, found.get(row.episode, 0.0)) for row in rows]

    return Signal(advantage, needs=frozenset({"group", "outcome", "reward"}))


def gigpo(rows: Sequence[RowFacts]) -> list[Tensor]:
    """GiGPO (mean_norm, w = 1): the episode's total and each step's return, both less the mean of their group."""
    outcomes = _known(rows)
    whole = group_advantages(outcomes, divide=False)
    steps = step_advantages(outcomes, GAMMA, divide=False)
    return [
        torch.tensor([whole[row.episode] + steps[row.episode][step] for step in row.step.tolist()])
        if row.episode in outcomes
        else torch.zeros_like(row.log_q)
        for row in rows
    ]


# --- likelihood and anchors --------------------------------------------------------------------------------------


def _likelihood(log_q: Tensor, _: RowFacts) -> Tensor:
    return -log_q


def k3_start(log_q: Tensor, row: RowFacts) -> Tensor:
    """Distance from the start: exp(-l) - 1 + l with l = log q - log start (GRPO's k3)."""
    assert row.log_start is not None
    return _k3(log_q, row.log_start)


def _k3(log_q: Tensor, log_p: Tensor) -> Tensor:
    gap = (log_q - log_p).clamp(-LARGEST_GAP, LARGEST_GAP)
    return torch.expm1(-gap) + gap


_TEACHER: frozenset[Need] = frozenset({"teacher"})

SIGNALS: dict[str, Signal] = {
    "opd": Signal(opd, needs=_TEACHER),
    "tdur": Signal(tdur, needs=_TEACHER),
    "gate": Signal(loss=gate, needs=_TEACHER),
    "k3_teacher": Signal(loss=k3_teacher, needs=_TEACHER),
    "grpo": _of_episodes(lambda outcomes: group_advantages(outcomes, divide=True)),
    "grpo_mean": _of_episodes(lambda outcomes: group_advantages(outcomes, divide=False)),
    "gigpo": Signal(gigpo, needs=frozenset({"group", "outcome", "reward"})),
    "rloo": _of_episodes(leave_one_out),
    "rft": Signal(loss=_likelihood, needs=frozenset({"outcome"}), tokens=attrgetter("won")),
    "guide": Signal(loss=_likelihood, needs=frozenset({"guide"}), tokens=attrgetter("guided")),
    "k3_start": Signal(loss=k3_start, needs=frozenset({"start"})),
}
"""All signals; `docs/methods.md` has them with their sources."""
