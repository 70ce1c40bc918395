"""An agent that is guided: at some turns, chosen by chance, the teacher acts instead of the student."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sad_agents.agent import Agent, Decision, EpisodeStart, writes
from transformers import PreTrainedTokenizerBase

from sad_distill.data.labels import encode
from sad_env.records import FormName, SpanKind

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
        tokenizer: of both, where they are local models: the student may read as one text what the teacher wrote in a
            chat, where the end of a turn stands for the newline after an action.
    """

    student: Agent
    teacher: Agent
    share: float
    seed: int = 0
    tokenizer: PreTrainedTokenizerBase | None = None
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
            turns = (replace(self._ended(turn), author=GUIDE) for turn in self.teacher.act(guided))
            decisions.update(zip(guided, turns, strict=True))
        if own:
            decisions.update(zip(own, self.student.act(own), strict=True))
        return [decisions[episode] for episode in episodes]

    def _ended(self, decision: Decision) -> Decision:
        """The decision with ids for its final newline, where the student needs them."""
        if self.tokenizer is None or not decision.token_ids or self.chat:
            return decision
        if str(self.tokenizer.decode(list(decision.token_ids[-4:]))).endswith("\n"):
            return decision
        newline = encode(self.tokenizer, "\n")
        ids, labels = (*decision.token_ids, *newline), decision.token_labels + SpanKind.NONE.value * len(newline)
        return replace(decision, token_ids=ids, token_labels=labels)

    @property
    def form(self) -> FormName:
        """The student's, in which the teacher writes, too."""
        return writes(self.student)[0]

    @property
    def chat(self) -> bool:
        """The student's."""
        return writes(self.student)[1]

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
