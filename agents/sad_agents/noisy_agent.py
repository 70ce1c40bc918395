"""Noise: sometimes another action than the agent's is played (a slip), so that its recoveries are recorded, too."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sad_agents.agent import Agent, Decision, EpisodeStart, concurrent, writes
from sad_agents.prompts import load_prompt
from sad_env.errors import ConfigError
from sad_env.records import FormName, Span, SpanKind
from sad_env.transcript import form_of


class NoisyAgent:
    """Wraps an agent; with a probability each step, a random admissible or a garbled action is played instead.

    A slip is recorded as a completion of an action alone whose spans are all of kind N, so that it is context for what
    follows and never a target: labels, losses and reasoning metrics pass over it. Actions that end an episode for good
    (`final_actions` of the world's prompt file) are never slips.

    Args:
        agent: whose episodes they are; it observes a slip as if it had been its own action.
        probability: of a slip in a step.
        world: the world's name.

    Raises:
        ConfigError: a probability outside [0, 1).
    """

    def __init__(self, agent: Agent, probability: float, world: str) -> None:
        if not 0 <= probability < 1:
            raise ConfigError(f"a slip's probability lies in [0, 1), not {probability:g}")
        self.name = f"{agent.name}+slip-{probability:g}"
        self.provenance = dict(getattr(agent, "provenance", {}))
        self._agent = agent
        self._probability = probability
        self._final = load_prompt(world).final_actions
        self._draws: dict[int, random.Random] = {}
        self._admissible: dict[int, Sequence[str]] = {}

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Seed the episode's draws."""
        self._draws[episode] = random.Random(f"slip {start.seed}")
        self._admissible[episode] = start.info.get("admissible_actions") or ()
        return self._agent.begin(episode, start)

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """The agent's decisions, some of them replaced."""
        decisions = self._agent.act(episodes)
        return [self._maybe_slip(episode, decision) for episode, decision in zip(episodes, decisions, strict=True)]

    def _maybe_slip(self, episode: int, decision: Decision) -> Decision:
        draw = self._draws[episode]
        if draw.random() >= self._probability or not decision.action:
            return decision
        choices = [action for action in self._admissible[episode] if action != decision.action]
        if not choices or draw.random() < 0.5:
            choices = garbled(decision.action)
        choices = [action for action in choices if not action.startswith(self._final)]
        return slip(draw.choice(choices), self.form) if choices else decision

    @property
    def form(self) -> FormName:
        """The wrapped agent's."""
        return writes(self._agent)[0]

    @property
    def concurrent(self) -> bool:
        """The wrapped agent's."""
        return concurrent(self._agent)

    @property
    def chat(self) -> bool:
        """The wrapped agent's."""
        return writes(self._agent)[1]

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """Pass it on, and remember which actions are admissible next."""
        self._admissible[episode] = info.get("admissible_actions") or ()
        self._agent.observe(episode, decision, observation, info)

    def end(self, episode: int) -> None:
        """Forget the episode."""
        self._draws.pop(episode, None)
        self._admissible.pop(episode, None)
        self._agent.end(episode)


def slip(action: str, form: str = "lines") -> Decision:
    """The decision that plays `action` and teaches nothing."""
    rendering = form_of(form).render("", action)
    spans = tuple(Span(kind=SpanKind.NONE, start=s.start, end=s.end, body=s.body) for s in rendering.spans)
    return Decision(rendering.text, spans, "", action)


def garbled(action: str) -> list[str]:
    """Ways to get an action slightly wrong: a number that is off by one, a word left out.

    >>> garbled("go to shelf 2")
    ['go to shelf 3', 'to shelf 2', 'go shelf 2', 'go to 2', 'go to shelf']
    """
    numbers = [
        action[: match.start()] + str(int(match.group()) + 1) + action[match.end() :]
        for match in re.finditer(r"\b[0-9]{1,4}\b", action)
    ]
    words = re.findall(r"\s*[^\s\[\]]+", action)
    shorter = [action.replace(word, "", 1).strip() for word in words] if len(words) > 1 else []
    return [changed for changed in numbers + shorter if changed and changed != action]
