"""A playback as an asciinema recording (asciicast v2): a header, then one line of JSON for each thing that appears."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from sad_env.records import SpanKind, Trajectory
from sad_eval.playback.plain import beat_text, headline
from sad_eval.playback.timeline import beats, reading_seconds

WIDTH, HEIGHT = 100, 30


def cast_lines(
    trajectories: Iterable[Trajectory], *, speed: float = 1.0, hide_reasoning: bool = False
) -> Iterator[str]:
    """Lines of a .cast file that plays these episodes one after the other.

    The only control sequences in it are colours of ours: the episodes' own are made visible.
    """
    episodes = list(trajectories)
    yield json.dumps({"version": 2, "width": WIDTH, "height": HEIGHT, "title": "sad-play"})
    clock = 0.0
    for place, trajectory in enumerate(episodes, start=1):
        yield _event(clock, headline(trajectory, place, len(episodes)))
        for beat in beats(trajectory):
            if hide_reasoning and beat.kind is SpanKind.REASON:
                continue
            clock += reading_seconds(beat) / speed
            yield _event(clock, beat_text(beat))
        clock += 1.5 / speed
        yield _event(clock, Text())


def _event(seconds: float, text: Text) -> str:
    out = io.StringIO()
    terminal = Console(
        file=out, force_terminal=True, width=WIDTH, color_system="standard", markup=False, emoji=False, highlight=False
    )
    terminal.print(text)
    return json.dumps([round(seconds, 3), "o", out.getvalue().replace("\n", "\r\n")])
