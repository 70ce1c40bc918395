"""Our worlds as environments of SkyRL-Gym (`skyrl-gym` 0.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import skyrl_gym
from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

from sad_agents.frameworks.session import ChatSession


class SkyRLWorld(BaseTextEnv):
    """One episode; the model's answers are in a form of ours, by default two lines, `Reasoning:` and `Action:`.

    Args:
        env_config: keyword arguments of `ChatSession`, "world" among them.
        extras: a row's own entries: "task_id" or "seed", and any of `env_config`.
    """

    def __init__(self, env_config: Mapping[str, Any] | None = None, extras: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        settings = {**(env_config or {}), **(extras or {})}
        self._task, self._seed = settings.pop("task_id", None), settings.pop("seed", None)
        # A row also has columns that are the trainer's own.
        known = ("world", "data", "split", "max_steps", "form", "shots", "options")
        self._session = ChatSession(**{name: settings[name] for name in known if name in settings})

    def init(self, prompt: list[dict[str, str]] | None = None) -> tuple[list[dict[str, str]], dict[str, Any]]:
        """Begin; instruction and first observation come after the messages of `prompt`."""
        observation = self._session.begin(self._task, self._seed)
        return [*(prompt or []), *self._session.messages(observation)], dict(self._session.info)

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """Take the action in a model's answer."""
        self.turns += 1
        reply = self._session.answer(action)
        return BaseTextEnvStepOutput(
            observations=[] if reply.done else [{"role": "user", "content": reply.observation}],
            reward=reply.reward,
            done=reply.done,
            metadata={**self._session.info, "observation": reply.observation},
        )

    def get_metrics(self) -> dict[str, float]:
        """Success, score, progress and steps of the episode."""
        one = self._session
        return {"success": float(one.success), "score": one.score, "progress": one.progress, "steps": float(one.steps)}

    def close(self) -> None:
        """Close the world."""
        self._session.close()


def register(env_id: str = "sad_env", **settings: Any) -> str:
    """Make a world known to SkyRL-Gym, once a process; rows then name it as their `env_class`.

    Args:
        env_id: its name there.
        settings: keyword arguments of `ChatSession`.

    Returns:
        The name.
    """
    skyrl_gym.register(id=env_id, entry_point=f"{__name__}:SkyRLWorld", kwargs={"env_config": settings})
    return env_id
