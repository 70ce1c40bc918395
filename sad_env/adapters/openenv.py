"""Our worlds as OpenEnv environments (`openenv` 0.10): reset, step, state, and tasks by split."""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from openenv.core.env_server import Action, Environment, Observation, State
from openenv.core.env_server.http_server import create_fastapi_app
from openenv.core.env_server.types import ConcurrencyConfig, EnvironmentMetadata
from pydantic import Field

from sad_env import listing, registry
from sad_env.core import TextEnv
from sad_env.errors import ConfigError, ResetNeededError
from sad_env.panels import Panel

_LONGEST_ACTION = 100_000
_LISTED = 1_000
"""Tasks of a split that are listed at once; OpenEnv lets a large split be listed in part."""


class TextAction(Action):
    """What an agent writes, e.g. "go to desk 1" or "search[red shoes]"."""

    text: str = Field(max_length=_LONGEST_ACTION, description="the action, in the world's own words")


class TextObservation(Observation):
    """What a world says. `done` is true where the episode is over, `truncated` where its step limit was the reason."""

    text: str = Field(description="what the agent reads")
    task_id: str = Field(description="the task that is played")
    success: bool = Field(default=False, description="the world's own verdict so far")
    score: float = Field(default=0.0, description="the benchmark's own score so far")
    valid_action: bool = Field(default=True, description="false where the world could do nothing with the action")
    truncated: bool = Field(default=False, description="the step limit ended the episode")
    admissible_actions: list[str] | None = Field(
        default=None, description="what would be valid next, where it is known"
    )
    info: dict[str, Any] = Field(default_factory=dict, description="whatever else the world reports")


class WorldState(State):
    """Where an episode stands, besides its id and number of steps."""

    world: str = ""
    split: str = ""
    task_id: str = ""
    success: bool = False
    score: float = 0.0


class OpenEnvWorld(Environment[TextAction, TextObservation, WorldState]):
    """One session in a world.

    Args:
        name: of the world, as `--env` takes it.
        data: as the world takes it.
        split: of a reset that names none; the world's own choice when empty.
        max_steps: of an episode; 0 takes the world's own limit.
        options: further keyword arguments of the world.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(
        self,
        name: str,
        data: str = "generated",
        split: str = "",
        max_steps: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._spec, self._data = registry.world(name), data
        self._options = dict(options or {})
        self._split = split or self._spec.default_panel(data)
        self._limit = max_steps or self._spec.limit(self._options)
        self._worlds: dict[str, TextEnv] = {}
        self._world: TextEnv | None = None
        self._state = WorldState(world=self._spec.name)

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        split: str | None = None,
        index: int | None = None,
        task_id: str | None = None,
    ) -> TextObservation:
        """Begin an episode, of the task that is named, or of one that the seed draws.

        Raises:
            UnknownNameError: no such split.
            ConfigError: no such task, or one that is named twice.
            IndexError: the split has fewer tasks.
        """
        if index is not None and task_id is not None:
            raise ConfigError("a reset takes index or task_id, not both")
        name = split or self._split
        if name not in self._worlds:
            self._worlds[name] = self._make(name)
        self._world = self._worlds[name]
        if index is not None:
            task_id = self.get_task(name, index)["id"]
        text, info = self._world.reset(seed=seed, options={"task_id": task_id} if task_id is not None else None)
        self._state = WorldState(
            episode_id=episode_id or str(uuid.uuid4()), world=self._spec.name, split=name, task_id=info["task_id"]
        )
        return self._observation(text, info)

    def step(self, action: TextAction, timeout_s: float | None = None) -> TextObservation:
        """Take one action; a world answers at once, so `timeout_s` changes nothing.

        Raises:
            ResetNeededError: no episode is running.
        """
        if self._world is None or self._state.step_count >= self._limit:
            raise ResetNeededError("the episode is over or has not begun: reset first")
        text, reward, terminated, _, info = self._world.step(action.text)
        self._state.step_count += 1
        self._state.success, self._state.score = info["success"], info["score"]
        truncated = not terminated and self._state.step_count >= self._limit
        observation = self._observation(text, info)
        observation.reward, observation.done, observation.truncated = reward, terminated or truncated, truncated
        return observation

    @property
    def state(self) -> WorldState:
        """Where the episode stands."""
        return self._state

    def get_metadata(self) -> EnvironmentMetadata:
        """Name and description of the world."""
        return EnvironmentMetadata(name=self._spec.name, description=self._spec.summary, version="1.0.0")

    def list_splits(self) -> list[str]:
        """Splits that a reset can name."""
        return sorted({self._split, *_splits(self._spec.name, self._data)})

    def list_tasks(self, split: str) -> list[dict[str, Any]]:
        """The first thousand tasks of a split."""
        return self.get_task_range(split, 0, _LISTED)

    def num_tasks(self, split: str) -> int:
        """How many tasks a split has."""
        return len(self._tasks(split))

    def get_task(self, split: str, index: int) -> dict[str, Any]:
        """A task of a split by its place in the panel; IndexError where there is none."""
        if not 0 <= index < self.num_tasks(split):
            raise IndexError(f"split {split!r} has {self.num_tasks(split)} tasks, counted from 0")
        return {"id": self._tasks(split)[index], "index": index}

    def get_task_range(self, split: str, start: int | None = None, stop: int | None = None) -> list[dict[str, Any]]:
        """The tasks from `start` on and before `stop`."""
        places = range(*slice(start, stop).indices(self.num_tasks(split)))
        return [self.get_task(split, index) for index in places]

    def close(self) -> None:
        """Close the worlds of the session."""
        for world in self._worlds.values():
            world.close()
        self._worlds, self._world = {}, None

    def _make(self, split: str) -> TextEnv:
        return registry.make(self._spec.name, data=self._data, split=split, **self._options)

    def _tasks(self, split: str) -> tuple[str, ...]:
        return _panel(self._spec.name, self._data, split, json.dumps(self._options)).task_ids

    def _observation(self, text: str, info: dict[str, Any]) -> TextObservation:
        named = {name: info.pop(name) for name in ("task_id", "success", "score", "valid_action")}
        admissible = info.pop("admissible_actions", None)
        return TextObservation(text=text, admissible_actions=admissible, info=info, **named)


@functools.lru_cache(maxsize=64)
def _panel(name: str, data: str, split: str, options: str) -> Panel:
    return listing.panel(name, split, data=data, **json.loads(options))


@functools.lru_cache(maxsize=8)
def _splits(name: str, data: str) -> tuple[str, ...]:
    return tuple(listing.splits(name, data))


def openenv_app(
    name: str,
    *,
    data: str = "generated",
    split: str = "",
    max_steps: int = 0,
    options: Mapping[str, Any] | None = None,
    sessions: int = 64,
    session_seconds: float = 900.0,
) -> FastAPI:
    """A world as an OpenEnv application, each session with an episode of its own; `sad-serve` runs it.

    Args:
        name: of the world, as `--env` takes it.
        data: as the world takes it.
        split: of a reset that names none.
        max_steps: of an episode; 0 takes the world's own limit.
        options: further keyword arguments of the world.
        sessions: that are open at once at most; a further one is refused.
        session_seconds: of silence, after which a session is ended.

    Raises:
        SadEnvError: the world cannot be made of these.
    """
    make = functools.partial(OpenEnvWorld, name, data, split, max_steps, options)
    with_world = make()
    with_world.reset(seed=0)  # what is wrong with the settings is said now, and data are read once
    with_world.close()
    limits = ConcurrencyConfig(max_concurrent_envs=sessions, session_timeout=session_seconds)
    return create_fastapi_app(
        make, TextAction, TextObservation, concurrency_config=limits, env_name=name, state_cls=WorldState
    )
