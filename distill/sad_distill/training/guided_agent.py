"""An agent that is guided: at some turns, chosen by chance, the teacher acts instead of the student."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sad_agents.agent import Agent, Decision, EpisodeStart

GUIDE = "teacher"
"""Author of the steps that the teacher took, in the records."""


@dataclass
class GuidedAgent:
    """The student acts; at some turns the teacher does.

    Attributes:
        student: an agent.
        teacher: an agent that watches, and takes a turn when it is chosen.
        share: chance that it is chosen.
        seed: first part of the seed of each choice.
    """

    student: Agent
    teacher: Agent
    share: float
    seed: int = 0
    name: str = "guided"
    _starts: dict[int, EpisodeStart] = field(default_factory=dict)
    _turns: dict[int, int] = field(default_factory=dict)

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Both begin; the student's prompt is the episode's."""
        prompt = self.student.begin(episode, start)
        self.teacher.begin(episode, start)
        self._starts[episode], self._turns[episode] = start, 0
        return prompt

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """One decision an episode, by whoever has the turn."""
        guided = [episode for episode in episodes if self._chosen(episode)]
        own = [episode for episode in episodes if not self._chosen(episode)]
        decisions: dict[int, Decision] = {}
        if guided:
            turns = (replace(turn, author=GUIDE) for turn in self.teacher.act(guided))
            decisions.update(zip(guided, turns, strict=True))
        if own:
            decisions.update(zip(own, self.student.act(own), strict=True))
        return [decisions[episode] for episode in episodes]

    def _chosen(self, episode: int) -> bool:
        draw = random.Random(f"guide {self.seed} {self._starts[episode].seed} {self._turns[episode]}")
        return draw.random() < self.share

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """Both see what came back."""
        self._turns[episode] += 1
        self.student.observe(episode, decision, observation, info)
        self.teacher.observe(episode, decision, observation, info)

    def end(self, episode: int) -> None:
        """Both forget."""
        self._starts.pop(episode, None)
        self._turns.pop(episode, None)
        self.student.end(episode)
        self.teacher.end(episode)
