"""One episode for a chat model that somebody else runs: prompts and completions in, observations and verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sad_agents.prompts import load_prompt
from sad_env import registry
from sad_env.errors import ResetNeededError
from sad_env.transcript import form_of


class Reply(NamedTuple):
    """What a completion led to: the observation, the step's reward, and whether the episode is over."""

    observation: str
    reward: float
    done: bool


class ChatSession:
    """Plays episodes of a world, one after the other, from a model's completions.

    The prompt is the one that `sad-eval` gives to a model, without exemplars unless asked for. A completion without
    an action is an action that the world does not understand.

    Args:
        world: as `--env` takes it.
        data: as the world takes it.
        split: the world's own choice when empty.
        max_steps: of an episode; 0 takes the world's own limit.
        form: of completions: lines (`Reasoning:`, `Action:`), tags or think.
        shots: exemplars in the prompt.
        options: further keyword arguments of the world.

    Attributes:
        success, score, progress: the world's verdict so far; progress is the score where the world has no sub-goals.
        steps: taken so far.
        done: the episode is over.
    """

    def __init__(
        self,
        world: str,
        *,
        data: str = "generated",
        split: str = "",
        max_steps: int = 0,
        form: str = "lines",
        shots: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        spec, further = registry.world(world), dict(options or {})
        self._form = form_of(form)
        self.instruction = load_prompt(world).text(shots, self._form).strip()
        self._limit = max_steps or spec.limit(further)
        self._world = registry.make(world, data=data, split=split or spec.default_panel(data), **further)
        self.panel = self._world.panel
        self.success, self.score, self.progress, self.steps, self.done = False, 0.0, 0.0, 0, True
        self.info: dict[str, Any] = {}

    def begin(self, task_id: str | None = None, seed: int | None = None) -> str:
        """Begin an episode, of this task or of one that the seed draws; returns the first observation."""
        options = {"task_id": task_id} if task_id is not None else None
        observation, info = self._world.reset(seed=seed, options=options)
        self.steps, self.done = 0, False
        self._note(info)
        return observation

    def messages(self, observation: str) -> list[dict[str, str]]:
        """The chat that a model answers first."""
        return [{"role": "system", "content": self.instruction}, {"role": "user", "content": observation}]

    def answer(self, completion: str) -> Reply:
        """What a completion in the session's form leads to.

        Raises:
            ResetNeededError: no episode is running.
        """
        return self.act(self._form.parse(completion).action)

    def act(self, action: str) -> Reply:
        """What an action leads to.

        Raises:
            ResetNeededError: no episode is running.
        """
        if self.done:
            raise ResetNeededError("the episode is over or has not begun: call begin() first")
        observation, reward, terminated, _, info = self._world.step(action)
        self.steps += 1
        self.done = terminated or self.steps >= self._limit
        self._note(info)
        return Reply(observation, reward, self.done)

    def close(self) -> None:
        """Close the world."""
        self._world.close()

    def _note(self, info: dict[str, Any]) -> None:
        self.info, self.success, self.score = info, info["success"], info["score"]
        self.progress = float(info.get("progress", info["score"]))
