"""Decisions of an agent that takes episodes in while others are being decided: no world waits for the slowest."""

from __future__ import annotations

from collections.abc import Callable

from sad_agents.agent import Agent, Decision, DecisionFlow, flow_of
from sad_agents.rollout.calls import CallEnd
from sad_agents.rollout.episodes import LiveEpisode, checked


class Flow:
    """The calls of `Calls`, in this thread.

    Args:
        agent: has flows.
        flow: the first one.
        decide: decisions of several episodes, whatever the agent raises.
    """

    def __init__(self, agent: Agent, flow: DecisionFlow, decide: Callable[[list[LiveEpisode]], list[Decision]]) -> None:
        self._agent, self._flow, self._decide = agent, flow, decide
        self._ready: list[LiveEpisode] = []
        self._asked: dict[int, LiveEpisode] = {}

    def ask(self, episode: LiveEpisode) -> None:
        """Begin a decision, with the next call of `answers`."""
        self._ready.append(episode)

    def answers(self) -> list[CallEnd[LiveEpisode, Decision]]:
        """Go on until some decisions are made."""
        ready, self._ready = sorted(self._ready, key=lambda episode: episode.number), []
        self._asked |= {episode.number: episode for episode in ready}
        try:
            self._flow.ask([episode.number for episode in ready])
            made = self._flow.answers()
        except Exception:
            # Whose fault it is shows where each acts by itself.
            self._flow = flow_of(self._agent) or self._flow
            made = list(zip(self._asked, self._decide(list(self._asked.values())), strict=True))
        ended = [(self._asked.pop(number), decision) for number, decision in made]
        return [(episode, checked([decision], 1)[0], None) for episode, decision in ended]

    def close(self) -> None:
        """Nothing goes on by itself."""
