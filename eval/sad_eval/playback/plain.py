"""Playback for pipes: whole episodes as text, coloured only where the console has colours."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from sad_env.records import SpanKind, Trajectory
from sad_env.safe_text import one_line, safe_text
from sad_eval.playback.timeline import Beat, beats

STYLES = {SpanKind.REASON: "blue", SpanKind.ACT: "bold red", SpanKind.OBS: "", SpanKind.NONE: "dim"}
"""Reasoning blue, action red, observation plain; the same everywhere."""

_NEXT_LINE = re.compile(r"\n(?=[^\n])")

LABELS = {SpanKind.REASON: "Reasoning", SpanKind.ACT: "Action", SpanKind.OBS: "Observation", SpanKind.NONE: "Text"}


def headline(trajectory: Trajectory, place: int, count: int) -> Text:
    """One line that names an episode and its end."""
    mark, style = ("✓", "bold green") if trajectory.success else ("✗", "bold red")
    if "success" in trajectory.unknown:
        mark, style = "?", "bold yellow"
    text = Text().append(f"{mark} ", style).append_text(safe_text(one_line(trajectory.task_id, 100), "bold"))
    facts = f"{place}/{count} · {trajectory.agent} · {trajectory.ending} · {len(trajectory.steps)} steps"
    return text.append("  ").append_text(safe_text(one_line(f"{facts} · score {trajectory.score:g}", 160), "dim"))


def beat_text(beat: Beat) -> Text:
    """One beat as a paragraph: step, who speaks, what is said."""
    text = Text().append(f"{beat.step:>3} ", "dim")
    text.append(f"{LABELS[beat.kind]}: ", style=f"dim {STYLES[beat.kind]}".strip())
    text.append(_NEXT_LINE.sub("\n    ", beat.text), style=STYLES[beat.kind])
    if beat.flag:
        text.append(f"  [{beat.flag}]", style="bold yellow")
    return text


def print_episodes(trajectories: Iterable[Trajectory], console: Console, *, hide_reasoning: bool = False) -> None:
    """Print whole episodes, one after the other."""
    episodes = list(trajectories)
    for place, trajectory in enumerate(episodes, start=1):
        console.print(headline(trajectory, place, len(episodes)), soft_wrap=True)
        for beat in beats(trajectory):
            if not (hide_reasoning and beat.kind is SpanKind.REASON):
                console.print(beat_text(beat), soft_wrap=True)
        if trajectory.error:
            console.print(safe_text(f"    {one_line(trajectory.error)}", "yellow"), soft_wrap=True)
        console.print()
