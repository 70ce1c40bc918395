"""The contract of a world: a text environment whose tasks have names and whose endings have a verdict."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import gymnasium

from sad_env.errors import ConfigError, ResetNeededError, UnknownNameError
from sad_env.expert import Expert
from sad_env.panels import Panel
from sad_env.safe_text import visible
from sad_env.text_space import AnyText

Info = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """What a world says after a task began or an action was taken.

    Attributes:
        observation: the text.
        reward: the benchmark's own reward for this step.
        terminated: the episode is over.
        success: the world's own verdict so far; never derived from `terminated`.
        score: the benchmark's own score so far.
        valid_action: False when the world could do nothing with the action.
        admissible_actions: every action that would be valid next, or None where the world does not list them.
        info: further entries of the info dict; a key keeps its type in all steps and is left out when it has no value.
    """

    observation: str
    reward: float = 0.0
    terminated: bool = False
    success: bool = False
    score: float = 0.0
    valid_action: bool = True
    admissible_actions: Sequence[str] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


class TextEnv(gymnasium.Env[str, str], abc.ABC):
    """Base of the worlds.

    A subclass sets `world`, calls `super().__init__(panel=...)`, and says in `_begin` and `_act` what happens.
    The base chooses the task, keeps the episode's state machine, and fills `info`:

    - ``task_id`` (str), ``split`` (str), ``success`` (bool), ``score`` (float), ``valid_action`` (bool);
    - ``admissible_actions`` (list of str) where the world lists them;
    - whatever else the world reports (``task_type``, ``progress``, ...).

    An action that makes no sense is answered, never raised. The world itself never truncates: `TimeLimit` or the
    harness does.

    Action Space and Observation Space: `AnyText`.

    Args:
        panel: the tasks to draw from.
        render_mode: "ansi" (the last observation, as a string), "human" (printed, controls made visible) or None.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "human"], "render_fps": 4}  # type: ignore[misc]
    world: ClassVar[str]
    max_steps: ClassVar[int] = 50
    """Step limit where the class is named by its address; a registered world has it in its `WorldSpec`."""
    experts: ClassVar[Mapping[str, type[Expert]]] = {}
    """Experts by name, as `max_steps`."""

    def __init__(self, *, panel: Panel, render_mode: str | None = None) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ConfigError(f"render_mode is one of ansi, human, None, not {render_mode!r}")
        self.panel = panel
        self.render_mode = render_mode
        self.observation_space = AnyText()
        self.action_space = AnyText()
        self._task_set = frozenset(panel.task_ids)
        self._task_id: str | None = None
        self._running = False
        self._last_observation = ""

    @abc.abstractmethod
    def _begin(self, task_id: str) -> Turn:
        """Start the task; all state of the episode before is gone.

        Draws that belong to the episode come from `self.np_random`; a task's own draws from a seed of the task.
        """

    @abc.abstractmethod
    def _act(self, action: str) -> Turn:
        """Take one action in the running episode. Never raises for anything an agent may write."""

    def _draw_task(self) -> str:
        """The task of a reset that names none: each is as likely, unless a world says otherwise."""
        return self.panel.task_ids[int(self.np_random.integers(len(self.panel.task_ids)))]

    def oracle(self) -> list[str] | None:
        """Actions that solve the last task that was begun, from its beginning, from hidden state.

        Returns:
            None where none is known, and before the first reset.
        """
        return None

    def privileged(self) -> str:
        """What no player may know of the last task that was begun, in words: for a teacher's eyes.

        Returns:
            By default the oracle's actions; "" where nothing is known.
        """
        plan = self.oracle()
        return f"These actions solve it: {'; '.join(plan)}" if plan else ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, Info]:
        """Begin an episode.

        Args:
            seed: seeds `np_random`, which picks the task when none is named.
            options: ``{"task_id": str}`` names the task.

        Returns:
            The first observation and info.

        Raises:
            UnknownNameError: a task id or an option that does not exist.
        """
        # A task that cannot begin must not leave the episode before it running under its own name.
        self._running, self._task_id = False, None
        super().reset(seed=seed)
        options = options or {}
        for name in options:
            if name != "task_id":
                raise UnknownNameError("reset option", str(name), ["task_id"])
        task_id = options.get("task_id")
        if task_id is None:
            task_id = self._draw_task()
        elif not isinstance(task_id, str) or task_id not in self._task_set:
            raise ConfigError(
                f"no task {str(task_id)[:120]!r} in {self.panel.world} {self.panel.name!r}"
                f" ({len(self.panel.task_ids)} tasks, e.g. {self.panel.task_ids[0]!r})"
            )
        turn = self._begin(task_id)
        self._task_id = task_id
        self._running = not turn.terminated
        return self._emit(turn)

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        """Take one action.

        Returns:
            Observation, reward, terminated (the world says the episode is over), truncated (always False: a world
            has no step limit of its own), info.

        Raises:
            ResetNeededError: no episode is running.
            TypeError: the action is not a string.
        """
        if not isinstance(action, str):
            raise TypeError(f"an action is a str, not {type(action).__name__}")
        if not self._running:
            raise ResetNeededError("the episode is over or has not begun: call reset() before step()")
        turn = self._act(action)
        self._running = not turn.terminated
        observation, info = self._emit(turn)
        return observation, float(turn.reward), bool(turn.terminated), False, info

    def render(self) -> str | None:
        """The last observation: returned in mode "ansi", printed in mode "human"."""
        if self.render_mode == "ansi":
            return self._last_observation
        if self.render_mode == "human":
            print(visible(self._last_observation))
        return None

    def _emit(self, turn: Turn) -> tuple[str, Info]:
        self._last_observation = turn.observation
        info: Info = {
            "task_id": self._task_id,
            "split": self.panel.name,
            "success": bool(turn.success),
            "score": float(turn.score),
            "valid_action": bool(turn.valid_action),
            **turn.info,
        }
        if turn.admissible_actions is not None:
            info["admissible_actions"] = list(turn.admissible_actions)
        if self.render_mode == "human":
            self.render()
        return turn.observation, info
