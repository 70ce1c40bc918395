"""How noisy a gradient is, from two halves of its rows (McCandlish et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def flat_gradient(parameters: Iterable[nn.Parameter]) -> Tensor:
    """All gradients as one vector; a parameter without one counts as zeros."""
    parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
    return torch.cat([part.detach().flatten().float() for part in parts])


def noise_of(half: Tensor, whole: Tensor, rows: int) -> dict[str, float]:
    """Noise of a gradient that is a mean over rows.

    Args:
        half: the part of the gradient that half of the rows brought.
        whole: the gradient.
        rows: how many there were.

    Returns:
        ``gradient_noise``, the number of rows at which noise and signal are alike (infinite where the halves disagree
        so much that no signal is seen), and ``gradient_agreement``, the cosine between the halves.
    """
    first, second = 2 * half.double(), 2 * (whole.double() - half.double())
    signal = float(first @ second)
    noise = rows * float((first - second).square().sum()) / 4
    lengths = float(first.norm() * second.norm())
    return {
        "gradient_noise": noise / signal if signal > 0 else float("inf"),
        "gradient_agreement": signal / lengths if lengths else 0.0,
    }
