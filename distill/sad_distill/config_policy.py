"""The settings of policy terms and of validation, groups of `TrainConfig`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from sad_env.settings import RARE

Averaging = Literal["turn_mean", "episode_mean", "token_mean", "type_mean"]
"""turn_mean: each turn is averaged over its tokens, then the turns, so that no turn counts by its length. episode_mean:
the same of episodes. token_mean: one average over all tokens. type_mean: reasoning and action apart, with λ_r, λ_a."""


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """Terms of the student's own tokens (opd, grpo, ... in --terms)."""

    reward: Annotated[Literal["auto", "success", "score", "progress"], RARE] = "auto"
    """Of an episode: success, the world's score, or its sub-goal progress; auto takes WebShop's score, else success."""
    invalid_penalty: Annotated[float, RARE] = 0.0
    """Taken off the reward for each invalid action."""
    ratio_clip: Annotated[float, RARE] = 0.2
    """The ratio of a token's probability to that at sampling counts within 1 minus and plus this."""
    averaging: Annotated[Averaging, RARE] = "turn_mean"
    """How tokens are averaged: each turn alike, each episode, each token, or reasoning and action apart."""


@dataclass(frozen=True, kw_only=True)
class ValidationSettings:
    """Validation."""

    validate_every: Annotated[int, RARE] = 0
    """Updates (online: iterations) after which the student plays held-out tasks greedily; 0 never."""
    validate_episodes: Annotated[int, RARE] = 32
    """Tasks that are held out: the last of the split, which are then not trained on."""
    validate_patience: Annotated[int, RARE] = 0
    """End the run after this many validations in a row without a new best; 0 never does."""
    keep: Annotated[Literal["last", "best"], RARE] = "last"
    """The student that is saved: as it is at the end, or as it was at the best validation."""
    held_out: Annotated[int, tyro.conf.Suppress] = 0
    """Tasks that another stage of the run validates on: also not trained on. `stages_of` sets it."""

    @property
    def untrained(self) -> int:
        """Tasks at the end of the split that are not trained on."""
        return max(self.held_out, self.validate_episodes if self.validate_every else 0)
