"""Progress of long work on standard error: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from sad_env.safe_text import console, safe_text, visible

SECONDS_BETWEEN_LINES = 5.0


class ProgressReport(Protocol):
    """Called as work proceeds; fits where a `sad_env.data.Progress` is wanted."""

    def __call__(self, what: str, done: int, total: int, note: Callable[[], str] | None = None, /) -> None:
        """Show how far the work is.

        Args:
            what: is being done; a bar of its own for each.
            done: units of it.
            total: of how many; 0 when unknown.
            note: makes the words shown with the count; called only when something is drawn, from a thread of its own.
        """
        ...


@contextlib.contextmanager
def shown(*, quiet: bool = False, below: Callable[[], RenderableType] | None = None) -> Iterator[ProgressReport]:
    """A `ProgressReport` that draws on standard error while the context lasts.

    Args:
        quiet: show nothing.
        below: makes what a terminal shows under the bars; all of it is then taken away at the end.
    """
    if quiet:
        yield lambda what, done, total, note=None, /: None
    elif sys.stderr.isatty():
        bars = Bars(below)
        screen = console(stderr=True)
        with Live(get_renderable=bars.draw, console=screen, refresh_per_second=4, transient=below is not None):
            yield bars
    else:
        yield Lines()


class Bars:
    """A bar for each kind of work with its note under it, and what `below` makes under them all."""

    def __init__(self, below: Callable[[], RenderableType] | None = None) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        self._bars = Progress(*columns, TimeRemainingColumn())
        self._tasks: dict[str, TaskID] = {}
        self._notes: dict[str, Callable[[], str]] = {}
        self._below = below

    def __call__(self, what: str, done: int, total: int, note: Callable[[], str] | None = None, /) -> None:
        """See `ProgressReport`."""
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(visible(what), total=total or None, completed=done)
        self._bars.update(self._tasks[what], completed=done, total=total or None)
        if note is not None:
            self._notes[what] = note

    def draw(self) -> RenderableType:
        """The bars, the notes and what lies below, as they are now."""
        notes = [safe_text(note()) for note in tuple(self._notes.values())]
        return Group(self._bars.get_renderable(), *notes, self._below() if self._below else Text(end=""))


class Lines:
    """A line every `SECONDS_BETWEEN_LINES`: for logs and pipes."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._began: dict[str, tuple[float, int]] = {}

    def __call__(self, what: str, done: int, total: int, note: Callable[[], str] | None = None, /) -> None:
        """See `ProgressReport`."""
        now = time.monotonic()
        began, before = self._began.setdefault(what, (now, done))
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        left = duration((total - done) * (now - began) / (done - before)) + " left" if total > done > before else ""
        words = (what, f"{done:,}/{total:,}" if total else f"{done:,}", note() if note else "", left)
        print(visible("  ".join(filter(None, words))), file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds in words of at most two units.

    >>> duration(9.4), duration(200), duration(7300)
    ('9 s', '3 min 20 s', '2 h 1 min')
    """
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
