"""What a running evaluation shows: a live table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sad_env.records import Status
from sad_env.safe_text import console, one_line, safe_text
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.metrics.statistics import wilson
from sad_eval.records import EpisodeLine

SECONDS_BETWEEN_LINES = 5.0
_RECENT = 5


class Progress(Protocol):
    """Told of every episode that ends."""

    def begin(self, planned: int, sums: MetricSums) -> None:
        """The run has this many episodes; `sums` holds those that are done already."""
        ...

    def ended(self, line: EpisodeLine, sums: MetricSums) -> None:
        """An episode ended and, when scored, is in the sums."""
        ...

    def close(self) -> None:
        """The run is over or interrupted."""
        ...


def chosen(*, quiet: bool) -> Progress:
    """The progress that fits standard error."""
    if quiet:
        return Silent()
    return LiveTable() if sys.stderr.isatty() else Lines()


def headline(sums: MetricSums) -> str:
    """The run so far in a few words.

    Example: ``success 4/12 (33 % [14, 61])  steps 7.2  reasoning 61 a step``
    """
    n = len(sums)
    if not n:
        return "no episode has ended yet"
    wins = min(n, sums.successes)  # a live table looks on while an episode is being added
    low, high = wilson(wins, n)
    words = [f"success {wins:,}/{n:,} ({wins / n:.0%} [{100 * low:.0f}, {100 * high:.0f}])"]
    for name, label, form in (
        ("environment_steps", "steps", ".1f"),
        ("reasoning_per_step", "reasoning", ".1f"),
        ("cot_match", "CoT match", ".2f"),
        ("invalid_actions", "invalid", ".0%"),
    ):
        value = sums.mean(name)
        if value is not None:
            words.append(f"{label} {value:{form}}")
    return "  ".join(words)


class _Clock:
    """Episodes per second of this session, and when it will be over."""

    def __init__(self) -> None:
        self.planned = 0
        self.before = 0
        self.owed = 0
        self.began = time.monotonic()

    def begin(self, planned: int, sums: MetricSums) -> None:
        self.planned, self.before, self.began = planned, len(sums), time.monotonic()

    def left(self, sums: MetricSums) -> str:
        done, seconds = len(sums) - self.before, time.monotonic() - self.began
        remaining = self.planned - len(sums)
        if not done or not remaining:
            return ""
        return duration(remaining * seconds / done) + " left"


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


class Silent:
    """Shows nothing."""

    def begin(self, planned: int, sums: MetricSums) -> None:
        """Nothing."""

    def ended(self, line: EpisodeLine, sums: MetricSums) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines:
    """A line every `SECONDS_BETWEEN_LINES` on standard error: for logs and pipes."""

    def __init__(self) -> None:
        self._clock = _Clock()
        self._last = time.monotonic()

    def begin(self, planned: int, sums: MetricSums) -> None:
        """Start the clock."""
        self._clock.begin(planned, sums)

    def ended(self, line: EpisodeLine, sums: MetricSums) -> None:
        """Print when it is time; an attempt that is owed is always told."""
        now = time.monotonic()
        trajectory = line.trajectory
        if trajectory.status.owed:
            what = f"{trajectory.status.value} in {trajectory.task_id}: {trajectory.error}"
            print(one_line(what, 200), file=sys.stderr, flush=True)
        elif now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            words = f"{len(sums):,}/{self._clock.planned:,}  {headline(sums)}  {self._clock.left(sums)}"
            print(words.rstrip(), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing."""


_MARKS = {Status.SUCCESS: ("✓", "green"), Status.FAILURE: ("✗", "red"), Status.MAX_STEPS: ("…", "yellow")}


class LiveTable:
    """A bar, the figures so far and the last few episodes, drawn in place on standard error."""

    def __init__(self) -> None:
        self._clock = _Clock()
        self._recent: deque[EpisodeLine] = deque(maxlen=_RECENT)
        self._tally: MetricSums | None = None
        self._live = Live(console=console(stderr=True), refresh_per_second=4, transient=True, get_renderable=self._draw)

    def begin(self, planned: int, sums: MetricSums) -> None:
        """Start drawing."""
        self._clock.begin(planned, sums)
        self._tally = sums
        self._live.start()

    def ended(self, line: EpisodeLine, sums: MetricSums) -> None:
        """Remember it; drawing goes on by itself."""
        self._recent.append(line)
        self._clock.owed += line.trajectory.status.owed

    def close(self) -> None:
        """Take the table away."""
        self._live.stop()

    def _draw(self) -> RenderableType:
        sums = self._tally
        if sums is None:
            return Text()
        bar = Table.grid(padding=(0, 2, 0, 0))
        count = f"{len(sums):,}/{self._clock.planned:,}"
        retried = f"{self._clock.owed} to be tried again" if self._clock.owed else ""
        bar.add_row(
            count,
            ProgressBar(total=max(1, self._clock.planned), completed=len(sums), width=24),
            Text(self._clock.left(sums), style="dim"),
            Text(retried, style="magenta"),
        )
        episodes = Table.grid(padding=(0, 2, 0, 0))
        for line in tuple(self._recent):
            trajectory = line.trajectory
            mark, style = _MARKS.get(trajectory.status, ("!", "magenta"))
            episodes.add_row(
                Text(mark, style=style),
                safe_text(one_line(trajectory.task_id, 44)),
                Text(trajectory.status.value.replace("_", " "), style=style),
                Text(f"{len(trajectory.steps)} steps", style="dim"),
            )
        return Group(bar, Text(headline(sums)), episodes)
