"""What an action would do, tried in a copy of the world: votes can be on results instead of on words."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from sad_agents.agent import EpisodeStart
from sad_env import registry
from sad_env.core import TextEnv


class ActionResult(NamedTuple):
    """What an agent would see after an action: nothing of the world's verdict.

    Attributes:
        valid: the world could do something with it.
        observation: its answer.
    """

    valid: bool
    observation: str


class TriedActions:
    """Plays actions in one copy of the world that it brings to an episode's state first, by its actions so far.

    The agent that asks learns what its actions would do before it takes one; that is more than an agent may know, so
    this is for teachers that collect episodes (Kang et al. 2025, arXiv 2505.17612, vote on what code prints).

    Args:
        world: the world's name.
        options: the world's keyword arguments, the same as the rollout's.
    """

    def __init__(self, world: str, options: Mapping[str, Any]) -> None:
        self._world, self._options = world, options
        self._copy: TextEnv | None = None
        self._one_at_a_time = threading.Lock()  # episodes of a served model act side by side

    def result(self, start: EpisodeStart, played: list[str], action: str) -> ActionResult:
        """What `action` would do after the actions `played`."""
        with self._one_at_a_time:
            if self._copy is None:
                self._copy = registry.make(self._world, **self._options)
            self._copy.reset(seed=start.world_seed, options={"task_id": start.task_id})
            for earlier in played:
                self._copy.step(earlier)
            observation, _, _, _, info = self._copy.step(action)
        return ActionResult(bool(info["valid_action"]), observation)
