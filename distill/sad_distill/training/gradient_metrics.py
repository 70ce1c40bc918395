"""Gradients in numbers: how both terms agree (§3.4), how updates differ (§3.6), how noisy they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sad_distill.training.ranks import ALONE, Ranks

_SAMPLED = 2**16
"""About as many coordinates are kept from one update to the next."""


class GradientMetrics:
    """Looks at gradients now and then.

    `gradient_cosine` is the cosine of the gradients of λ_r L_CoT and λ_a L_Act on the first micro-batch of every k-th
    update: below 0 the two are in conflict. `gradient_variance` is |g - g'|² / (|g|² + |g'|²) of that update and the
    one before, on evenly chosen coordinates: 0 where both are the same, about 1 where they have nothing in common.
    `gradient_noise` and `gradient_agreement` (`noise_of`) are of two halves of its rows, on the same coordinates.

    Args:
        parameters: what the gradients are of.
        every: k; 0 never looks.
        ranks: processes whose gradients are added up.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], every: int, ranks: Ranks = ALONE) -> None:
        self._parameters, self._every, self._ranks = parameters, every, ranks
        self._stride = max(1, sum(parameter.numel() for parameter in parameters) // _SAMPLED)
        self._before: Tensor | None = None
        self._half: Tensor | None = None
        self._due = False
        self._found: dict[str, float] = {}

    def looks(self, step: int) -> bool:
        """Whether this update is looked at."""
        return bool(self._every) and step % self._every == 0

    def begin(self, step: int) -> None:
        """An update begins."""
        self._due = self.looks(step)

    def compare(self, reason: Tensor, act: Tensor) -> None:
        """The two terms of a micro-batch, before its backward pass; of the first one only their gradients are taken."""
        if not self._due or not (reason.requires_grad and act.requires_grad):
            return
        self._due = False
        pair = [
            torch.autograd.grad(one, self._parameters, retain_graph=True, allow_unused=True) for one in (reason, act)
        ]
        dot = squares_r = squares_a = 0.0
        for r, a in zip(*pair, strict=True):
            squares_r += 0.0 if r is None else float(r.double().square().sum())
            squares_a += 0.0 if a is None else float(a.double().square().sum())
            dot += 0.0 if r is None or a is None else float((r.double() * a.double()).sum())
        if squares_r and squares_a:
            self._found["gradient_cosine"] = dot / (squares_r * squares_a) ** 0.5

    def half(self) -> None:
        """The gradients of half of an update's rows are there."""
        self._half = self._ranks.add(self._sample())

    def whole(self, rows: int) -> None:
        """Those of the other half have been added to them, of `rows` in all."""
        if self._half is not None:
            self._found |= noise_of(self._half, self._ranks.add(self._sample()), rows)
            self._half = None

    def end(self, step: int) -> dict[str, float]:
        """The numbers of an update whose gradients are complete; most updates have none."""
        if not self._every:
            return {}
        if self.looks(step) and self._before is not None:
            now, before = self._sample(), self._before
            scale = float(now.square().sum() + before.square().sum())
            if scale:
                self._found["gradient_variance"] = float((now - before).square().sum()) / scale
        self._before = self._sample() if (step + 1) % self._every == 0 else None
        found, self._found = self._found, {}
        return found

    def _sample(self) -> Tensor:
        parts = [
            (torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).flatten()[:: self._stride]
            for parameter in self._parameters
        ]
        return torch.cat([part.double() for part in parts])


def noise_of(half: Tensor, whole: Tensor, rows: int) -> dict[str, float]:
    """Noise of a gradient that is a mean over rows (McCandlish et al. 2018).

    Args:
        half: the part of the gradient that half of the rows brought.
        whole: the gradient.
        rows: how many there were.

    Returns:
        ``gradient_noise``, the number of rows at which noise and signal are alike (infinite where the halves disagree
        so much that no signal is seen), and ``gradient_agreement``, the cosine between the halves.
    """
    first, second = 2 * half, 2 * (whole - half)
    signal = float(first @ second)
    noise = rows * float((first - second).square().sum()) / 4
    lengths = float(first.norm() * second.norm())
    return {
        "gradient_noise": noise / signal if signal > 0 else float("inf"),
        "gradient_agreement": signal / lengths if lengths else 0.0,
    }
