"""How long work shows that it goes on: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sad_env.data import Progress as Report
from sad_env.safe_text import console, visible

_SECONDS_BETWEEN_LINES = 5.0


@contextlib.contextmanager
def shown(*, quiet: bool = False) -> Iterator[Report]:
    """A `Report` callback that draws on standard error while the context lasts.

    Args:
        quiet: show nothing.
    """
    if quiet:
        yield lambda what, done, total: None
    elif sys.stderr.isatty():
        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console(stderr=True),
        ) as bars:
            tasks = {}

            def report(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(visible(what), total=total or None)
                bars.update(tasks[what], completed=done, total=total or None)

            yield report
    else:
        last = [time.monotonic()]

        def line(what: str, done: int, total: int) -> None:
            now = time.monotonic()
            if now - last[0] >= _SECONDS_BETWEEN_LINES:
                last[0] = now
                print(f"{visible(what)}: {done:,}" + (f" of {total:,}" if total else ""), file=sys.stderr, flush=True)

        yield line
