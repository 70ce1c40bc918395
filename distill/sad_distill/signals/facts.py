"""What is known of a row that was just sampled, for each of its agent tokens in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sad_distill.config_policy import Averaging
from sad_distill.signals.outcomes import Outcome


@dataclass(frozen=True)
class RowFacts:
    """A row's agent tokens, n of them; all log-probabilities are at the temperature of sampling.

    Attributes:
        episode: its name.
        log_q: [n], the student's log-probability of each token when it was sampled.
        step: [n], the turn that each is of.
        act: [n], whether it is of an action; else it is of reasoning.
        own: [n], whether the student chose it; a guide's tokens it did not.
        log_p: [n], the teacher's; None where no signal asks.
        log_start: [n], of the student as it was before training; None where no signal asks.
        importance: [n], student over sampling distribution, where something was mixed in; None for 1.
        outcome: of its episode, None where it is not known.
    """

    episode: str
    log_q: Tensor
    step: Tensor
    act: Tensor
    own: Tensor
    log_p: Tensor | None = None
    log_start: Tensor | None = None
    importance: Tensor | None = None
    outcome: Outcome | None = None

    @property
    def gap(self) -> Tensor:
        """How much more likely the teacher finds each token than the student did: log p - log q."""
        assert self.log_p is not None
        return self.log_p - self.log_q

    @property
    def guided(self) -> Tensor:
        """Tokens that a guide chose."""
        return ~self.own

    @property
    def won(self) -> Tensor:
        """Own tokens of a won episode."""
        return self.own & bool(self.outcome and self.outcome.won)


def mean_weights(
    rows: Sequence[RowFacts],
    masks: Iterable[Tensor],
    averaging: Averaging,
    weights: tuple[float, float] = (1.0, 1.0),
) -> list[Tensor]:
    """Weights of the tokens of an update with which a sum over them is a mean.

    Args:
        rows: of the update.
        masks: [n] of each row, the tokens that the mean is over; the others have weight 0.
        averaging: see `Averaging`.
        weights: λ_r and λ_a, for type_mean.
    """
    masks = list(masks)
    if averaging == "token_mean":
        total = max(1, sum(int(mask.sum()) for mask in masks))
        return [mask.float() / total for mask in masks]
    if averaging == "type_mean":
        acts = sum(int((mask & row.act).sum()) for row, mask in zip(rows, masks, strict=True))
        counts = (sum(int(mask.sum()) for mask in masks) - acts, acts)
        shares = torch.tensor([weight / max(1, count) for weight, count in zip(weights, counts, strict=True)])
        return [mask * shares[row.act.long()] for row, mask in zip(rows, masks, strict=True)]
    sizes: dict[tuple[str, int], int] = defaultdict(int)
    keys = [_keys(row, averaging) for row in rows]
    for mask, named in zip(masks, keys, strict=True):
        for key, inside in zip(named, mask.tolist(), strict=True):
            sizes[key] += inside
    parts = max(1, sum(size > 0 for size in sizes.values()))
    return [
        mask * torch.tensor([1 / (parts * max(1, sizes[key])) for key in named])
        for mask, named in zip(masks, keys, strict=True)
    ]


def _keys(row: RowFacts, averaging: Averaging) -> list[tuple[str, int]]:
    return [(row.episode, step if averaging == "turn_mean" else 0) for step in row.step.tolist()]
