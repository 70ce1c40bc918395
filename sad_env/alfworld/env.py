"""ALFWorld as a Gymnasium environment: households, six kinds of tasks, text in and text out."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from sad_env.alfworld import dialect as dialects
from sad_env.alfworld.data import DATA
from sad_env.alfworld.engine import State
from sad_env.alfworld.planner import plan
from sad_env.alfworld.problem import TASK_TYPES
from sad_env.alfworld.progress import progress
from sad_env.alfworld.session import ALFWorldSession
from sad_env.alfworld.sources import default_split, open_store
from sad_env.alfworld.store import GameStore, GeneratedStore, scene_of
from sad_env.core import TextEnv, Turn
from sad_env.data import located
from sad_env.errors import ConfigError, DataError, ResetNeededError, UnknownNameError
from sad_env.panels import Panel

if TYPE_CHECKING:
    from sad_env.alfworld.reference import ReferenceEngine

Backend = Literal["fast", "textworld"]


class GameSession(Protocol):
    """One game being played, by our engine or by the original."""

    opening: str
    won: bool

    def step(self, command: str) -> tuple[str, bool]:
        """What is seen after a command, and whether it was admissible."""
        ...

    def admissible(self) -> list[str]:
        """All commands that would do something, sorted."""
        ...


class Snapshot(NamedTuple):
    """An episode at one moment, as a value: compare it, pickle it, go back to it."""

    task_id: str
    state: State
    progress: float
    observation: str
    running: bool


class ALFWorldEnv(TextEnv):
    """Household tasks in text.

    Reward and score are 1 when the task is done, which ends the episode, and 0 before. `info` holds, besides what
    every world has, ``task_type``, ``scene`` (where the task's name tells it), ``dialect``, and (not with the
    original engine) ``progress``: the largest share of the task's sub-goals reached so far, see `progress.progress`.

    Args:
        data: "generated" (made in memory), "official", or a folder, zip archive or pack file of games.
        split: "train", "valid_seen", "valid_unseen" (the default), "train_rooms" (generated only: rooms put together
            from others), or any sub-folder of a given folder. A pack file has one split, named after it.
        dialect: "2.1.3", today's text, or "react", the text of ReAct's prompts.
        backend: "fast", our engine, or "textworld", the original one (needs the extra `sad-env-core[alfworld]`).
        task_type: play only tasks of this type, see `TASK_TYPES`.
        tasks: number of generated tasks; as many as the official split has when omitted.
        generator_seed: another seed, other generated tasks.
        render_mode: as in `TextEnv`.

    Raises:
        DataError: no such data.
        UnknownNameError: no such split, dialect, backend or task type.
        ConfigError: settings that contradict one another, or a pack file of another split.
    """

    world = "alfworld"

    def __init__(
        self,
        *,
        data: str = "generated",
        split: str | None = None,
        dialect: str = "2.1.3",
        backend: Backend = "fast",
        task_type: str | None = None,
        tasks: int | None = None,
        generator_seed: int = 0,
        render_mode: str | None = None,
    ) -> None:
        if backend not in ("fast", "textworld"):
            raise UnknownNameError("backend of alfworld", backend, ("fast", "textworld"))
        self.dialect = dialects.check_dialect(dialect)
        self.backend = backend
        split = split or default_split(data)
        kind, self.store = _open(data, split, tasks, generator_seed)
        panel = _panel(kind, self.store, split, task_type, tasks)
        super().__init__(panel=replace(panel, description=f"dialect {dialect}"), render_mode=render_mode)
        self._player: GameSession | None = None
        self._task_info: dict[str, Any] = {}
        self._original: ReferenceEngine | None = None
        self._progress = 0.0

    def _begin(self, task_id: str) -> Turn:
        self._progress, self._task_info = 0.0, self._about(task_id)
        if self.backend == "textworld":
            self._player = self._reference().begin(self.store.text(task_id))
        else:
            self._player = ALFWorldSession(self.store.game(task_id))
        return self._turn(self._player, self._player.opening, valid=True)

    def _reference(self) -> ReferenceEngine:
        if self._original is None:
            # Its packages are an extra, and slow to import.
            from sad_env.alfworld.reference import ReferenceEngine

            self._original = ReferenceEngine()
        return self._original

    def _act(self, action: str) -> Turn:
        assert self._player is not None
        text, valid = self._player.step(dialects.command_in(action, self.dialect))
        return self._turn(self._player, text, valid=valid)

    def _about(self, task_id: str) -> dict[str, Any]:
        """What `info` says of a task in all its steps."""
        about: dict[str, Any] = {"dialect": self.dialect}
        if (scene := scene_of(task_id)) is not None:
            about["scene"] = scene
        # The original engine also plays games whose goal our reader does not know.
        with contextlib.suppress(*([DataError] if self.backend == "textworld" else [])):
            about["task_type"] = self.store.task_type(task_id)
        return about

    def _turn(self, player: GameSession, text: str, *, valid: bool) -> Turn:
        info = dict(self._task_info)
        if isinstance(player, ALFWorldSession):
            self._progress = max(self._progress, progress(player.game, player.state))
            info["progress"] = self._progress
        return Turn(
            dialects.observation_out(text, self.dialect),
            reward=float(player.won),
            terminated=player.won,
            success=player.won,
            score=float(player.won),
            valid_action=valid,
            admissible_actions=dialects.commands_out(player.admissible(), self.dialect),
            info=info,
        )

    def oracle(self) -> list[str] | None:
        """The shortest plan known: the game's own walkthrough or one found from hidden state."""
        if self._task_id is None:
            return None
        try:
            game = self.store.game(self._task_id)
        except DataError:  # only the original engine knows this game
            return None
        plans = [steps for steps in (game.walkthrough, plan(game)) if steps]
        return [dialects.command_out(command, self.dialect) for command in min(plans, key=len)] if plans else None

    def clone_state(self) -> Snapshot:
        """The present state of the episode.

        Raises:
            ResetNeededError: no episode has begun.
            ConfigError: the original engine cannot do this.
        """
        if self._task_id is None or self._player is None:
            raise ResetNeededError("no episode has begun: call reset() before clone_state()")
        if not isinstance(self._player, ALFWorldSession):
            raise ConfigError("only backend='fast' can clone a state")
        return Snapshot(self._task_id, self._player.state, self._progress, self._last_observation, self._running)

    def restore_state(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, of this or another copy of the world with the same task."""
        if self.backend != "fast":
            raise ConfigError("only backend='fast' can restore a state")
        if snapshot.task_id not in self._task_set:
            raise ConfigError(f"the snapshot's task is not in {self.panel.name!r}: {snapshot.task_id[:120]!r}")
        self._task_id, self._task_info = snapshot.task_id, self._about(snapshot.task_id)
        self._player = ALFWorldSession(self.store.game(snapshot.task_id), snapshot.state)
        self._progress = snapshot.progress
        self._last_observation, self._running = snapshot.observation, snapshot.running


def _open(data: str, split: str, tasks: int | None, seed: int) -> tuple[str, GameStore]:
    if data == "generated":
        return data, GeneratedStore(split, tasks, seed)
    if tasks is not None or seed:
        raise ConfigError("tasks and generator_seed belong to data='generated'")
    kind, path = located("alfworld", data, DATA.packs)
    return kind, open_store(path, split)


def _panel(kind: str, store: GameStore, split: str, task_type: str | None, tasks: int | None) -> Panel:
    name = split if tasks is None else f"{split}-{tasks}"
    task_ids = store.task_ids
    if task_type is not None:
        if task_type not in TASK_TYPES:
            raise UnknownNameError("task type of alfworld", task_type, TASK_TYPES)
        name = f"{name}-{task_type}"
        task_ids = tuple(task for task in task_ids if store.task_type(task) == task_type)
    return Panel.of("alfworld", kind, name, task_ids)
