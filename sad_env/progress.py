"""Progress of long work on standard error: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from sad_env.safe_text import console, safe_text, visible

SECONDS_BETWEEN_LINES = 5.0
SECONDS_BEFORE_LINES = 2.0
"""Before the first of them."""
SECONDS_OF_SILENCE = 1.8
"""Work that takes longer than this says what it is."""


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


class _Voice:
    """What standard error was last told, by whom: several pieces of work, one inside the other, do not talk at once."""

    def __init__(self) -> None:
        self.last = 0.0
        self.bars = 0
        self.speakers: list[object] = []

    def say(self, line: str) -> None:
        self.last = time.monotonic()
        print(visible(line), file=sys.stderr, flush=True)


_voice = _Voice()


@contextlib.contextmanager
def announced(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Say on standard error what is being done while nothing else is said of it, and how long it has taken so far.

    Args:
        what: e.g. "loading the teacher".
        quiet: say nothing.
    """
    if quiet:
        yield
        return
    over, began, key = threading.Event(), time.monotonic(), object()

    def speak() -> None:
        silence = SECONDS_OF_SILENCE
        while not over.wait(min(0.2, silence)):
            now = time.monotonic()
            if now - max(began, _voice.last) < silence or _voice.bars or _voice.speakers[-1] is not key:
                continue
            _voice.say(f"{what} ... {duration(now - began)}")
            silence = SECONDS_BETWEEN_LINES

    _voice.speakers.append(key)
    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        over.set()
        speaker.join()
        _voice.speakers.remove(key)


@contextlib.contextmanager
def shown(
    *,
    quiet: bool = False,
    below: Callable[[], RenderableType] | None = None,
    seconds: float | None = None,
    left: Callable[[], float | None] | None = None,
) -> Iterator[ProgressReport]:
    """A `ProgressReport` that draws on standard error while the context lasts.

    Args:
        quiet: show nothing.
        below: makes what a terminal shows under the bars; all of it is then taken away at the end.
        seconds: between two lines where there is no terminal; `SECONDS_BETWEEN_LINES` when left out.
        left: seconds that the work still takes, None while that is not known; instead of what its pace says.
    """
    if quiet:
        yield lambda what, done, total, note=None, /: None
    elif sys.stderr.isatty():
        bars = Bars(below, left)
        screen = console(stderr=True)
        with Live(get_renderable=bars.draw, console=screen, refresh_per_second=4, transient=below is not None):
            _voice.bars += 1
            try:
                yield bars
            finally:
                _voice.bars -= 1
    else:
        with Lines(seconds, left).ticking() as lines:
            yield lines


class Bars:
    """A bar for each kind of work with its note under it, and what `below` makes under them all."""

    def __init__(
        self, below: Callable[[], RenderableType] | None = None, left: Callable[[], float | None] | None = None
    ) -> None:
        pace_column = PaceColumn() if left is None else LeftColumn(left)
        columns = (TextColumn("{task.description}", markup=False), MofNCompleteColumn(), pace_column, BarColumn(24))
        self._bars = Progress(*columns)
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


class PaceColumn(ProgressColumn):
    """Time that is left, and how fast the work goes."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """The column of one bar."""
        if not task.speed:
            return Text("")
        left = "" if task.time_remaining is None else f"{duration(task.time_remaining)} left, "
        return Text(f"{left}{pace(task.speed)}", "cyan")


class LeftColumn(ProgressColumn):
    """Time that is left, as somebody else knows it."""

    max_refresh = 0.5

    def __init__(self, left: Callable[[], float | None]) -> None:
        super().__init__()
        self._left = left

    def render(self, task: Task) -> Text:
        """The column of one bar."""
        return Text(about(self._left()), "cyan")


def about(seconds: float | None) -> str:
    """Time that is left, by an estimate; "" where there is none."""
    return "" if seconds is None else f"about {duration(seconds)} left"


class Lines:
    """A line every few seconds: for logs and pipes.

    Args:
        seconds: between two lines; `SECONDS_BETWEEN_LINES` when left out.
        left: see `shown`.
    """

    def __init__(self, seconds: float | None = None, left: Callable[[], float | None] | None = None) -> None:
        self._last = time.monotonic()
        self._seconds = seconds
        self._left = left
        self._began: dict[str, tuple[float, int]] = {}
        self._say: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def __call__(self, what: str, done: int, total: int, note: Callable[[], str] | None = None, /) -> None:
        """See `ProgressReport`."""
        now = time.monotonic()
        began, before = self._began.setdefault(what, (now, done))
        with self._lock:
            self._say = lambda: self._print(what, done, total, note, before=before, began=began)
            self._speak(SECONDS_BETWEEN_LINES if self._seconds is None else self._seconds)

    @contextlib.contextmanager
    def ticking(self) -> Iterator[Lines]:
        """Also speak while nothing is reported, of what was reported last: one unit of work may take minutes."""
        over = threading.Event()

        def tick() -> None:
            silence = SECONDS_BEFORE_LINES
            while not over.wait(0.2):
                with self._lock:
                    if self._speak(silence):
                        silence = SECONDS_BETWEEN_LINES if self._seconds is None else self._seconds

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield self
        finally:
            over.set()
            ticker.join()

    def _speak(self, silence: float) -> bool:
        now = time.monotonic()
        if self._say is None or now - self._last < silence:
            return False
        self._last = now
        self._say()
        return True

    def _print(
        self, what: str, done: int, total: int, note: Callable[[], str] | None, *, before: int, began: float
    ) -> None:
        # By the time of the line: where no unit ends for long, what is left takes longer than was thought.
        past = time.monotonic() - began
        speed = (done - before) / past if past > 0 else 0.0
        if self._left is not None:
            left = about(self._left())
        elif not speed:
            left = f"{duration(past)} so far"
        else:
            left = f"{duration((total - done) / speed)} left, {pace(speed)}" if total > done else ""
        words = (what, f"{done:,}/{total:,}" if total else f"{done:,}", left, note() if note else "")
        _voice.say("  ".join(filter(None, words)))


def pace(speed: float) -> str:
    """How fast work goes, by the unit of time that gives at least one.

    >>> pace(12.34), pace(0.2), pace(0.001)
    ('12.3/s', '12.0/min', '3.6/h')
    """
    for seconds, unit in ((1, "s"), (60, "min")):
        if speed * seconds >= 1:
            return f"{speed * seconds:,.1f}/{unit}"
    return f"{speed * 3600:,.1f}/h"


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
