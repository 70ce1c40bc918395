"""How a training run shows its progress: two lines on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from sad_env import progress as work

_KINDS = (("reason", "reasoning"), ("act", "action"))
_SHARES = (("rollout_success", "won"), ("cache_hits", "from cache"))


class Reporter(Protocol):
    """Called after each update."""

    def __call__(self, step: int, steps: int, metrics: dict[str, float]) -> None:
        """The updates done, how many there will be, and the numbers of the last."""
        ...


def summary(metrics: dict[str, float]) -> str:
    """The main numbers on one line of 80 columns.

    The divergence from the teacher where there is one, else the negative log-likelihood of the recorded tokens; a
    divergence of 0 means that nothing was compared.

    >>> summary({"loss": 1.5, "reason_divergence": 0.5, "act_divergence": 1.0, "act_nll": 0.25, "cache_hits": 0.9})
    'loss 1.5000  divergence: reasoning 0.500, action 1.000  from cache 90%'
    >>> summary({"loss": 1.5, "act_divergence": 0.0, "act_nll": 0.25})
    'loss 1.5000  nll: action 0.250'
    """
    words = [f"loss {metrics['loss']:.4f}"] if "loss" in metrics else []
    for measure in ("divergence", "nll"):
        found = [(word, metrics.get(f"{kind}_{measure}", 0.0)) for kind, word in _KINDS]
        if any(value for _, value in found):
            words.append(f"{measure}: " + ", ".join(f"{word} {value:.3f}" for word, value in found if value))
            break
    return "  ".join([*words, *(f"{word} {metrics[name]:.0%}" for name, word in _SHARES if name in metrics)])


@contextlib.contextmanager
def progress(steps: int, *, shown: bool = True) -> Iterator[Reporter]:
    """A reporter that shows a run of this many updates on standard error; only the first of several processes does."""
    with work.shown(quiet=not shown) as report:
        report("update", 0, steps)

        def after(step: int, steps: int, metrics: dict[str, float]) -> None:
            report("update", step, steps, lambda: summary(metrics))

        yield after
