"""AdamW with a cosine schedule, and its state as plain tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Optimisation:
    """How parameters move.

    Attributes:
        steps: updates in all; the schedule ends there.
        learning_rate: its peak.
        warmup: share of the updates in which the rate rises from 0.
        floor: share of the peak at which the cosine ends.
        weight_decay: on matrices only, not on gains and biases.
        clip: gradient norm at most; 0 is no limit.
    """

    steps: int
    learning_rate: float = 2e-5
    warmup: float = 0.03
    floor: float = 0.0
    weight_decay: float = 0.01
    clip: float = 1.0

    def rate(self, step: int) -> float:
        """Learning rate of update `step`, counted from 0: a pure function, so that a resumed run needs no state."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        progress = min(1.0, (step - rising) / max(1, self.steps - rising))
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.learning_rate * (self.floor + (1 - self.floor) * cosine)

    def adamw(self, modules: Iterable[nn.Module]) -> torch.optim.AdamW:
        """The optimiser of these modules' trainable parameters."""
        parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([group for group in groups if group["params"]], lr=self.learning_rate, fused=True)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as named tensors."""
    tensors = {}
    for index, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            tensors[f"optimiser.{index}.{name}"] = torch.as_tensor(value)
    return tensors


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimiser_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        part, _, rest = key.partition(".")
        if part == "optimiser":
            index, _, name = rest.partition(".")
            state.setdefault(int(index), {})[name] = value
    whole = optimiser.state_dict()
    whole["state"] = state
    optimiser.load_state_dict(whole)
