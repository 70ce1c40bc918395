"""What a running evaluation shows: its figures so far and, on a terminal, the last few episodes."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from rich.table import Table
from rich.text import Text

from sad_env.progress import shown
from sad_env.records import Status
from sad_env.safe_text import one_line, safe_text
from sad_eval.metrics.aggregate import MetricSums
from sad_eval.metrics.statistics import wilson
from sad_eval.records import EpisodeLine

_RECENT = 5
_MARKS = {Status.SUCCESS: ("✓", "green"), Status.FAILURE: ("✗", "red"), Status.MAX_STEPS: ("…", "yellow")}


@contextlib.contextmanager
def shown_run(planned: int, sums: MetricSums, *, quiet: bool = False) -> Iterator[Callable[[EpisodeLine], None]]:
    """A function to call with every episode that has ended; standard error shows the run while the context lasts.

    Args:
        planned: episodes of the run.
        sums: of the episodes that are scored; the caller adds to it.
        quiet: show nothing.
    """
    recent: deque[EpisodeLine] = deque(maxlen=_RECENT)
    owed = 0
    told = False
    by_line = not quiet and not sys.stderr.isatty()

    def note() -> str:
        return headline(sums) + (f"  {owed:,} to be tried again" if owed else "")

    with shown(quiet=quiet, below=lambda: recent_episodes(recent)) as report:

        def ended(line: EpisodeLine) -> None:
            nonlocal owed, told
            recent.append(line)
            owed += line.trajectory.status.owed
            broke = line.trajectory.status is Status.AGENT_ERROR and not told
            told = told or broke
            if (line.trajectory.status.owed and by_line) or (broke and (quiet or by_line)):
                what = f"{line.trajectory.status.value} in {line.trajectory.task_id}: {line.trajectory.error}"
                print(one_line(what, 200) + (" (told once)" if broke else ""), file=sys.stderr, flush=True)
            report("", len(sums), planned, note)

        report("", len(sums), planned, note)
        yield ended


def headline(sums: MetricSums) -> str:
    """The run so far in a few words.

    Example: ``success 4/12 (33 % [14, 61])  steps 7.2  reasoning 61 a step``
    """
    n = len(sums)
    if not n:
        return "no episode has ended yet"
    wins = min(n, sums.successes)  # drawn from another thread while an episode is being added
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


def recent_episodes(lines: Iterable[EpisodeLine]) -> Table:
    """A row an episode: how it ended and after how many steps."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for line in tuple(lines):
        trajectory = line.trajectory
        mark, style = _MARKS.get(trajectory.status, ("!", "magenta"))
        table.add_row(
            Text(mark, style=style),
            safe_text(one_line(trajectory.task_id, 44)),
            Text(trajectory.status.value.replace("_", " "), style=style),
            Text(f"{len(trajectory.steps)} steps", style="dim"),
        )
    return table
