"""The MiniLLM baseline (Gu et al. 2024) after its authors' code: policy gradient on the reverse divergence.

The loss is the clipped policy gradient of `policy_plan`, plus the exact single-step reverse KL (`single_step`),
plus, where episodes are given, half cross-entropy and half forward KL on as many recorded rows as `--batch` says
(`RECORDED`). Each is a mean over its own tokens, and each has weight 1. Sampled text is compared at the temperature
that it was sampled at, recorded text at 1. Settings of the authors' GPT-2 run: gamma 0.95, reward scaling 0.5,
clip 0.2, mixing 0.2, kd_ratio 0.5, lm_coef 1 (microsoft/LMOps, minillm).

What differs from that code: advantages are whitened over all tokens of an iteration (there over a padded minibatch);
the teacher's part of the reward is taken at the sampling temperature as well (there at 1, the only one that they use);
and learning rate, warm-up and optimiser are those of all our methods.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from sad_distill.config import Measure
from sad_distill.losses.objective import Objective
from sad_distill.schedules import ALWAYS
from sad_distill.signals.facts import RowFacts
from sad_distill.signals.policy import PolicyPlan
from sad_distill.signals.table import Signal

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


def advantages(
    rows: Sequence[RowFacts], *, gamma: float = 0.95, scaling: float = 0.5, reward_clip: float = 100.0
) -> list[Tensor]:
    """The signal: rewards to go of log p - log q, over `scaling` and within ± `reward_clip`, whitened over all rows."""
    reaches = [rewards_to_go((row.gap / scaling).clamp(-reward_clip, reward_clip), gamma) for row in rows]
    pool = torch.cat(reaches) if reaches else torch.zeros(1)
    mean, spread = pool.mean(), pool.std(unbiased=False)
    return [(reach - mean) * torch.rsqrt(spread**2 + 1e-8) for reach in reaches]


def policy_plan(*, mixing: float = MIXING, temperature: float = 1.0, reward_clip: float = 100.0) -> PolicyPlan:
    """MiniLLM's policy gradient as a combination of one signal, a ratio clipped at 0.2 and a mean over all tokens."""
    signal = Signal(functools.partial(advantages, reward_clip=reward_clip), needs=frozenset({"teacher"}))
    return PolicyPlan(
        weights={"minillm": ALWAYS},
        temperature=temperature,
        averaging="token_mean",
        mixing=mixing,
        signals={"minillm": signal},
    )
