"""An episode as beats, and the player that walks over them: all state of a playback, nothing of its screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from sad_env.records import SpanKind, Trajectory
from sad_env.safe_text import visible

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Factors on the reading time."""

_LEAST, _MOST, _A_CHARACTER = 0.35, 4.0, 0.02


class Beat(NamedTuple):
    """One thing that was said: by the world (step 0 is before the first action) or by the agent."""

    step: int
    kind: SpanKind
    header: str
    text: str
    """Made visible, without its final newline."""
    flag: str = ""
    """What the world thought of the action, when it was no good."""


Choice = Literal["all", "failed", "solved"]
"""Which episodes are played."""

CHOICES: tuple[Choice, ...] = get_args(Choice)


def keeps(choice: Choice, trajectory: Trajectory) -> bool:
    """True when the episode is among those that are played."""
    return choice == "all" or trajectory.success == (choice == "solved")


def beats(trajectory: Trajectory) -> tuple[Beat, ...]:
    """The episode in order: first observation, then the spans of each completion and what came back."""
    result = [Beat(0, SpanKind.OBS, "", visible(trajectory.observation))]
    for number, step in enumerate(trajectory.steps, start=1):
        for span in step.spans:
            header = visible(step.completion[span.start : span.body])
            text = visible(step.completion[span.body : span.end]).rstrip("\n")
            flag = "invalid" if span.kind is SpanKind.ACT and not step.valid else ""
            result.append(Beat(number, span.kind, header, text, flag))
        flag = "" if step.parsed else "no action found"
        result.append(Beat(number, SpanKind.OBS, "", visible(step.observation), flag))
    return tuple(result)


def reading_seconds(beat: Beat) -> float:
    """How long a beat is shown before the next one, at speed 1."""
    return min(_MOST, _LEAST + _A_CHARACTER * len(beat.text))


class EpisodePlayer:
    """The state of a playback. Every method leaves it on an episode and a beat that exist, or on no episode at all.

    Args:
        trajectories: the episodes of a run.
        choice: which of them are played.
    """

    def __init__(self, trajectories: Sequence[Trajectory], choice: Choice = "all") -> None:
        self.trajectories = trajectories
        self.choice = choice
        self.chosen: list[int] = []
        self.place = 0
        self.beat = 0
        self.playing = False
        self.speed = SPEEDS.index(1.0)
        self.hide_reasoning = False
        self.needle = ""
        self._beats: tuple[Beat, ...] = ()
        self.select(choice)

    @property
    def trajectory(self) -> Trajectory | None:
        """The episode that is shown; None when the filter leaves none."""
        return self.trajectories[self.chosen[self.place]] if self.chosen else None

    @property
    def beats(self) -> tuple[Beat, ...]:
        """Its beats, without reasoning while that is hidden."""
        return self._beats

    @property
    def shown(self) -> tuple[Beat, ...]:
        """The beats up to now."""
        return self._beats[: self.beat + 1]

    @property
    def step_number(self) -> int:
        """Number of the step that is shown; 0 before the first action."""
        return self._beats[self.beat].step if self._beats else 0

    @property
    def at_end(self) -> bool:
        """True on the last beat of the episode."""
        return self.beat >= len(self._beats) - 1

    def select(self, choice: Choice) -> None:
        """Play only these episodes; stay on the current one if it is among them."""
        current = self.chosen[self.place] if self.chosen else 0
        self.choice = choice
        self.chosen = [number for number, episode in enumerate(self.trajectories) if keeps(choice, episode)]
        if current in self.chosen and self._beats:
            self.place = self.chosen.index(current)
        else:
            later = [place for place, number in enumerate(self.chosen) if number >= current]
            self.open(later[0] if later else 0)

    def open(self, place: int) -> None:
        """Go to the first beat of the episode at this place among the chosen ones; nearest place if there is none."""
        self.place = max(0, min(place, len(self.chosen) - 1))
        self._load()
        self.beat = 0

    def find_task(self, task_id: str) -> bool:
        """Go to the first chosen episode of this task; False when there is none."""
        for place, number in enumerate(self.chosen):
            if self.trajectories[number].task_id == task_id:
                self.open(place)
                return True
        return False

    def move(self, count: int) -> None:
        """Go so many beats on, or back when negative, within the episode."""
        self.beat = max(0, min(self.beat + count, len(self._beats) - 1))

    def next_action(self) -> None:
        """Go to the next action of the episode, or to its end."""
        later = (index for index in range(self.beat + 1, len(self._beats)) if self._beats[index].kind is SpanKind.ACT)
        self.beat = next(later, max(0, len(self._beats) - 1))

    def tick(self) -> None:
        """The time of the current beat is over: go on while playing, pause at the end of the episode."""
        if self.playing:
            self.move(1)
            self.playing = not self.at_end

    def toggle(self) -> None:
        """Play or pause; at the end of the episode, play it again."""
        if not self.playing and self.at_end:
            self.beat = 0
        self.playing = not self.playing and len(self._beats) > 1

    def change_speed(self, count: int) -> None:
        """Faster (positive) or slower, within `SPEEDS`."""
        self.speed = max(0, min(self.speed + count, len(SPEEDS) - 1))

    def seconds(self) -> float:
        """How long the current beat is shown at the current speed."""
        return reading_seconds(self._beats[self.beat]) / SPEEDS[self.speed] if self._beats else 0.0

    def toggle_reasoning(self) -> None:
        """Leave reasoning out, or show it again, and stay at the same step."""
        step = self.step_number
        self.hide_reasoning = not self.hide_reasoning
        self._load()
        last = [index for index, beat in enumerate(self._beats) if beat.step <= step]
        self.beat = last[-1] if last else 0

    def search(self, needle: str = "") -> bool:
        """Go to the next beat that holds `needle` (or what was last looked for), through all chosen episodes.

        Returns:
            False when it occurs nowhere else; the playback then stays where it is.
        """
        self.needle = needle or self.needle
        if not self.needle or not self.chosen:
            return False
        wanted = self.needle.lower()
        for offset in range(len(self.chosen) + 1):
            place = (self.place + offset) % len(self.chosen)
            found = self._beats if offset == 0 else self._beats_of(place)
            start = self.beat + 1 if offset == 0 else 0
            for index in range(start, len(found)):
                if wanted in found[index].text.lower():
                    if offset:
                        self.open(place)
                    self.beat = index
                    return True
        return False

    def _load(self) -> None:
        self._beats = self._beats_of(self.place) if self.chosen else ()

    def _beats_of(self, place: int) -> tuple[Beat, ...]:
        found = beats(self.trajectories[self.chosen[place]])
        return tuple(beat for beat in found if not (self.hide_reasoning and beat.kind is SpanKind.REASON))
