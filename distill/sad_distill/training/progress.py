"""How a training run shows its progress: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sad_env.safe_text import console

_SECONDS = 15.0
"""Between two lines where there is no terminal."""
_SHOWN = (
    ("loss", "loss {:.4f}"),
    ("reason_divergence", "R {:.3f}"),
    ("act_divergence", "A {:.3f}"),
    ("reason_nll", "nll R {:.3f}"),
    ("act_nll", "nll A {:.3f}"),
    ("rollout_success", "success {:.2f}"),
    ("cache_hits", "cache {:.0%}"),
)


class Reporter(Protocol):
    """Called after each update."""

    def __call__(self, step: int, steps: int, metrics: dict[str, float]) -> None:
        """The updates done, how many there will be, and the numbers of the last."""
        ...


def summary(metrics: dict[str, float]) -> str:
    """The main numbers on one line; a divergence of 0 means that nothing was compared, and is left out.

    >>> summary({"loss": 1.5, "act_divergence": 0.0, "act_nll": 0.25})
    'loss 1.5000  nll A 0.250'
    """
    shown = ((name, form) for name, form in _SHOWN if name in metrics)
    return "  ".join(form.format(metrics[name]) for name, form in shown if metrics[name] or "divergence" not in name)


@contextlib.contextmanager
def progress(steps: int, *, shown: bool = True) -> Iterator[Reporter]:
    """A reporter that shows a run of this many updates on standard error; only the first of several processes does."""
    screen = console(stderr=True)
    if not screen.is_terminal or not shown:
        yield _Lines()
        return
    columns = (
        TextColumn("distil"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
    )
    with Progress(*columns, console=screen) as bar:
        task = bar.add_task("distil", total=steps, numbers="")

        def report(step: int, steps: int, metrics: dict[str, float]) -> None:
            bar.update(task, completed=step, numbers=summary(metrics))

        yield report


class _Lines:
    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, step: int, steps: int, metrics: dict[str, float]) -> None:
        now = time.monotonic()
        if now - self._last >= _SECONDS or step == steps:
            self._last = now
            print(f"update {step}/{steps}  {summary(metrics)}", file=sys.stderr, flush=True)
