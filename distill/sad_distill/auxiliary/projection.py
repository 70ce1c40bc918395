"""Gradient projection between reasoning and action (PCGrad, Yu et al. 2020), and the cosine that shows its use."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Projection:
    """Keeps the gradients of two losses apart until all micro-batches are in, then combines them.

    Each is projected off the other where they conflict: g_r - min(0, g_r·g_a) / |g_a|² g_a, and the reverse.

    Args:
        parameters: what the gradients are of.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._sums: list[list[Tensor]] = []

    def backward(self, reason: Tensor, act: Tensor, rest: Tensor) -> None:
        """Add the gradients of a micro-batch; `rest` holds the terms that take no part in the projection."""
        gradients = [
            torch.autograd.grad(loss, self._parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
            for loss in (reason, act)
        ]
        if rest.requires_grad:
            torch.autograd.backward(rest)
        if not self._sums:
            self._sums = [list(one) for one in gradients]
        else:
            self._sums = [
                [a + b for a, b in zip(*pair, strict=True)] for pair in zip(self._sums, gradients, strict=True)
            ]

    def combine(self) -> float:
        """Write the combined gradient into the parameters and return the cosine of the two."""
        flat = [torch.cat([gradient.flatten() for gradient in one]).double() for one in self._sums]
        dot, squares = flat[0] @ flat[1], [one @ one for one in flat]
        conflict = dot.clamp(max=0)
        shares = [1 - conflict / squares[0].clamp(min=1e-30), 1 - conflict / squares[1].clamp(min=1e-30)]
        for parameter, reason, act in zip(self._parameters, *self._sums, strict=True):
            combined = shares[0].to(reason) * reason + shares[1].to(act) * act
            parameter.grad = combined if parameter.grad is None else parameter.grad + combined
        self._sums = []
        return float(dot / (squares[0] * squares[1]).sqrt().clamp(min=1e-30))
