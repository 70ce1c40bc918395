"""Agents that are no language models: experts, random, human, and the lower and upper bounds (null, oracle)."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.columns import Columns

from sad_agents.agent import Decision, EpisodeStart
from sad_agents.prompts import load_prompt
from sad_env import registry
from sad_env.core import TextEnv
from sad_env.expert import Expert
from sad_env.records import Status
from sad_env.safe_text import console, safe_text


class ExpertAgent:
    """A world's own expert policy: sees what an agent sees, thinks aloud.

    Args:
        world: the world's name.
        expert: which of its experts.
    """

    def __init__(self, world: str, expert: str = "expert") -> None:
        registry.make_expert(world, expert)  # an unknown name is refused now, not in the first episode
        self.name = self._expert = expert
        self._world = world
        self._experts: dict[int, Expert] = {}

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Begin an episode with an expert of its own."""
        expert = registry.make_expert(self._world, self._expert, seed=start.seed)
        expert.begin(start.observation, start.info)
        self._experts[episode] = expert
        return ""

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """What the experts would do."""
        return [Decision.of(*self._experts[episode].decide()) for episode in episodes]

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """Tell the expert what came back."""
        self._experts[episode].observe(decision.action, observation, info)

    def end(self, episode: int) -> None:
        """Forget the episode."""
        self._experts.pop(episode, None)


class RandomAgent:
    """Plays admissible actions at random; where a world lists none, its prompt file says what to draw from.

    Args:
        world: the world's name.
    """

    name = "random"

    def __init__(self, world: str) -> None:
        self._patterns = load_prompt(world).random_actions
        self._draws: dict[int, random.Random] = {}
        self._choices: dict[int, Sequence[str]] = {}

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Seed the episode's draws."""
        self._draws[episode] = random.Random(start.seed)
        self._look(episode, start.observation, start.info)
        return ""

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """One draw an episode."""
        return [Decision.of("", self._draw(episode)) for episode in episodes]

    def _draw(self, episode: int) -> str:
        draw = self._draws[episode]
        return draw.choice(self._choices[episode])

    def _look(self, episode: int, observation: str, info: Mapping[str, Any]) -> None:
        actions = info.get("admissible_actions")
        if actions is None:
            words = [word for word in observation.split() if word.isalpha()] or ["nothing"]
            start = self._draws[episode].randrange(len(words))
            filling = " ".join(words[start : start + 2])
            actions = [pattern.replace("{words}", filling) for pattern in self._patterns]
        self._choices[episode] = actions or ["wait"]

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """Remember what may be done next."""
        self._look(episode, observation, info)

    def end(self, episode: int) -> None:
        """Forget the episode."""
        self._draws.pop(episode, None)
        self._choices.pop(episode, None)


class NullAgent:
    """Always says "do nothing": a task that it solves tests nothing."""

    name = "null"

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Nothing to remember."""
        return ""

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """The same for all."""
        return [Decision.of("", "do nothing")] * len(episodes)

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """Nothing to remember."""

    def end(self, episode: int) -> None:
        """Nothing to forget."""


class OracleAgent:
    """Plays the world's hidden plan, read from a copy of the world: proof that the tasks can be done.

    Args:
        world: the world's name.
        options: the world's keyword arguments, the same as the rollout's.
    """

    name = "oracle"

    def __init__(self, world: str, options: Mapping[str, Any]) -> None:
        self._make = functools.partial(registry.make, world, **options)
        self._copy: TextEnv | None = None
        self._plans: dict[int, list[str]] = {}

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Ask the copy for its plan."""
        if self._copy is None:
            self._copy = self._make()
        self._copy.reset(seed=start.world_seed, options={"task_id": start.task_id})
        plan = self._copy.oracle()
        self._plans[episode] = list(plan or [])[::-1]
        return ""

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """The next action of each plan."""
        decisions = []
        for episode in episodes:
            plan = self._plans[episode]
            if plan:
                decisions.append(Decision.of("", plan.pop()))
            else:
                decisions.append(Decision.stopped(Status.AGENT_ERROR, "the oracle has no plan left"))
        return decisions

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """Ignored: the plan is fixed."""

    def end(self, episode: int) -> None:
        """Forget the episode."""
        self._plans.pop(episode, None)


HELP = "Type an action, its number or its first letters; ? shows the screen again, quit leaves."
"""What a person is told who plays by hand."""


class HumanAgent:
    """A person at a terminal.

    A number, or the beginning of only one of them, takes an admissible action; `?` shows the screen again, `quit` and
    the end of the input leave. Whatever else is typed is the action.

    Args:
        inbox: where lines come from.
        outbox: where the game is shown.
    """

    name = "human"

    def __init__(self, inbox: IO[str], outbox: IO[str]) -> None:
        self._inbox = inbox
        self._console = console(outbox)
        self._screens: dict[int, tuple[str, Sequence[str]]] = {}

    def begin(self, episode: int, start: EpisodeStart) -> str:
        """Keep the first screen."""
        self._screens[episode] = (start.observation, start.info.get("admissible_actions") or ())
        return ""

    def act(self, episodes: Sequence[int]) -> list[Decision]:
        """Ask the person for each episode in turn."""
        return [self._ask(episode) for episode in episodes]

    def _ask(self, episode: int) -> Decision:
        observation, actions = self._screens[episode]
        self._show(observation, actions)
        began = time.perf_counter()
        while True:
            self._console.print("> ", end="")
            self._console.file.flush()
            typed = self._inbox.readline()
            line = typed.strip()
            if not typed or line == "quit":
                del self._screens[episode]  # it has been shown
                return Decision.stopped(Status.CANCELLED, "the player left")
            if line == "?":
                self._show(observation, actions)
            elif (action := self._meant(line, actions)) is not None:
                decision, seconds = Decision.of("", action), time.perf_counter() - began
                return Decision(decision.completion, decision.spans, "", decision.action, seconds=seconds)

    def _show(self, observation: str, actions: Sequence[str]) -> None:
        self._console.print(safe_text(observation))
        listed = [safe_text(f"{number:>3}  {action}", "dim") for number, action in enumerate(actions, 1)]
        if listed:
            self._console.print(Columns(listed, padding=(0, 3), column_first=True))

    def _meant(self, line: str, actions: Sequence[str]) -> str | None:
        """The action that was typed; None where the person has to be asked again, which is said."""
        if not line:
            self._console.print(safe_text(HELP, "dim"))
            return None
        if line.isdecimal() and actions:
            if 1 <= int(line) <= len(actions):
                return actions[int(line) - 1]
            self._console.print(safe_text(f"no action {line[:20]}: they are 1 to {len(actions)}", "dim"))
            return None
        begun = [action for action in actions if action.startswith(line)]
        if line in begun or not begun:
            return line
        if len(begun) > 1:
            self._console.print(safe_text(f"which one: {'; '.join(begun[:6])}{' ...' * (len(begun) > 6)}", "dim"))
            return None
        return begun[0]

    def observe(self, episode: int, decision: Decision, observation: str, info: Mapping[str, Any]) -> None:
        """Keep the next screen."""
        self._screens[episode] = (observation, info.get("admissible_actions") or ())

    def end(self, episode: int) -> None:
        """Show the last screen."""
        screen = self._screens.pop(episode, None)
        if screen is not None:
            self._console.print(safe_text(screen[0]))
