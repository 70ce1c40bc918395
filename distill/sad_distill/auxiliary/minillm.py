"""The MiniLLM baseline (Gu et al. 2024) after its authors' code: policy gradient on the reverse divergence.

The loss is the clipped policy gradient of `PolicyGradient`, plus the exact single-step reverse KL (`single_step`),
plus, where episodes are given, half cross-entropy and half forward KL on as many recorded rows as `--batch` says
(`RECORDED`). Each is a mean over its own tokens, and each has weight 1. Sampled text is compared at the temperature
that it was sampled at, recorded text at 1. Settings of the authors' GPT-2 run: gamma 0.95, reward scaling 0.5,
clip 0.2, mixing 0.2, kd_ratio 0.5, lm_coef 1 (microsoft/LMOps, minillm).

What differs from that code: advantages are whitened over all tokens of an iteration (there over a padded minibatch);
the teacher's part of the reward is taken at the sampling temperature as well (there at 1, the only one that they use);
and learning rate, warm-up and optimiser are those of all our methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sad_distill.config import Measure
from sad_distill.data.batch import OBS, Batch, collate
from sad_distill.data.rows import Row
from sad_distill.losses.objective import Objective
from sad_distill.losses.scoring import Scores, score_positions
from sad_distill.losses.targets import Target
from sad_distill.models.heads import head_logits
from sad_distill.teachers.base import ScoringTeacher

RECORDED = Objective(likelihood=0.5, divergence=0.5, reduction="token_mean")
"""How the recorded text is learned that comes with the sampled text."""
MIXING = 0.2
"""Share of the teacher in the samples."""


def single_step(temperature: float) -> Objective:
    """The reverse KL at each sampled token, of both distributions at this temperature.

    A `Measure` multiplies by the temperature's square, which the authors do not; the weight takes that back.
    """
    measure = Measure(divergence="reverse", kd_temperature=temperature)
    return Objective(divergence=temperature**-2, measure=measure, reduction="token_mean")


@dataclass(frozen=True)
class Experience:
    """What was true when a row was sampled, for each of its agent tokens in order.

    Attributes:
        log_q: the student's log-probability of the token.
        advantage: whitened, discounted, length-normalised reward.
        importance: student over sampling distribution, where the teacher was mixed in.
    """

    log_q: Tensor
    advantage: Tensor
    importance: Tensor


def rewards_to_go(rewards: Tensor, gamma: float) -> Tensor:
    """Discounted sums of what follows each token, each divided by how many tokens follow it, itself included.

    Args:
        rewards: [T], of one row's agent tokens.
        gamma: the discount.
    """
    total = torch.zeros_like(rewards)
    running = rewards.new_zeros(())
    for index in range(len(rewards) - 1, -1, -1):
        running = rewards[index] + gamma * running
        total[index] = running
    return total / torch.arange(len(rewards), 0, -1).to(rewards)


class PolicyGradient:
    """The clipped policy-gradient term.

    Args:
        gamma: discount.
        scaling: the reward log p/q is divided by it.
        clip: the ratio stays within 1 ± clip.
        reward_clip: the scaled reward stays within ± this.
        mixing: share of the teacher in the distribution that was sampled from; 0 is the student alone.
        temperature: what logits were divided by when it was sampled from; all probabilities here are at it.
    """

    weight = 1.0

    def __init__(
        self,
        *,
        gamma: float = 0.95,
        scaling: float = 0.5,
        clip: float = 0.2,
        reward_clip: float = 100.0,
        mixing: float = 0.0,
        temperature: float = 1.0,
    ) -> None:
        self.gamma, self.scaling, self.clip = gamma, scaling, clip
        self.reward_clip, self.mixing, self.temperature = reward_clip, mixing, temperature
        self.experience: list[Experience] = []

    @torch.no_grad()
    def remember(
        self, student: nn.Module, teacher: ScoringTeacher, rows: Sequence[Row], device: torch.device, size: int = 8
    ) -> list[Row]:
        """Keep what was true of freshly sampled rows; those of the iteration before are forgotten.

        Returns:
            The rows, numbered: a batch of them finds their experience by `Row.number`.
        """
        log_q, log_p = [], []
        for start in range(0, len(rows), size):
            batch = collate(rows[start : start + size]).to(device)
            states = batch.states(student)
            own = self._log_q(student, states, batch, score_positions(student, states, batch, None, Measure()))
            theirs = _teacher_log_p(teacher.score(batch), batch, self.temperature)
            for number in range(len(batch.rows)):
                positions = batch.row_N == number
                log_q.append(own[positions].float().cpu())
                log_p.append(theirs[positions].float().cpu())
        self.experience = self._experiences(log_q, log_p)
        return [replace(row, number=number) for number, row in enumerate(rows)]

    def _experiences(self, log_q: Sequence[Tensor], log_p: Sequence[Tensor]) -> list[Experience]:
        reaches = [
            rewards_to_go(((p - q) / self.scaling).clamp(-self.reward_clip, self.reward_clip), self.gamma)
            for p, q in zip(log_p, log_q, strict=True)
        ]
        pool = torch.cat(reaches) if reaches else torch.zeros(1)
        mean, spread = pool.mean(), pool.std(unbiased=False)
        return [
            Experience(q, (reach - mean) * torch.rsqrt(spread**2 + 1e-8), self._importance(q, p))
            for q, p, reach in zip(log_q, log_p, reaches, strict=True)
        ]

    def _importance(self, log_q: Tensor, log_p: Tensor) -> Tensor:
        mixed = (1 - self.mixing) * log_q.exp() + self.mixing * log_p.exp()
        return log_q.exp() / mixed.clamp(min=1e-20) if self.mixing else torch.ones_like(log_q)

    def _log_q(self, student: nn.Module, states: Tensor, batch: Batch, scores: Scores) -> Tensor:
        """The student's log-probability of the sampled tokens."""
        if self.temperature == 1:
            return -scores.nll

        def chosen(states_ND: Tensor, token_N: Tensor) -> Tensor:
            log_q = (head_logits(student, states_ND) / self.temperature).log_softmax(-1)
            return log_q.gather(1, token_N[:, None])[:, 0]

        parts = zip(torch.split(states[batch.row_N, batch.from_N], 256), torch.split(batch.target_N, 256), strict=True)
        # Recomputed in the backward pass: the logits of all positions never exist at one time.
        return torch.cat([checkpoint(chosen, *part, use_reentrant=False) for part in parts])

    def count(self, batch: Batch) -> int:
        """Agent tokens."""
        return int(sum((batch.kind_N[batch.row_N == n] != OBS).sum() for n in self._known(batch)))

    def _known(self, batch: Batch) -> list[int]:
        return [number for number, row in enumerate(batch.rows) if 0 <= row.number < len(self.experience)]

    def sum(self, student: nn.Module, batch: Batch, states: Tensor, scores: Scores) -> Tensor:
        """See `ExtraTerm`: the sum of max(-A w r, -A clip(w r))."""
        total = scores.nll.sum() * 0
        log_q = self._log_q(student, states, batch, scores)
        for number in self._known(batch):
            known = self.experience[batch.rows[number].number]
            mine = (batch.row_N == number) & (batch.kind_N != OBS)
            total = total + clipped(log_q[mine], known, self.clip)
        return total


def clipped(log_q: Tensor, known: Experience, clip: float) -> Tensor:
    """Sum over tokens of max(-A w r, -A clip(w r, 1 - clip, 1 + clip)) with r = exp(log_q - log_q then)."""
    ratio = (log_q - known.log_q.to(log_q)).exp() * known.importance.to(log_q)
    advantage = known.advantage.to(log_q)
    return torch.max(-advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip)).sum()


def _teacher_log_p(target: Target, batch: Batch, temperature: float) -> Tensor:
    """The teacher's log-probability of the sampled tokens; that of the rest where its answer does not hold them."""
    parts = []
    for index in torch.split(torch.arange(len(batch.kind_N), device=batch.ids_BT.device), 256):
        outcomes = target.outcomes(index, None, temperature, "bucket")
        token = batch.target_N[index]
        if outcomes.ids_NK is None:
            parts.append(outcomes.log_p.gather(1, token[:, None])[:, 0])
            continue
        match = outcomes.ids_NK == token[:, None]
        place = torch.where(match.any(1), match.int().argmax(1), outcomes.log_p.shape[1] - 1)
        parts.append(outcomes.log_p.gather(1, place[:, None])[:, 0])
    return torch.cat(parts) if parts else torch.zeros(0)
